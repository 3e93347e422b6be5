"""The specification's own worked examples come in with the sums that their rows state, added up by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.collection.bills import VECTORS, filled, needs_vectors
from tools.collection.export import export
from tools.model.load import Load
from tools.store.database import Database

pytestmark = needs_vectors
UNNAMED = ("unknown", "unknown", "XXX")
ACME = ("Acme Co", "000-00-000", "USD")
ACMECORP = ("ACMECORP", "12345", "USD")
FLEX = "one_hundred_percent_utilization_with_commitment_discount_flexibility_with"

# file, (provider, account, currency), rows, rejected, billed, effective, list (None: not stated in the file)
EXAMPLES = [
    # bought for 8,760.00; the purchase itself carries no effective cost
    ("commitment_discount_purchase_scenario_1", UNNAMED, 1, 0, "8760", "0", None),
    # three times 1.00, of which the last one ends at hour 30, which is no time
    ("commitment_discount_purchase_scenario_2", UNNAMED, 2, 1, "2", "0", None),
    # one used hour of 1.00
    ("commitment_discount_usage_scenario_1", UNNAMED, 1, 0, "0", "1", None),
    # 0.75 used + 0.25 unused
    ("commitment_discount_usage_scenario_3", UNNAMED, 2, 0, "0", "1", None),
    # billed 0.50 + 0 + 2.25; effective 0 + 0.50 + 2.25; list 1.00 + 3.00 + 2.25
    (f"{FLEX}_1_resource", UNNAMED, 3, 0, "2.75", "2.75", "6.25"),
    # billed 2.00 + 0 + 0
    (f"{FLEX}_2_resources", UNNAMED, 3, 0, "2", "2", None),
    ("one_hundred_percent_utilization_without_commitment_discount_flexibility", UNNAMED, 2, 0, "1.5", "1.5", None),
    # 48 + 120 + 60 + the unused 972
    ("saas_spend_agreements_a1", ACME, 4, 0, "1200", "1200", "1257"),
    # 1,200 up front; used 48 + 120 + 60, unused 12 + 60 x 8 + 480 (nine fees of the months without enough use)
    ("saas_spend_agreements_b2", ACME, 14, 0, "1200", "1200", None),
    ("simple_saas_agreements_a1", ACMECORP, 1, 0, "10000", "10000", "10000"),
    ("simple_saas_agreements_a3", ACMECORP, 1, 0, "1000", "1000", "1000"),
    ("simple_saas_agreements_b", ACMECORP, 1, 0, "50000", "50000", "50000"),
    # 10,100 + 13,000 + 12,700
    ("simple_saas_agreements_c", ACMECORP, 3, 0, "35800", "35800", "35800"),
    # 100,000 tokens at 2
    ("virtual_currency_pricing_model_a1", ACMECORP, 1, 0, "200000", "0", "200000"),
    # 245 x 1 + 5 x 2 + 120 x 3; list 490 + 20 + 720
    ("virtual_currency_pricing_model_b2", ACMECORP, 3, 0, "0", "615", "1230"),
    # the workflow at 2 instead of 3: 245 + 10 + 240
    ("virtual_currency_pricing_model_b3", ACMECORP, 3, 0, "0", "495", "1230"),
    # 1,500 and 25,000 tokens at 2
    ("virtual_currency_pricing_model_c", ACMECORP, 2, 0, "53000", "0", "53000"),
]


def test_no_example_is_left_out() -> None:
    """Every file of the folder has its line here."""
    assert {name for name, *_ in EXAMPLES} == {path.stem for path in (VECTORS / "spec").glob("*.csv")}


# The 1,000 rows of the sample: provider and billing period, rows, billed, effective and list cost as a spreadsheet
# adds them up.
SAMPLE = {
    ("AWS", "2024-09"): (942, "18.0066386184", "13", "18.1493176406"),
    ("Microsoft", "2024-09"): (51, "1.97651418586", "1.97651418586", "1.97651418586"),
    ("Oracle", "2024-09"): (6, "0.29707392473", "0", "0.02507392473"),
    ("Oracle", "2024-10"): (1, "0.24", "0", "0.24"),
}
FILES = [VECTORS / "focus_sample.csv", *sorted((VECTORS / "spec").glob("*.csv"))]
Golden = tuple[Database, dict[str, tuple[Load, ...]]]


@pytest.fixture(scope="module")
def golden(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Golden]:
    """Every file read, one at a time as some speak of the same period; and what each reading told."""
    with filled(sqlite_template, tmp_path_factory.mktemp("golden"), *FILES) as (database, loads):
        yield database, {path.stem: told for path, told in zip(FILES, loads, strict=True)}


@pytest.mark.parametrize(("name", "whose", "rows", "rejected", "billed", "effective", "listed"), EXAMPLES)
def test_an_example_of_the_specification(
    golden: Golden,
    name: str,
    whose: tuple[str, str, str],
    rows: int,
    rejected: int,
    billed: str,
    effective: str,
    listed: str | None,
) -> None:
    """Rows, rejected rows and sums are those of the file; columns that it leaves out are told."""
    done = golden[1][name]
    assert {(p.provider, p.billing_account_id) for load in done if (p := load.partition)} == {whose[:2]}
    totals = [total for load in done for total in load.totals]
    assert {t.currency for t in totals} == {whose[2]}
    assert (sum(load.rows for load in done), sum(load.rejected for load in done)) == (rows, rejected)
    assert sum(t.billed_cost for t in totals) == Decimal(billed)
    assert sum(t.effective_cost for t in totals) == Decimal(effective)
    if listed is not None:
        assert sum(t.list_cost or 0 for t in totals) == Decimal(listed)
    told = {p.column for p in done[0].problems if p.row == 0}
    assert ("BillingCurrency" in told) == (whose is UNNAMED)


def test_the_public_sample(golden: Golden) -> None:
    """Every row is there, and each provider's bill of each month is what its rows add up to."""
    told = {
        (load.partition.provider, f"{load.partition.billing_period:%Y-%m}"): (
            load.rows,
            load.totals[0].billed_cost,
            load.totals[0].effective_cost,
            load.totals[0].list_cost,
        )
        for load in golden[1]["focus_sample"]
        if load.partition
    }
    assert told == {
        key: (rows, Decimal(billed), Decimal(effective), Decimal(listed))
        for key, (rows, billed, effective, listed) in SAMPLE.items()
    }


