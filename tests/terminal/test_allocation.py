"""The FinOps person charges teams back from the terminal: rules, reports, budgets and unit costs, as documented."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine

from bot.cli import main
from sandbox import story
from tests.collection.bills import in_one_process, read
from tools.model.budget import FORECAST
from tools.store import budgets, outbox
from tools.store.database import Database, open_database

ROOT = Path(__file__).resolve().parents[2]
TODAY = "2026-11-23T08:00:00Z"
TAGS = ("team", "env", "service")
Run = Callable[..., tuple[int, str, str]]
RULES = '[[rules]]\nvalue_of = "tag:team"\n[[rules]]\nto = "others"\n'


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A database with four months of the demo's story."""
    folder = tmp_path_factory.mktemp("lumen")
    story.write(folder, today=date(2026, 11, 23), months=4)
    path = folder / "optiinfra.db"
    shutil.copy(sqlite_template, path)
    database = open_database(f"sqlite:///{path}", migrate=False)
    with in_one_process():
        loads = read(database, folder / "focus", tag_keys=TAGS)
    assert {str(load.status) for load in loads} == {"loaded"}
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


@pytest.fixture
def home(tmp_path: Path, bills: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation with these bills, on the story's day, with the repository's documents beside it."""
    shutil.copy(bills, tmp_path / "optiinfra.db")
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path))
    monkeypatch.setenv("OPTIINFRA_DIGEST_CHANNEL", "C0COSTS")
    monkeypatch.delenv("OPTIINFRA_STATE_URL", raising=False)
    with time_machine.travel(TODAY, tick=False):
        yield tmp_path


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command: (exit code, stdout, stderr)."""

    def typed(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    assert typed("people", "set", "ben@lumen.example", "approver")[0] == 0
    assert typed("people", "set", "dan@lumen.example", "viewer")[0] == 0
    return typed


BEN = ("--as", "ben@lumen.example")


def told(run: Run, *words: str) -> str:
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    return out


def document(run: Run, *words: str) -> Any:
    return json.loads(told(run, *words, "--json"))


def stored(run: Run, home: Path, text: str = RULES) -> None:
    (home / "rules.toml").write_text(text)
    told(run, "allocation", "apply", "rules.toml", *BEN)


def test_every_documented_command_works(run: Run) -> None:
    """In the order of the page."""
    text = (ROOT / "docs" / "allocation.md").read_text("utf-8")
    commands = [line for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert len(commands) >= 15
    for line in commands:
        program, *words = shlex.split(line)
        assert program == "optiinfra", line
        code, out, err = run(*words)
        assert (code, err) == (0, ""), line
        assert out, line


def test_the_documented_rules_are_rules() -> None:
    """The pieces of TOML on the page, put together, are a file that can be used."""
    from tools.analysis.allocation_rules import parse

    text = (ROOT / "docs" / "allocation.md").read_text("utf-8")
    rules, pools = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    made = parse(rules + '[[rules]]\nto = "search"\n' + pools, TAGS)
    assert [pool.name for pool in made.pools] == ["company", "platform"]


def test_the_example_gives_the_story_to_its_teams(run: Run) -> None:
    """Nearly everything has somebody who pays, every rule counts, and the total is the bill's to the last digit."""
    tried = document(run, "allocation", "apply", "docs/examples/allocation.toml", "--dry-run")
    assert (tried["stored"], tried["current"], tried["warnings"]) == (None, None, [])
    assert all(rule["rows"] for rule in tried["rules"])
    assert told(run, "allocation", "history").startswith("No allocation rules were ever stored")
    applied = document(run, "allocation", "apply", "docs/examples/allocation.toml", *BEN)
    assert applied["stored"]["version"] == 1
    for metric in ("billed", "effective", "credits"):
        made = document(run, "allocation", "report", "--period", "2026-10", "--metric", metric)
        bill = document(run, "costs", "--period", "2026-10", "--metric", metric)
        assert made["totals"] == bill["totals"]
        assert sum(Decimal(x["total"]) for x in made["lines"]) == Decimal(bill["total"])
        assert (made["rules"]["version"], made["metric"]) == (1, metric)
    assert made["receipt"]["sql"].startswith("-- allocation team, version 1")
    shown = told(run, "allocation", "report", "--period", "2026-10")
    assert re.search(r"^checkout +\$[\d,.]+ +\$[\d,.]+ +\$[\d,.]+ +\d+\.\d%$", shown, re.MULTILINE)
    assert "unallocated: $" in shown
    billed = document(run, "allocation", "report", "--period", "2026-10")
    assert Decimal(billed["unallocated"][0]["share"]) < Decimal("0.01")
    split = document(run, "costs", "--period", "2026-10", "--by", "allocation,service")
    assert split["total"] == billed["totals"][0]["cost"]
    checkout = sum(Decimal(r["cost"]) for r in split["rows"] if r["allocation"] == "checkout")
    line = next(x for x in billed["lines"] if x["payer"] == "checkout")
    assert abs(checkout - Decimal(line["total"])) < Decimal("1E-15")


def test_rules_have_versions_and_a_record(run: Run, home: Path) -> None:
    """Who, when and what; the same file again is no new version; an earlier one can be reported by."""
    stored(run, home)
    again = told(run, "allocation", "apply", "rules.toml", *BEN)
    assert "Nothing was stored: these rules count already (version 1)." in again
    stored(run, home, '# all of it\n[[rules]]\nto = "everybody"\n')
    assert "# all of it" in told(run, "allocation", "show")
    assert "version 1 by ben@lumen.example, 2026-11-23 08:00 UTC" in told(run, "allocation", "show", "--version", "1")
    versions = document(run, "allocation", "history")["versions"]
    assert [(v["version"], v["by"], v["removed"]) for v in versions] == [
        (2, "ben@lumen.example", False),
        (1, "ben@lumen.example", False),
    ]
    before = document(run, "allocation", "report", "--period", "2026-10", "--version", "1")
    assert "others" in {x["payer"] for x in before["lines"]}
    assert document(run, "allocation", "show")["rules"][0]["source"].startswith("# all")
    assert "has no rules any more" in told(run, "allocation", "remove", "team", *BEN)
    assert run("allocation", "show")[2].startswith("No such allocation rules are stored.")
    assert "removed" in told(run, "allocation", "history", "--dimension", "team")
    assert run("allocation", "remove", "team", *BEN)[2].startswith("There are no allocation rules called team.")
    assert "allocation.apply  team  done" in told(run, "audit", "export")
    assert told(run, "audit", "verify").startswith("All 5 records")


def test_a_change_needs_somebody_who_may(run: Run, home: Path) -> None:
    """A viewer is refused, which is kept; nobody, or somebody unknown, cannot stand for a change."""
    (home / "rules.toml").write_text(RULES)
    code, out, err = run("allocation", "apply", "rules.toml", "--as", "dan@lumen.example")
    assert (code, out) == (1, "")
    assert err.startswith("dan may not change this (role viewer). Nothing was changed.")
    assert run("allocation", "apply", "rules.toml")[2].startswith("Somebody must stand for a change of rules.")
    assert "Nobody here has the e-mail" in run("allocation", "apply", "rules.toml", "--as", "x@y.example")[2]
    assert (
        "role viewer" in run("budget", "set", "b", "--amount", "1", "--currency", "USD", "--as", "dan@lumen.example")[2]
    )
    assert "role viewer" in run("budget", "remove", "b", "--as", "dan@lumen.example")[2]
    assert "allocation:change  a change of rules  refused (role)" in told(run, "audit", "export")
    assert document(run, "allocation", "history") == {"versions": []}
    assert document(run, "budget", "list") == {"budgets": []}


REFUSED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("allocation", "apply", "none.toml", "--dry-run"), "none.toml cannot be read"),
    (("allocation", "apply", "bad.toml", "--dry-run"), 'Rule 1 has a field "for" that is not known.'),
    (("allocation", "apply", "latin.toml", "--dry-run"), "latin.toml is not UTF-8 text."),
    (("allocation", "apply", "large.toml", "--dry-run"), "large.toml is too large"),
    (("allocation", "report"), "A question needs its days."),
    (("allocation", "report", "--period", "2026-10"), "No allocation rules are stored."),
    (("costs", "--period", "2026-10", "--by", "allocation"), "No allocation rules are stored."),
    (("allocation", "untagged", "--period", "2026-10", "--tag", "owner"), "The tag owner is not kept"),
    (("explain", "--from", "2026-11-01", "--to", "2026-11-08", "--against", "2026-10-01..2026-10-08", "--where", "allocation=web"), "No allocation rules"),
    (("budget", "set", "a b", "--amount", "1", "--currency", "USD", *BEN), '"a b" is not a name for a budget.'),
    (("budget", "set", "b", "--amount", "0", "--currency", "USD", *BEN), "0 is not an amount above 0."),
    (("budget", "set", "b", "--amount", "lots", "--currency", "USD", *BEN), "lots is not an amount above 0."),
    (("budget", "set", "b", "--amount", "nan", "--currency", "USD", *BEN), "nan is not an amount above 0."),
    (("budget", "set", "b", "--amount", "1", "--currency", "dollars", *BEN), '"dollars" is not a currency.'),
    (("budget", "set", "b", "--amount", "1", "--currency", "USD", "--alert-at", "0,x", *BEN), '"0,x" are not percentages.'),
    (("budget", "set", "b", "--amount", "1", "--currency", "USD", "--chance", "100", *BEN), "100 is not a chance in percent."),
    (("budget", "set", "b", "--amount", "1", "--currency", "USD", "--channel", "#costs", *BEN), '"#costs" is not a channel id.'),
    (("budget", "set", "b", "--amount", "1", "--currency", "USD", "--where", "team=chekout", *BEN), 'No cost has tag:team "chekout".'),
    (("budget", "set", "b", "--amount", "1", "--currency", "USD", "--where", "allocation=web", *BEN), "No allocation rules are stored."),
    (("budget", "check", "none"), "There is no budget none."),
    (("budget", "remove", "none", *BEN), "There is no budget none."),
    (("units", "import", "none.csv"), "none.csv cannot be read"),
    (("units", "report", "--metric", "orders", "--period", "2026-10"), "No metric of your own was imported yet"),
)  # fmt: skip


def test_what_cannot_be_done_is_told_and_changes_nothing(run: Run, home: Path) -> None:
    """One clear sentence on stderr, nothing on stdout, exit 1."""
    (home / "bad.toml").write_text('[[rules]]\nfor = "x"\nto = "y"\n')
    (home / "latin.toml").write_bytes(b"# caf\xe9")
    (home / "large.toml").write_text("#" * (1 << 20) + "#")
    for words, said in REFUSED:
        code, out, err = run(*words)
        assert (code, out) == (1, ""), words
        assert said in err, words
        assert len(err.strip().splitlines()) == 1, words
    assert document(run, "allocation", "history") == {"versions": []}
    assert document(run, "budget", "list") == {"budgets": []}


def test_untagged_cost_has_its_share_and_its_trend(run: Run) -> None:
    """Per key and month; the shares are of what the bill says."""
    span = ("--from", "2026-08-01", "--to", "2026-11-23")
    (team,) = document(run, "allocation", "untagged", *span, "--tag", "team")["tags"]
    untagged = document(run, "costs", *span, "--where", "team=")["total"]
    assert (team["untagged"], team["total"]) == (untagged, document(run, "costs", *span)["total"])
    assert [m["month"] for m in team["months"]] == ["2026-08", "2026-09", "2026-10", "2026-11"]
    assert team["direction"] in {"rising", "falling", "flat"}
    assert re.search(r"without a team tag: \$[\d,.]+ of \$", told(run, "allocation", "untagged", *span))
    short = told(run, "allocation", "untagged", "--from", "2026-10-01", "--to", "2026-10-10", "--tag", "env")
    assert "too short for a trend (9 complete days; 28 are needed)" in short
    assert "There is no cost in this period" in told(run, "allocation", "untagged", "--period", "2020-01")


def test_budgets_are_set_changed_and_watched(run: Run, home: Path) -> None:
    """Values as the bill writes them, figures beside the forecast, and words where something cannot be told."""
    assert told(run, "budget", "list").startswith("There are no budgets.")
    assert told(run, "budget", "check").startswith("There are no budgets.")
    stored(run, home)
    said = told(
        run, "budget", "set", "web", "--amount", "1,000.50", "--currency", "usd", "--where", "allocation=WEB", *BEN
    )
    assert said == "Budget web: $1,000.50 a month for team web.\n"
    told(run, "budget", "set", "web", "--amount", "16000", "--currency", "USD", "--where", "allocation=web", *BEN)
    told(run, "budget", "set", "euro", "--amount", "100", "--currency", "EUR", "--period", "quarter", *BEN)
    listed = document(run, "budget", "list")["budgets"]
    assert [(b["name"], b["amount"], b["revision"], b["period"]) for b in listed] == [
        ("euro", "100", 1, "quarter"),
        ("web", "16000", 2, "month"),
    ]
    assert "team web" in told(run, "budget", "list")
    euro, web = document(run, "budget", "check")["budgets"]
    asked = ("costs", "--from", "2026-11-01", "--to", "2026-11-24", "--where", "allocation=web")
    assert web["actual"] == document(run, *asked)["total"]
    assert Decimal(web["forecast"]["p50"]) > Decimal(web["actual"])
    assert (euro["actual"], euro["period_name"]) == (None, "Q4 2026")
    assert "no exchange rates to EUR" in euro["problem"]
    shown = told(run, "budget", "check")
    assert re.search(r"^web +November 2026 +\$16,000\.00 +\$[\d,.]+ +\d+% +\$[\d,.]+ +\d+%$", shown, re.MULTILINE)
    assert "euro: Costs in USD are part of it" in shown
    told(run, "budget", "remove", "euro", *BEN)
    assert told(run, "budget", "check", "web").count("2026") >= 1
    assert document(run, "budget", "remove", "web", *BEN)["removed"]["name"] == "web"


def test_a_broken_file_of_rates_spoils_only_what_needs_it(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget in the bill's own currency is judged all the same."""
    (home / "rates.csv").write_text("date,from,to,rate\nyesterday,EUR,USD,2\n")
    monkeypatch.setenv("OPTIINFRA_RATES_FILE", str(home / "rates.csv"))
    for currency in ("EUR", "USD"):
        told(run, "budget", "set", currency.lower(), "--amount", "90000", "--currency", currency, *BEN)
    euro, dollar = document(run, "budget", "check")["budgets"]
    assert "Line 2 of rates.csv is not" in euro["problem"]
    assert dollar["actual"] is not None


def test_a_report_in_another_currency_turns_each_day(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the rate is twice the money, for everybody."""
    stored(run, home)
    days = [f"2026-{m:02}-{d:02},USD,EUR,0.5" for m in (10, 11) for d in (1, 8, 15, 22, 29)]
    (home / "rates.csv").write_text("\n".join(["date,from,to,rate", *days]) + "\n")
    monkeypatch.setenv("OPTIINFRA_RATES_FILE", str(home / "rates.csv"))
    native = document(run, "allocation", "report", "--period", "2026-10")
    euro = document(run, "allocation", "report", "--period", "2026-10", "--currency", "EUR")
    halves = {x["payer"]: Decimal(x["total"]) / 2 for x in native["lines"]}
    assert {x["payer"]: Decimal(x["total"]) for x in euro["lines"]} == pytest.approx(halves)
    assert {x["currency"] for x in euro["lines"]} == {"EUR"}


def test_orders_come_in_and_cost_per_order_comes_out(run: Run, home: Path) -> None:
    """What was read, the ratio, the days left out, and the same file again."""
    said = told(run, "units", "import", "docs/examples/orders.csv")
    assert said.startswith("50 values of orders were read.")
    assert "; 50 were replaced." in told(run, "units", "import", "docs/examples/orders.csv")
    assert document(run, "units", "import", "docs/examples/orders.csv")["metrics"][0]["values"] == 50
    said = told(run, "units", "report", "--metric", "orders", "--period", "2026-10")
    assert re.search(r"^2026-10 +29 +\$[\d,.]+ +\d+ +\$1\.\d\d$", said, re.MULTILINE)
    assert "Without orders: 14-15 Oct 2026 (2 of 31 days)." in said
    quarter = ("--from", "2026-10-01", "--to", "2026-12-01")
    said = told(run, "units", "report", *quarter, "--where", "provider=Vultr")
    assert "all counted days" in said
    assert "0.0" in said
    assert "orders is not split by provider" in said
    assert "Cost not complete, not counted: 23-30 Nov 2026" in said
    made = document(run, "units", "report", *quarter, "--granularity", "total", "--cost", "effective")
    (line,) = made["lines"]
    assert Decimal(line["per_unit"]) == pytest.approx(Decimal(line["cost"]) / Decimal(line["units"]))
    assert (made["unit"], made["metric"], made["gaps"][0]) == ("orders", "effective", "2026-10-14")
    assert "No day of this period" in told(run, "units", "report", "--period", "2020-01")


def database_of(home: Path) -> Database:
    return open_database(f"sqlite:///{home / 'optiinfra.db'}", migrate=False)


def test_the_clock_tells_each_level_once(run: Run, home: Path) -> None:
    """The highest level that is reached and the forecast; the next morning nothing; a new revision anew."""
    from datetime import UTC, datetime

    from bot.app import open_app

    app = open_app(env_file=None)
    morning = datetime(2026, 11, 23, 8, tzinfo=UTC)
    told(run, "budget", "set", "all", "--amount", "66000", "--currency", "USD", *BEN)
    told(
        run,
        "budget",
        "set",
        "aws",
        "--amount",
        "1",
        "--currency",
        "USD",
        "--channel",
        "C0AWS",
        "--where",
        "provider=AWS",
        *BEN,
    )
    told(run, "budget", "set", "euro", "--amount", "1", "--currency", "EUR", *BEN)
    said = app.jobs.budgets(morning)
    assert said.startswith("3 budgets, 3 new alerts; euro: Costs in USD are part of it")
    database = database_of(home)
    with database.read() as tx:
        due = {(w.subject, w.channel) for w in outbox.due(tx, "default", now=morning) if w.topic == "budget"}
        assert due == {
            ("all/1/2026-11-01/actual-80", "C0COSTS"),
            (f"all/1/2026-11-01/{FORECAST}", "C0COSTS"),
            ("aws/1/2026-11-01/actual-100", "C0AWS"),
        }
        kept = {(a.budget, a.level) for a in budgets.alerts_of(tx, "default")}
    assert kept >= {("all", "actual-50"), ("aws", "actual-50"), ("aws", "actual-80")}
    assert app.jobs.budgets(morning).startswith("3 budgets, 0 new alerts")
    told(run, "budget", "set", "aws", "--amount", "2", "--currency", "USD", "--where", "provider=AWS", *BEN)
    assert app.jobs.budgets(morning).startswith("3 budgets, 1 new alerts")
    told(run, "budget", "set", "aws", "--amount", "3", "--currency", "USD", "--where", "provider=AWS", *BEN)
    silent = replace(app.jobs, settings=app.settings.model_copy(update={"digest_channel": ""}))
    assert "aws: no channel is set to tell it in" in silent.budgets(morning)
    digest = document(run, "digest")
    assert "Budget $66,000" in digest["forecast"]["basis"]
    database.dispose()
    app.database.dispose()


def test_the_same_is_answered_in_words(run: Run) -> None:
    """On the demo's story, where services are called like units: without a key, with the figures of the reports."""
    told(run, "allocation", "apply", "docs/examples/allocation.toml", *BEN)
    told(run, "units", "import", "docs/examples/orders.csv")
    told(run, "budget", "set", "everything", "--amount", "90000", "--currency", "USD", *BEN)

    def asked(question: str) -> str:
        answer = document(run, "ask", "--no-llm", question)
        assert answer["status"] == "answered"
        return str(answer["answer"])

    shared = asked("how much did team checkout spend last month including shared costs?")
    lines = document(run, "allocation", "report", "--period", "2026-10")["lines"]
    checkout = Decimal(next(x["total"] for x in lines if x["payer"] == "checkout"))
    assert shared.startswith(f"checkout comes to ${checkout:,.2f}")
    assert "under the budget of $90,000.00" in asked("are we within budget?")
    assert re.match(r"\$1\.\d\d per one of orders ", asked("cost per order in October?"))
