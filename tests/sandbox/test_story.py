"""The organisation's bills: exact, lawful, the same for the same seed, and true to the truth beside them."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sandbox import inventory as have
from sandbox import organisation as org
from sandbox import story
from sandbox.pytest_plugin import STORY_TODAY

MANDATORY = [
    "BilledCost",
    "EffectiveCost",
    "ListCost",
    "ContractedCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "InvoiceIssuerName",
    "ServiceName",
    "ServiceCategory",
    "PricingQuantity",
    "PricingUnit",
]
Row = dict[str, Any]
SHORT = 4


def read(path: Path) -> Iterator[Row]:
    """The rows of a file, amounts as text, whatever its format."""
    if path.suffix == ".parquet":
        with duckdb.connect() as database:
            found = database.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [str(path)])
            names = [column[0] for column in found.description]
            for values in found.fetchall():
                yield dict(zip(names, values, strict=True))
        return
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from csv.DictReader(text.decode("utf-8-sig").splitlines())


def number(row: Row, column: str) -> Decimal:
    return Decimal(row[column]) if row[column] not in (None, "") else Decimal(0)


@pytest.fixture(scope="module")
def rows(story_dir: Path, story_truth: dict[str, Any]) -> dict[tuple[str, str], list[Row]]:
    """All rows per provider and period, read as an outsider reads them."""
    return {(f["provider"], f["period"]): list(read(story_dir / f["path"])) for f in story_truth["files"]}


def of_provider(rows: dict[tuple[str, str], list[Row]], provider: str) -> list[Row]:
    return [row for (name, _), found in rows.items() if name == provider for row in found]


def test_thirteen_months_of_four_clouds_are_there(story_truth: dict[str, Any]) -> None:
    """Each provider has a file of each month up to the current one, 60 to 100 thousand rows together."""
    periods = sorted({f["period"] for f in story_truth["files"]})
    assert (len(periods), periods[-1]) == (13, f"{STORY_TODAY:%Y-%m}")
    assert len(story_truth["files"]) == 4 * 13
    assert 60_000 <= sum(total["rows"] for total in story_truth["totals"]) <= 100_000
    assert story_truth["last_day"] == (STORY_TODAY - timedelta(days=1)).isoformat()


def test_the_files_hold_the_totals_that_the_truth_tells(
    rows: dict[tuple[str, str], list[Row]], story_truth: dict[str, Any]
) -> None:
    """Billed and effective cost per provider and month, and per service, agree to the last digit."""
    for total in story_truth["totals"]:
        found = rows[total["provider"], total["period"]]
        assert sum(number(row, "BilledCost") for row in found) == Decimal(total["billed_cost"])
        assert sum(number(row, "EffectiveCost") for row in found) == Decimal(total["effective_cost"])
        assert len(found) == total["rows"]
    services: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for (provider, period), found in rows.items():
        for row in found:
            services[provider, row["ServiceName"], period] += number(row, "BilledCost")
    told = {(s["provider"], s["service_name"], s["period"]): Decimal(s["billed_cost"]) for s in story_truth["services"]}
    assert services == told


def test_every_file_has_its_versions_columns(rows: dict[tuple[str, str], list[Row]]) -> None:
    """The mandatory columns are there; Vultr's 1.4 has no ProviderName any more, the others have."""
    for (provider, _), found in rows.items():
        assert set(MANDATORY) <= set(found[0])
        modern = {"ServiceProviderName", "HostProviderName"}
        expected = modern if provider == "vultr" else {"ProviderName", "PublisherName"}
        assert expected <= set(found[0])
        assert ("ProviderName" in found[0]) is (provider != "vultr")
    assert len([c for c in rows["aws", "2026-10"][0] if not c.startswith("x_")]) == 57


def test_amounts_follow_from_prices_and_quantities(rows: dict[tuple[str, str], list[Row]]) -> None:
    """List and contracted cost are unit price times quantity, exactly, wherever there is a price."""
    for found in rows.values():
        for row in found:
            if row["ListUnitPrice"] not in (None, ""):
                assert number(row, "ListCost") == number(row, "ListUnitPrice") * number(row, "PricingQuantity")
                assert number(row, "ContractedCost") == number(row, "ContractedUnitPrice") * number(
                    row, "PricingQuantity"
                )