@pytest.mark.parametrize(
    ("name", "version"),
    [("out.csv", "1.4"), ("out.csv.gz", "1.2"), ("out.parquet", "1.2"), ("out.parquet", "1.4")],
)
def test_what_the_files_brought_survives_the_way_out_and_back(
    golden: Golden, tmp_path: Path, sqlite_template: Path, name: str, version: str
) -> None:
    """Exported in each version and kind, and read into an empty database: the same sums for every period."""
    database, told = golden
    # Of a period that several files speak of the last one stands.
    stands = {load.partition: load for loads in told.values() for load in loads if load.totals}
    done = export(database, "default", tmp_path / name, version)
    assert {currency for currency, _ in done.billed_cost} == {"USD", "XXX"}
    with filled(sqlite_template, tmp_path, tmp_path / name) as (_, (back,)):
        assert _sums(back) == _sums(stands.values())
    assert {load.rejected for load in back} == {0}
    assert {v for load in back for v in load.focus_versions} == {version}
    assert not [p for load in back for p in load.problems]


def _sums(loads: Iterable[Load]) -> dict[object, tuple[Decimal | None, ...]]:
    return {
        (load.partition, t.currency): (t.billed_cost, t.effective_cost, t.list_cost, t.contracted_cost)
        for load in loads
        for t in load.totals
    }
