"""`optiinfra collect` and `doctor` as somebody types them who has no cost files, only keys to four clouds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot import cli
from bot.app import open_app
from sandbox import organisation as org
from sandbox import story
from sandbox.clouds import azure, gcp, gcp_things, vultr
from sandbox.clouds.rest import RestCloud, Side
from sandbox.faults import fault_of
from sandbox.inventory import REGION
from sandbox.processes import READY_SECONDS, end_all, ready_ones, start_service
from sandbox.pytest_plugin import Control
from sandbox.serving import listen, url_of
from tests.collection.bills import one_process
from tests.providers.conftest import served

__all__ = ["one_process"]
Type = Callable[..., tuple[int, Any, str]]
CENT = Decimal("0.01")
# The least of which a story is made.
MONTHS = 4
PROVIDERS = ("AWS", "Google Cloud", "Microsoft", "Vultr")
PAYERS = {
    "AWS": org.AWS_PAYER,
    "Google Cloud": org.GCP_BILLING_ACCOUNT,
    "Microsoft": org.AZURE_BILLING_ACCOUNT,
    "Vultr": org.VULTR_BILLING_ACCOUNT,
}


@dataclass
class Clouds:
    """The four of them as of now, and what their bills are."""

    url: str
    aws: Control
    others: dict[str, RestCloud]
    home: Path
    today: date

    @property
    def truth(self) -> dict[str, Any]:
        return story.read_truth(self.home)

    def heal(self) -> None:
        self.aws.delete("fault")
        for cloud in self.others.values():
            cloud.faults.clear()

    def denies(self, provider: str, permission: str) -> None:
        if provider == "AWS":
            self.aws.post("fault", kind="deny", action=permission)
            return
        name = {"Google Cloud": "gcp", "Microsoft": "azure", "Vultr": "vultr"}[provider]
        self.others[name].faults.add(fault_of({"kind": "deny", "action": permission}, rest=True))

    def restate(self, month: date | None) -> None:
        self.aws.post("restate", month=f"{month:%Y-%m}" if month else "")
        for cloud in self.others.values():
            assert cloud.bills is not None
            cloud.bills.restate(month)


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    """AWS in a process of its own, the others in this one, and the same story as files."""
    today = datetime.now(UTC).date()
    home = tmp_path_factory.mktemp("story")
    listener = listen()
    aws_url = url_of(listener)
    child = start_service("aws", home, listener, today=str(today), months=MONTHS, speed=400.0)
    try:
        story.write(home, today=today, months=MONTHS)
        modules = {"gcp": gcp, "azure": azure, "vultr": vultr}
        others: dict[str, RestCloud] = {n: m.build(today=today, months=MONTHS) for n, m in modules.items()}
        list(ready_ones([child], time.monotonic() + READY_SECONDS))
        with served(Side(others)) as url:
            yield Clouds(url, Control(aws_url), others, home, today)
    finally:
        end_all([child])


@pytest.fixture(scope="module")
def installation(
    clouds: Clouds, tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[dict[str, str]]:
    """One installation for the whole file, which knows all four."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "optiinfra.db").write_bytes(sqlite_template.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        # The sandbox's small pages make many questions, and it has no rate limits to respect.
        for flat in ("azure", "vultr", "gcp"):
            patch.setattr(f"tools.providers.{flat}.connection.PER_SECOND", 1000.0)
        yield {
            "OPTIINFRA_HOME": str(folder),
            "OPTIINFRA_LOG_LEVEL": "ERROR",
            "AWS_ENDPOINT_URL": clouds.aws.url,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "OPTIINFRA_AWS_REGIONS": REGION,
            "OPTIINFRA_AWS_ACCOUNTS": f"{org.AWS_PAYER},{org.AWS_STAGING}",
            "OPTIINFRA_AWS_READER_ROLE": "optiinfra-reader",
            "OPTIINFRA_AWS_COST_EXPLORER_ACCOUNTS": org.AWS_PAYER,
            "OPTIINFRA_AWS_COST_EXPLORER_REQUESTS": "500",
            "OPTIINFRA_GCP_ENDPOINT": f"{clouds.url}/gcp",
            "OPTIINFRA_GCP_PROJECTS": ",".join(gcp_things.PROJECTS),
            "OPTIINFRA_GCP_TOKEN": gcp.TOKEN,
            "OPTIINFRA_GCP_BILLING_TABLE": gcp.BILLING_TABLE,
            "OPTIINFRA_AZURE_ENDPOINT": f"{clouds.url}/azure",
            "OPTIINFRA_AZURE_SUBSCRIPTIONS": ",".join(azure.SUBSCRIPTIONS),
            "OPTIINFRA_AZURE_TOKEN": azure.TOKEN,
            "OPTIINFRA_VULTR_ENDPOINT": f"{clouds.url}/vultr",
            "VULTR_API_KEY": vultr.API_KEY,
        }


