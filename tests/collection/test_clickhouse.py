"""Cost facts in ClickHouse: published by the ledger alone, swept later, and every refusal in a sentence."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, make_url, select, text, update
from sqlalchemy.dialects import registry
from sqlalchemy.exc import NoSuchModuleError

from bot.app import App
from bot.terminal import doctor
from tests.collection.bills import NOW, bill, read
from tests.collection.stores import NOVEMBER, OCTOBER, billed, costs_of, facts_in
from tools.model.errors import OptiInfraError, SettingsError
from tools.model.load import LoadStatus
from tools.model.query import CostQuery
from tools.settings import Settings
from tools.store import charge_writing
from tools.store import facts as places
from tools.store.database import Database, open_database
from tools.store.fact_tables import fact_leftovers, facts

pytestmark = pytest.mark.usefixtures("one_process")
SEED = 20261125
DYING = """
import os, signal, sys
from datetime import UTC, datetime
from tools.collection.charges import ingest
from tools.store import charge_writing, loads
from tools.store.database import open_database
room, name = {"written": (charge_writing, "replace"), "recorded": (loads, "record")}[sys.argv[4]]
done = getattr(room, name)
def die(*args, **options):
    done(*args, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(room, name, die)
database = open_database(sys.argv[1], sys.argv[2], migrate=False)
ingest(database, "default", [sys.argv[3]], tag_keys=("team", "env"), detail_months=4,
       now=lambda: datetime(2026, 11, 23, 8, tzinfo=UTC))
"""


@pytest.mark.prove
@pytest.mark.timeout(900)
@pytest.mark.fact_stores(only="clickhouse")
def test_fifty_loads_killed_at_any_moment_leave_old_or_new(
    database: Database, database_url: str, facts_url: str, tmp_path: Path
) -> None:
    """Nobody chose the moments; after each, every level adds up to the ledger's load, and a rerun completes."""
    bills = [
        bill(tmp_path / f"{n}.csv", *({"ResourceId": f"r{n}-{m}", "BilledCost": str(n + 1)} for m in range(400)))
        for n in range(2)
    ]
    read(database, bills[0])
    code = DYING.split("room, name")[0] + DYING[DYING.index("database = open") :]
    dice = random.Random(SEED)
    for number in range(50):
        arguments = [database_url, facts_url, str(bills[(number + 1) % 2]), "-"]
        process = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=Path(__file__).resolve().parents[2])
        time.sleep(dice.uniform(0.8, 2.2))
        process.kill()
        process.wait()
        seen = {
            query.by: dict(costs_of(database).table(query).totals)["USD"]
            for query in (CostQuery(OCTOBER, by=by) for by in ((), ("region_id",), ("resource_id",)))
        }
        assert set(seen.values()) in ({Decimal(400)}, {Decimal(800)}), number
    (load,) = read(database, bills[1])
    assert (load.rows, billed(database)) == (400, 800)
    places.sweep(database, now=NOW + timedelta(days=1))
    assert facts_in(database, 3) == 400