def test_effective_cost_is_billed_cost_in_the_whole_and_per_commitment(
    rows: dict[tuple[str, str], list[Row]], story_truth: dict[str, Any]
) -> None:
    """Nothing is lost by amortising: in each month, and for each commitment used and unused make up the purchase."""
    for found in rows.values():
        assert sum(number(r, "BilledCost") for r in found) == sum(number(r, "EffectiveCost") for r in found)
    for commitment in story_truth["commitments"]:
        mine = [r for r in of_provider(rows, commitment["provider"]) if r["CommitmentDiscountId"] == commitment["id"]]
        bought = [r for r in mine if r["ChargeCategory"] == "Purchase"]
        assert all(number(row, "EffectiveCost") == 0 for row in bought)
        by_status: dict[str, Decimal] = defaultdict(Decimal)
        for row in mine:
            by_status[row["CommitmentDiscountStatus"] or ""] += number(row, "EffectiveCost")
        assert by_status["Used"] == Decimal(commitment["used"]) > 0
        assert by_status["Unused"] == Decimal(commitment["unused"]) > 0
        assert sum(number(row, "BilledCost") for row in bought) == by_status["Used"] + by_status["Unused"]


def test_services_and_prices_are_named_consistently(rows: dict[tuple[str, str], list[Row]]) -> None:
    """A service has one category, a price belongs to one SKU, and money is US dollars."""
    categories: dict[str, set[str]] = defaultdict(set)
    skus: dict[str, set[str]] = defaultdict(set)
    for found in rows.values():
        for row in found:
            categories[row["ServiceName"]].add(row["ServiceCategory"])
            skus[row["SkuPriceId"] or ""].add(row["SkuId"] or "")
            assert row["BillingCurrency"] == "USD"
    assert {len(found) for found in categories.values()} == {1}
    assert {len(found) for found in skus.values()} == {1}


def test_all_charge_categories_appear_and_only_credits_and_refunds_are_negative(
    rows: dict[tuple[str, str], list[Row]],
) -> None:
    """Usage, Purchase, Tax, Credit and Adjustment are there, one correction, and no negative usage."""
    aws = of_provider(rows, "aws")
    assert {row["ChargeCategory"] for row in aws} == {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}
    assert [row["ChargeCategory"] for row in aws if row["ChargeClass"] == "Correction"] == ["Adjustment"]
    negative = {row["ChargeCategory"] for found in rows.values() for row in found if number(row, "BilledCost") < 0}
    assert negative == {"Credit", "Adjustment"}


def test_the_bill_names_what_exists(rows: dict[tuple[str, str], list[Row]]) -> None:
    """Each instance, volume, snapshot and address of the inventory is on the bill of its account, under its id."""
    billed = {(row["ResourceId"], row["SubAccountId"]) for row in rows["aws", "2026-10"]}
    things = (*have.INSTANCES, *have.VOLUMES, *have.SNAPSHOTS, *have.ADDRESSES)
    young = {s.id for s in have.SNAPSHOTS if s.age_days < 30}
    assert {(thing.id, thing.account_id) for thing in things if thing.id not in young} <= billed


def test_each_provider_keeps_its_own_habits(story_dir: Path, rows: dict[tuple[str, str], list[Row]]) -> None:
    """Azure: a byte order mark, minutes only, capital tag keys, no price for reserved usage. Google: times with UTC."""
    azure = next((story_dir / "focus" / "azure").rglob("*.csv"))
    assert azure.read_bytes().startswith(b"\xef\xbb\xbf")
    row = rows["azure", "2026-10"][0]
    assert row["ChargePeriodStart"].endswith("T00:00Z")
    assert "Team" in json.loads(row["Tags"])
    reserved = [r for r in rows["azure", "2026-10"] if r["CommitmentDiscountStatus"] == "Used"]
    assert {(r["ListCost"], r["ContractedCost"]) for r in reserved} == {("0", "0")}
    assert rows["gcp", "2026-10"][0]["ChargePeriodStart"].endswith(" UTC")
    aws = story_dir / "focus" / "aws" / "lumen-focus-1-2"
    manifest = json.loads((aws / "metadata/BILLING_PERIOD=2026-10/lumen-focus-1-2-Manifest.json").read_text())
    assert [c["name"] for c in manifest["columns"]] == list(rows["aws", "2026-10"][0])
    assert manifest["dataFiles"][0].endswith("data/BILLING_PERIOD=2026-10/lumen-focus-1-2-00001.snappy.parquet")