@pytest.fixture
def type_(
    clouds: Clouds,
    installation: dict[str, str],
    one_process: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Type]:
    """Run one command there; gives exit code, document and stderr."""
    clouds.heal()
    monkeypatch.chdir(installation["OPTIINFRA_HOME"])
    for name, value in installation.items():
        monkeypatch.setenv(name, value)
    for module in ("standard.ExponentialBackoff.delay_amount", "bucket.TokenBucket.acquire"):
        monkeypatch.setattr(f"botocore.retries.{module}", lambda *_, **__: 0.0)

    def run(*words: str) -> tuple[int, Any, str]:
        code = cli.main(words)
        said = capsys.readouterr()
        return code, json.loads(said.out) if "--json" in words and said.out else said.out, said.err

    yield run
    clouds.heal()


def lines(document: Any) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {(p["provider"], a["id"], a["what"]): a for p in document["providers"] for a in p["accounts"]}


def stored(type_: Type, clouds: Clouds, metric: str, by: str) -> dict[tuple[str, str], Decimal]:
    """What `optiinfra costs` says, by provider or account, and month."""
    asked = ("--from", clouds.truth["first_day"], "--to", str(clouds.today), "--by", by, "--granularity", "month")
    _, costs, _ = type_("costs", *asked, "--metric", metric, "--json")
    return {(row[by], row["period"]["start"][:7]): Decimal(row["cost"]) for row in costs["rows"]}


def test_all_months_of_all_clouds_come_to_the_cent_and_only_once(type_: Type, clouds: Clouds) -> None:
    """Billed and effective of every provider, account and month; a second collection changes nothing."""
    code, document, _ = type_("collect", "--json")
    assert code == 0
    told = lines(document)
    assert {line["status"] for line in told.values()} == {"complete"}, told
    assert {key for key in told if key[2] == "costs (API)"} == {(p, a, "costs (API)") for p, a in PAYERS.items()}
    assert sum(key[2] == "inventory" for key in told) == 2 + 3 + 2 + 1
    truth = clouds.truth
    names = truth["provider_names"]
    for metric in ("billed", "effective"):
        due = {(names[t["provider"]], t["period"]): Decimal(t[f"{metric}_cost"]) for t in truth["totals"]}
        found = stored(type_, clouds, metric, "provider")
        assert set(found) == set(due)
        assert len(found) == len(PROVIDERS) * MONTHS
        assert all(abs(found[key] - due[key]) < CENT for key in due)
        of_accounts = {(t["sub_account_id"], t["period"]): Decimal(t[f"{metric}_cost"]) for t in truth["accounts"]}
        by_account = stored(type_, clouds, metric, "sub_account_id")
        known = {key: cost for key, cost in of_accounts.items() if not key[0].startswith("lumen-vultr")}
        assert all(abs(by_account[key] - cost) < CENT for key, cost in known.items())
    again = open_app().jobs.collect(datetime.now(UTC))
    assert "(0 new)" in again, again


@pytest.mark.prove
def test_a_month_that_is_restated_is_replaced_and_the_difference_told(type_: Type, clouds: Clouds) -> None:
    """On every cloud, to the cent, and back again; no other month moves."""
    last = max(t["period"] for t in clouds.truth["totals"] if t["period"] < f"{clouds.today:%Y-%m}")
    if not (before := stored(type_, clouds, "billed", "provider")):
        type_("collect", "--json")
        before = stored(type_, clouds, "billed", "provider")
    clouds.restate(date.fromisoformat(f"{last}-01"))
    with pytest.MonkeyPatch.context() as later:
        # Cost Explorer's answers are kept for as long as Amazon does not renew its data.
        later.setattr("tools.store.paid_requests.StoredPaidRequests.recall", lambda *_: None)
        _, document, _ = type_("collect", "--json")
        told = lines(document)
        after = stored(type_, clouds, "billed", "provider")
        for provider, payer in PAYERS.items():
            (replaced,) = told[provider, payer, "costs (API)"]["replaced"]
            assert replaced["period"] == last
            (difference,) = replaced["differences"]
            change = after[provider, last] - before[provider, last]
            assert change < 0
            assert Decimal(difference["billed_cost"]) == change
            assert "was restated" in replaced["told"]
        assert {key: cost for key, cost in after.items() if key[1] != last} == {
            key: cost for key, cost in before.items() if key[1] != last
        }
        clouds.restate(None)
        _, text, _ = type_("collect")
        assert text.count("was restated") == len(PROVIDERS)
    assert stored(type_, clouds, "billed", "provider") == before


