"""`optiinfra collect` as somebody types it who has no cost files, only keys to Azure and Vultr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot import cli
from bot.app import open_app
from sandbox import story
from sandbox.clouds import azure, vultr
from sandbox.clouds.rest import RestCloud, Side
from sandbox.faults import fault_of
from sandbox.organisation import AZURE_BILLING_ACCOUNT, AZURE_CORPORATE, VULTR_BILLING_ACCOUNT
from tests.collection.bills import one_process
from tests.providers.conftest import served

__all__ = ["one_process"]
Type = Callable[..., tuple[int, Any, str]]
CENT = Decimal("0.01")


@pytest.fixture(scope="module")
def today() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def clouds(today: datetime) -> Iterator[tuple[str, dict[str, RestCloud]]]:
    """Azure and Vultr as of now, in one process."""
    both = {module.__name__.rpartition(".")[2]: module.build(today=today.date(), months=4) for module in (azure, vultr)}
    with served(Side(both)) as url:
        yield url, both


@pytest.fixture(scope="module")
def home(today: datetime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same story as files."""
    folder = tmp_path_factory.mktemp("story")
    story.write(folder, today=today.date(), months=4)
    return folder


@pytest.fixture
def type_(
    clouds: tuple[str, dict[str, RestCloud]],
    tmp_path: Path,
    sqlite_template: Path,
    one_process: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Type:
    """Run one command in an installation of its own that knows both clouds; gives exit code, document and stderr."""
    url, both = clouds
    for cloud in both.values():
        cloud.faults.clear()
    (tmp_path / "optiinfra.db").write_bytes(sqlite_template.read_bytes())
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "OPTIINFRA_HOME": str(tmp_path),
        "OPTIINFRA_LOG_LEVEL": "ERROR",
        "OPTIINFRA_AZURE_ENDPOINT": f"{url}/azure",
        "OPTIINFRA_AZURE_SUBSCRIPTIONS": ",".join(azure.SUBSCRIPTIONS),
        "OPTIINFRA_AZURE_TOKEN": azure.TOKEN,
        "OPTIINFRA_VULTR_ENDPOINT": f"{url}/vultr",
        "VULTR_API_KEY": vultr.API_KEY,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("OPTIINFRA_AWS_REGIONS", raising=False)
    # The sandbox's small pages make many questions, and it has no rate limits to respect.
    for flat in ("azure", "vultr"):
        monkeypatch.setattr(f"tools.providers.{flat}.connection.PER_SECOND", 1000.0)

    def run(*words: str) -> tuple[int, Any, str]:
        code = cli.main(words)
        said = capsys.readouterr()
        return code, json.loads(said.out) if "--json" in words and said.out else said.out, said.err

    return run


def lines(document: Any) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {(p["provider"], a["id"], a["what"]): a for p in document["providers"] for a in p["accounts"]}


def test_all_months_of_both_clouds_come_to_the_cent_and_only_once(type_: Type, home: Path) -> None:
    """Costs and inventory of every account; a second collection changes nothing."""
    code, document, _ = type_("collect", "--json")
    assert code == 0
    told = lines(document)
    assert {line["status"] for line in told.values()} == {"complete"}, told
    assert set(told) >= {
        ("Microsoft", AZURE_BILLING_ACCOUNT, "costs (API)"),
        ("Microsoft", f"/subscriptions/{AZURE_CORPORATE}", "inventory"),
        ("Vultr", VULTR_BILLING_ACCOUNT, "costs (API)"),
        ("Vultr", VULTR_BILLING_ACCOUNT, "inventory"),
    }
    truth = story.read_truth(home)
    names = truth["provider_names"]
    wanted = {
        (names[t["provider"]], t["period"]): (Decimal(t["billed_cost"]), Decimal(t["effective_cost"]))
        for t in truth["totals"]
        if t["provider"] in {"azure", "vultr"}
    }
    for number, metric in enumerate(("billed", "effective")):
        asked = ("--from", truth["first_day"], "--to", str(datetime.now(UTC).date()), "--by", "provider")
        _, costs, _ = type_("costs", *asked, "--granularity", "month", "--metric", metric, "--json")
        found = {(row["provider"], row["period"]["start"][:7]): Decimal(row["cost"]) for row in costs["rows"]}
        assert set(found) == set(wanted)
        assert all(abs(found[key] - wanted[key][number]) < CENT for key in wanted)
    again = open_app().jobs.collect(datetime.now(UTC))
    assert again.startswith("4 cost partitions (0 new), 3 accounts")


def test_accounts_in_files_are_left_to_the_files(type_: Type, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bill through two doors counts once."""
    monkeypatch.setenv("OPTIINFRA_FOCUS_PATHS", str(home / "focus" / "vultr"))
    _, document, _ = type_("collect", "--provider", "Vultr", "--json")
    told = lines(document)
    assert told["Vultr", VULTR_BILLING_ACCOUNT, "costs"]["status"] == "complete"
    skipped = told["Vultr", VULTR_BILLING_ACCOUNT, "costs (API)"]
    assert (skipped["status"], skipped["problem"]) == ("complete", "left to the FOCUS files that hold this account")


def test_what_could_not_be_read_is_named_and_hides_nothing(
    type_: Type, clouds: tuple[str, dict[str, RestCloud]]
) -> None:
    """One permission is missing at Azure; Vultr is complete all the same, and doctor names it."""
    clouds[1]["azure"].faults.add(fault_of({"kind": "deny", "action": azure.COSTS}, rest=True))
    clouds[1]["azure"].faults.add(fault_of({"kind": "deny", "action": "Microsoft.Compute/disks/read"}, rest=True))
    code, document, _ = type_("collect", "--json")
    told = lines(document)
    assert code == 0
    costs = told["Microsoft", AZURE_BILLING_ACCOUNT, "costs (API)"]
    assert (costs["status"], costs["missing_permissions"]) == ("failed", [azure.COSTS])
    inventory = told["Microsoft", f"/subscriptions/{AZURE_CORPORATE}", "inventory"]
    assert (inventory["status"], inventory["missing_permissions"]) == ("failed", ["Microsoft.Compute/disks/read"])
    assert told["Vultr", VULTR_BILLING_ACCOUNT, "costs (API)"]["status"] == "complete"
    code, document, _ = type_("doctor", "--json")
    check = next(c for c in document["checks"] if c["name"] == f"Microsoft /subscriptions/{AZURE_CORPORATE}")
    assert (check["status"], "Microsoft.Compute/disks/read" in check["fix"]) == ("failed", True)


def test_nothing_connected_says_what_there_is_to_connect(type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new installation."""
    for name in ("VULTR_API_KEY", "OPTIINFRA_AZURE_SUBSCRIPTIONS"):
        monkeypatch.delenv(name)
    code, _, told = type_("collect")
    assert code == 1
    assert "VULTR_API_KEY" in told