def test_some_cost_has_no_team(story_truth: dict[str, Any]) -> None:
    """Between 5 and 30 percent of the money carries no team tag, as in life."""
    spent: dict[bool, Decimal] = defaultdict(Decimal)
    for team in story_truth["teams"]:
        spent[bool(team["team"])] += Decimal(team["billed_cost"])
    assert Decimal("0.05") < spent[False] / (spent[True] + spent[False]) < Decimal("0.3")


def test_the_spike_is_the_headline_and_lies_in_complete_days(
    rows: dict[tuple[str, str], list[Row]], story_truth: dict[str, Any]
) -> None:
    """S3 requests of one bucket go from about 62 to about 960 USD a day, six days before today, as the files show."""
    spike = next(a for a in story_truth["anomalies"] if a["headline"])
    assert spike["start"] == (STORY_TODAY - timedelta(days=6)).isoformat()
    complete = [day for day in spike["per_day"] if day["complete"]]
    assert len(complete) == 4
    for day in complete:
        assert Decimal(55) < Decimal(day["expected"]) < Decimal(70)
        assert Decimal(860) < Decimal(day["actual"]) < Decimal(1060)
        # AWS's own file says the same of the bucket's requests on that day.
        found = [
            row
            for row in rows["aws", day["day"][:7]]
            if row["ResourceId"] == have.CLICKSTREAM_BUCKET
            and row["SkuMeter"] == "EU-Requests-Tier1"
            and row["ChargePeriodStart"].date().isoformat() == day["day"]
        ]
        assert sum(number(row, "EffectiveCost") for row in found) == Decimal(day["actual"])
    others = [Decimal(a["extra"]) for a in story_truth["anomalies"] if not a["headline"]]
    assert Decimal(spike["extra"]) > max(others)


@pytest.mark.parametrize("today", [STORY_TODAY + timedelta(days=offset) for offset in range(7)])
def test_the_lost_weekends_are_over_on_every_weekday(today: date) -> None:
    """Whatever weekday today is, at least two whole weekends of the lost shutdown lie in complete days."""
    from sandbox.story.events import lost_weekend

    first = today + timedelta(days=lost_weekend(today.weekday()))
    assert first.weekday() == 5
    assert first + timedelta(days=8) < today - timedelta(days=2) <= first + timedelta(days=24)


def test_planted_events_show_in_their_series(story_truth: dict[str, Any]) -> None:
    """Each kind is there; ups cost more than expected, downs less; the sums add up from the days."""
    kinds = {a["kind"]: a for a in story_truth["anomalies"]}
    assert set(kinds) == {"spike", "ramp", "lost_weekend", "new_service", "vanished"}
    for event in story_truth["anomalies"]:
        extra = sum(Decimal(day["extra"]) for day in event["per_day"] if day["complete"])
        assert extra == Decimal(event["extra"])
        assert (extra > 0) is (event["direction"] == "up")
        assert event["series"]["service_name"]
        assert event["cause"].endswith(".")
    assert all(day["expected"] == "0" for day in kinds["new_service"]["per_day"])
    assert all(day["actual"] == "0" for day in kinds["vanished"]["per_day"])