def test_accounts_in_files_are_left_to_the_files(
    type_: Type, clouds: Clouds, tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bill through two doors counts once."""
    (tmp_path / "optiinfra.db").write_bytes(sqlite_template.read_bytes())
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path))
    monkeypatch.setenv("OPTIINFRA_FOCUS_PATHS", str(clouds.home / "focus" / "vultr"))
    _, document, _ = type_("collect", "--provider", "Vultr", "--json")
    told = lines(document)
    assert told["Vultr", org.VULTR_BILLING_ACCOUNT, "costs"]["status"] == "complete"
    skipped = told["Vultr", org.VULTR_BILLING_ACCOUNT, "costs (API)"]
    assert (skipped["status"], skipped["problem"]) == ("complete", "left to the FOCUS files that hold this account")


def test_what_could_not_be_read_is_named_and_hides_nothing(type_: Type, clouds: Clouds) -> None:
    """Costs and disks may not be read at Azure; everything else is complete all the same."""
    clouds.denies("Microsoft", azure.COSTS)
    clouds.denies("Microsoft", "Microsoft.Compute/disks/read")
    code, document, _ = type_("collect", "--json")
    told = lines(document)
    assert code == 0
    costs = told["Microsoft", org.AZURE_BILLING_ACCOUNT, "costs (API)"]
    assert (costs["status"], costs["missing_permissions"]) == ("failed", [azure.COSTS])
    inventory = told["Microsoft", f"/subscriptions/{org.AZURE_CORPORATE}", "inventory"]
    assert (inventory["status"], inventory["missing_permissions"]) == ("failed", ["Microsoft.Compute/disks/read"])
    others = [line for (provider, *_), line in told.items() if provider != "Microsoft"]
    assert {line["status"] for line in others} == {"complete"}


# Four that are taken away at once, one at each cloud: each must be named there, and nothing else.
TAKEN = (
    ("ec2:DescribeVolumes", "compute.disks.list", "Microsoft.Compute/disks/read", "loadbalancer"),
    ("rds:DescribeDBInstances", "cloudsql.instances.list", "Microsoft.Network/publicIPAddresses/read", "billing"),
    (
        "s3:GetLifecycleConfiguration",
        "monitoring.timeSeries.list",
        "Microsoft.Storage/storageAccounts/read",
        "subscriptions_view",
    ),
)


@pytest.mark.parametrize("taken", TAKEN, ids=lambda taken: taken[0])
def test_doctor_names_the_one_missing_permission_of_each_cloud(
    type_: Type, clouds: Clouds, taken: tuple[str, ...]
) -> None:
    """Twelve different ones over the four clouds, each with who has to be granted it."""
    for provider, permission in zip(PROVIDERS, taken, strict=True):
        clouds.denies(provider, permission)
    code, document, _ = type_("doctor", "--json")
    assert code == 1
    for provider, permission in zip(PROVIDERS, taken, strict=True):
        mine = [c for c in document["checks"] if c["name"].startswith(f"{provider} ") and c["status"] == "failed"]
        assert mine, (provider, permission)
        for check in mine:
            assert f"missing: {permission}" in check["detail"]
            assert check["fix"].startswith(f"Grant {permission} to "), check


def test_doctor_finds_four_clouds_well_and_asks_nothing_that_costs(type_: Type, clouds: Clouds) -> None:
    """With who looks, and that it only reads."""
    paid = clouds.aws.get("calls").get("ce:GetCostAndUsage", 0)
    _, document, _ = type_("doctor", "--json")
    mine = [c for c in document["checks"] if c["name"].startswith(PROVIDERS)]
    assert {check["status"] for check in mine} == {"ok"}, mine
    assert len(mine) == 2 + 3 + 2 + 1 + len(PROVIDERS)
    assert clouds.aws.get("calls").get("ce:GetCostAndUsage", 0) == paid


def test_nothing_connected_says_what_there_is_to_connect(type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new installation."""
    for name in (
        "VULTR_API_KEY",
        "OPTIINFRA_AZURE_SUBSCRIPTIONS",
        "OPTIINFRA_AWS_REGIONS",
        "OPTIINFRA_AWS_COST_EXPLORER_ACCOUNTS",
        "OPTIINFRA_GCP_PROJECTS",
        "OPTIINFRA_GCP_BILLING_TABLE",
    ):
        monkeypatch.delenv(name)
    code, _, told = type_("collect")
    assert code == 1
    assert "VULTR_API_KEY" in told