@pytest.mark.fact_stores(only="clickhouse")
def test_a_killed_load_is_never_seen_and_swept_later(
    database: Database, database_url: str, facts_url: str, tmp_path: Path
) -> None:
    """Killed before the ledger names it, a load leaves the old answers; a rerun brings the new; nothing stays behind."""
    read(database, bill(tmp_path / "old.csv", *({"ResourceId": f"r{n}"} for n in range(30))))
    new = bill(tmp_path / "new.csv", *({"ResourceId": f"s{n}", "BilledCost": "2"} for n in range(50)))
    for point in ("written", "recorded"):
        killed = subprocess.run(
            [sys.executable, "-c", DYING, database_url, facts_url, str(new), point],
            cwd=Path(__file__).resolve().parents[2],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        assert billed(database) == 45, point
        assert costs_of(database).table(CostQuery(OCTOBER, by=("resource_id",))).rows[0].keys[0].startswith("r")
    (load,) = read(database, new)
    assert (load.status, billed(database)) == (LoadStatus.REPLACED, 100)
    places.sweep(database, now=NOW + timedelta(minutes=59))
    assert facts_in(database, 3) == 30 + 3 * 50
    places.sweep(database, now=NOW + timedelta(minutes=61))
    assert (facts_in(database, 3), billed(database)) == (50, 100)
    with database.read() as tx:
        assert tx.execute(select(func.count()).select_from(fact_leftovers)).scalar_one() == 0


@pytest.mark.fact_stores(only="clickhouse")
def test_facts_of_another_store_are_not_seen_until_they_are_read_again(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """After a move the ledger speaks only of what lies where the facts are now; the way back works the same."""
    path = bill(tmp_path / "a.csv", {})
    read(database, path)
    beside = open_database(database_url, migrate=False)
    assert (billed(beside), costs_of(beside).span(), costs_of(beside).currencies()) == (0, None, ())
    assert [load.status for load in read(beside, path)] == [LoadStatus.LOADED]
    assert (billed(beside), costs_of(beside).values("service_name")) == (Decimal("1.5"), ("Amazon S3",))
    assert costs_of(database).span() is None
    assert [load.status for load in read(database, path)] == [LoadStatus.LOADED]
    assert (billed(database), facts_in(beside)) == (Decimal("1.5"), 0)
    beside.dispose()


@pytest.mark.fact_stores(only="clickhouse")
def test_a_reader_with_an_old_ledger_keeps_its_answer(database: Database, tmp_path: Path) -> None:
    """A load that is replaced while somebody looks: that look ends with what it began with."""
    read(database, bill(tmp_path / "a.csv", {}))
    costs, query = costs_of(database), CostQuery(OCTOBER)
    with database.read() as tx:
        before = costs.seen(tx, query).rows
        read(database, bill(tmp_path / "b.csv", {"BilledCost": "7"}))
        assert costs.seen(tx, query).rows == before
    assert billed(database) == 7


@pytest.mark.fact_stores(only="clickhouse")
def test_a_writer_that_slept_too_long_publishes_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was cleared away meanwhile is not called loaded."""
    read(database, bill(tmp_path / "a.csv", {}))
    whole = charge_writing.added_up

    def late(*args: Any) -> Any:
        told = whole(*args)
        args[0].execute(update(fact_leftovers).values(claimed=True))
        return told

    monkeypatch.setattr(charge_writing, "added_up", late)
    with pytest.raises(OptiInfraError, match="Storing took so long"):
        read(database, bill(tmp_path / "b.csv", {"BilledCost": "7"}))
    assert billed(database) == Decimal("1.5")


@pytest.mark.fact_stores(only="clickhouse")
def test_a_table_that_is_not_ours_is_left_alone(database_url: str, facts_url: str) -> None:
    """Somebody else's cost_facts: nothing is read from it, and nothing put in."""
    admin = create_engine(facts_url)
    with admin.connect() as connection:
        connection.execute(text("CREATE TABLE cost_facts (x Int8) ENGINE = MergeTree ORDER BY x COMMENT 'mine'"))
    database = open_database(database_url, facts_url, migrate=False)
    with pytest.raises(SettingsError, match="has a table cost_facts that this version did not make"):
        costs_of(database).span()
    database.dispose()
    admin.dispose()


@pytest.mark.fact_stores(only="clickhouse")
def test_doctor_says_where_facts_lie_and_whether_they_add_up(
    database: Database, facts_url: str, tmp_path: Path
) -> None:
    """Found whole; found short after somebody deleted a row; and unreachable is told as such."""
    read(database, bill(tmp_path / "a.csv", {}, NOVEMBER))
    app = App(Settings(_env_file=None, home=tmp_path), database)  # type: ignore[call-arg]  # pydantic-settings' own
    name = make_url(facts_url).database
    (told,) = doctor._cost_facts(app)
    assert (told.status, told.detail) == (
        "ok",
        f"ClickHouse at 127.0.0.1, database {name}, adds up to what was loaded",
    )
    assert database.facts is not None
    statement = select(facts.c.series_id).where(facts.c.level == 1, facts.c.day < OCTOBER.end)
    (row,) = database.facts.rows(statement)
    database.facts.delete([row.series_id >> 24], 1)
    (told,) = doctor._cost_facts(app)
    assert (told.status, "does not add up" in told.detail) == ("failed", True)


@pytest.mark.fact_stores(only="clickhouse")
def test_a_server_that_refuses_is_told_in_its_own_word(
    database: Database, facts_url: str, sqlite_template: Path
) -> None:
    """A database that is not there, a row that does not fit, a server that is down for a moment."""
    told = _told(facts_url + "x", sqlite_template)
    assert "did not do what was asked (UNKNOWN_DATABASE)" in told
    assert "Check the user, the password and the database" in told
    assert database.facts is not None
    assert database.facts.id
    broken = sqlite_template.parent / "broken.csv"
    broken.write_text("default,1,not a day\n", encoding="utf-8")
    with pytest.raises(OptiInfraError, match=r"did not do what was asked \([A-Z_]+\)"):
        database.facts.insert(facts, ("tenant", "level", "day"), [broken], load_id=1, facts_id=2)


def _told(url: str, state: Path) -> str:
    database = open_database(f"sqlite:///{state}", url, migrate=False)
    with pytest.raises(OptiInfraError) as refused:
        costs_of(database).span()
    database.dispose()
    return str(refused.value)


def test_a_store_that_cannot_be_used_is_told_in_a_sentence(
    sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody answers; no library; no ClickHouse; no URL. Secrets of the URL stay out of the sentence."""
    nobody = _told("clickhousedb://me:hidden@127.0.0.1:1/facts", sqlite_template)
    assert nobody.startswith("ClickHouse at 127.0.0.1:1 did not answer. Nothing was changed. Check OPTIINFRA_FACTS_URL")
    for url in ("postgresql://me@host/facts", "clickhousedb:///facts", "not a url"):
        with pytest.raises(SettingsError, match="OPTIINFRA_FACTS_URL"):
            open_database(f"sqlite:///{sqlite_template}", url, migrate=False)
    found = registry.load
    monkeypatch.setattr(registry, "load", lambda name: found(name) if "clickhouse" not in name else _no_dialect(name))
    assert "pip install 'optiinfra-cost-agent[clickhouse]'" in _told("clickhousedb://127.0.0.1/facts", sqlite_template)


def _no_dialect(name: str) -> None:
    raise NoSuchModuleError(name)