def test_the_last_two_days_are_incomplete(rows: dict[tuple[str, str], list[Row]], story_truth: dict[str, Any]) -> None:
    """Yesterday lacks more rows than the day before; the truth says how many and what they will cost."""
    per_day: dict[str, int] = defaultdict(int)
    for row in rows["aws", f"{STORY_TODAY:%Y-%m}"]:
        per_day[row["ChargePeriodStart"].date().isoformat()] += 1
    before, yesterday = story_truth["late"]
    whole = per_day[(STORY_TODAY - timedelta(days=4)).isoformat()]
    assert per_day[yesterday["day"]] < per_day[before["day"]] < whole
    assert 0 < before["rows_missing"] < yesterday["rows_missing"]
    assert Decimal(yesterday["billed_missing"]) > Decimal(before["billed_missing"]) > 0


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(tmp_path: Path) -> None:
    """The story is reproducible to the byte."""
    first, same, other = (
        story.write(tmp_path / name, seed=seed, today=STORY_TODAY, months=SHORT)
        for name, seed in (("first", 7), ("same", 7), ("other", 8))
    )
    assert first == same
    for file in first["files"]:
        bytes_of = [(tmp_path / name / file["path"]).read_bytes() for name in ("first", "same", "other")]
        assert bytes_of[0] == bytes_of[1]
        assert bytes_of[0] != bytes_of[2]
    assert first["totals"] != other["totals"]


def test_a_day_later_only_the_current_month_differs(tmp_path: Path) -> None:
    """Told one day later with the same anchor, late rows have arrived and a day is new; earlier months are unchanged."""
    before = story.write(tmp_path, today=STORY_TODAY, months=SHORT)
    after = story.write(tmp_path, today=STORY_TODAY + timedelta(days=1), anchor=STORY_TODAY, months=SHORT)
    changed = {new["period"] for new, old in zip(after["totals"], before["totals"], strict=True) if new != old}
    assert changed == {f"{STORY_TODAY:%Y-%m}"}
    assert [a["start"] for a in after["anomalies"]] == [a["start"] for a in before["anomalies"]]


def test_a_restatement_changes_one_closed_month_and_tells_it(tmp_path: Path) -> None:
    """One earlier AWS month is corrected downwards; restating twice changes nothing more; the law still holds."""
    first = story.write(tmp_path, today=STORY_TODAY, months=SHORT)
    told = story.restate(tmp_path)
    differing = [(new, old) for new, old in zip(told["totals"], first["totals"], strict=True) if new != old]
    assert len(differing) == 1
    after, before = differing[0]
    assert after["provider"] == "aws"
    assert told["restatement"]["billed_before"] == before["billed_cost"]
    assert told["restatement"]["billed_after"] == after["billed_cost"] == after["effective_cost"]
    assert Decimal(after["billed_cost"]) < Decimal(before["billed_cost"])
    assert story.restate(tmp_path) == told


def test_a_story_of_another_year_leaves_no_file_of_the_earlier_one(tmp_path: Path) -> None:
    """What an earlier story wrote and the new one does not have is removed; what others wrote stays."""
    story.write(tmp_path, today=date(2026, 3, 1), months=SHORT)
    (tmp_path / "focus" / "mine.csv").write_text("not ours")
    told = story.write(tmp_path, today=date(2025, 3, 10), months=SHORT)
    files = {p.relative_to(tmp_path).as_posix() for p in (tmp_path / "focus").rglob("*.csv*")}
    assert files == {f["path"] for f in told["files"] if f["provider"] != "aws"} | {"focus/mine.csv"}


def test_waste_and_savings_are_told(story_truth: dict[str, Any]) -> None:
    """Unattached volumes with ids and cost, idle things, and what spot would honestly save per fleet."""
    volumes = {w["id"]: w["monthly_cost"] for w in story_truth["waste"] if w["kind"] == "unattached_volume"}
    assert volumes == {v.id: str(v.monthly_cost.normalize().__format__("f")) for v in have.UNATTACHED_VOLUMES}
    candidates = {s["fleet"]: s for s in story_truth["spot"] if s["candidate"]}
    assert set(candidates) == {"checkout-workers", "search-indexers"}
    for saving in (s["monthly_saving"] for s in candidates.values()):
        assert 0 < Decimal(saving["low"]) < Decimal(saving["expected"]) < Decimal(saving["high"])
    assert {account.provider for account in org.ACCOUNTS} == set(story_truth["provider_names"])
