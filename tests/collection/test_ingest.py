"""Ingestion takes cost data in whole, exactly, once - and says what it left out."""

from __future__ import annotations

import csv
import gzip
import shutil
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.collection.bills import NOW, ROW, TAG_KEYS, VECTORS, bill, needs_vectors, read
from tools.analysis.costs import Costs
from tools.collection import charges as charges_module
from tools.model.charge import Partition
from tools.model.errors import InputError, OptiInfraError, SettingsError
from tools.model.load import Difference, LoadStatus, Totals
from tools.model.period import Period
from tools.model.query import CostQuery, Filter, Metric
from tools.store import loads
from tools.store.database import Database
from tools.store.fact_tables import facts, series

pytestmark = pytest.mark.usefixtures("one_process")
OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))


def _costs(database: Database, tag_keys: tuple[str, ...] = TAG_KEYS) -> Costs:
    return Costs(database, "default", tag_keys, 2)


def _total(database: Database, period: Period = OCTOBER) -> Decimal | None:
    return dict(_costs(database).table(CostQuery(period)).totals).get("USD", Decimal(0))


@needs_vectors
@pytest.mark.stores
def test_the_official_sample_comes_in_whole_and_exact(database: Database) -> None:
    """1,000 rows are accounted for, and each service's September equals the sum of the raw file to the last digit."""
    done = read(database, VECTORS / "focus_sample.csv")
    assert sum(load.rows for load in done) == 1000
    assert sum(load.rejected for load in done) == 0
    assert [str(load.partition) for load in done] == [
        "AWS 1234567890123 2024-09",
        "Microsoft /providers/Microsoft.Billing/billingAccounts/8611537 2024-09",
        "Oracle 20209880 2024-09",
        "Oracle 20209880 2024-10",
    ]
    for metric, column in (
        (Metric.BILLED, "BilledCost"),
        (Metric.EFFECTIVE, "EffectiveCost"),
        (Metric.LIST, "ListCost"),
    ):
        raw: dict[str, Decimal] = defaultdict(Decimal)
        with (VECTORS / "focus_sample.csv").open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                if row["ChargePeriodStart"].startswith("2024-09"):
                    raw[row["ServiceName"]] += Decimal(row[column])
        september = Period(date(2024, 9, 1), date(2024, 10, 1))
        answer = _costs(database).table(CostQuery(september, by=("service_name",), metric=metric))
        assert {row.keys[0]: row.cost for row in answer.rows} == raw
        assert answer.receipt.rows == 1000


def test_the_same_data_again_changes_nothing(database: Database, tmp_path: Path) -> None:
    """Whatever the order of rows, the number of files or their kind: the content decides."""
    rows = [{"BilledCost": f"{n}.10", "ResourceId": f"r-{n}"} for n in range(6)]
    read(database, bill(tmp_path / "a.csv", *rows))
    before = _costs(database).version()
    folder = tmp_path / "split"
    folder.mkdir()
    bill(folder / "2.csv", *reversed(rows[:3]))
    with gzip.open(bill(folder / "1.csv", *rows[3:]).with_suffix(".csv.gz"), "wb") as packed:
        packed.write((folder / "1.csv").read_bytes())
    (folder / "1.csv").unlink()
    assert [load.status for load in read(database, folder)] == [LoadStatus.UNCHANGED]
    assert _costs(database).version() == before


@pytest.mark.stores
def test_a_restated_period_is_replaced_whole_and_the_difference_is_kept(database: Database, tmp_path: Path) -> None:
    """What was there before is gone, what differs is told and stays in the history."""
    read(database, bill(tmp_path / "first.csv", {}, {"ResourceId": "bucket-2", "BilledCost": "4"}))
    (load,) = read(database, bill(tmp_path / "second.csv", {"BilledCost": "2", "EffectiveCost": "2"}))
    assert load.status is LoadStatus.REPLACED
    assert load.differences == (Difference("USD", -1, Decimal("-3.5"), Decimal("-0.5")),)
    assert _total(database) == 2
    with database.read() as tx:
        (line,) = loads.ledger(tx, "default")
        history = loads.restatements(tx, "default", line.id)
    assert [(at, status) for at, status, _ in history] == [(NOW, LoadStatus.LOADED), (NOW, LoadStatus.REPLACED)]
    assert history[1][2] == load.differences


def test_other_periods_and_accounts_are_left_alone(database: Database, tmp_path: Path) -> None:
    """A file replaces what it speaks of and nothing else."""
    november = {"BillingPeriodStart": "2026-11-01T00:00:00Z", "ChargePeriodStart": "2026-11-02T00:00:00Z"}
    november["ChargePeriodEnd"] = "2026-11-03T00:00:00Z"
    read(database, bill(tmp_path / "a.csv", {}, november, {"BillingAccountId": "999999999999", "BilledCost": "7"}))
    read(database, bill(tmp_path / "b.csv", {"BilledCost": "100"}))
    assert _total(database) == 107
    assert _total(database, Period(date(2026, 11, 1), date(2026, 12, 1))) == Decimal("1.5")


def test_customers_do_not_see_each_other(database: Database, tmp_path: Path) -> None:
    """The same account loaded for two tenants stands there twice, each with its own figures."""
    read(database, bill(tmp_path / "a.csv", {"BilledCost": "1"}))
    read(database, bill(tmp_path / "b.csv", {"BilledCost": "2", "ServiceName": "Secret"}), tenant="other")
    assert _total(database) == 1
    assert _costs(database).values("service_name") == ("Amazon S3",)
    read(database, bill(tmp_path / "c.csv", {"BilledCost": "3"}))
    other = Costs(database, "other", TAG_KEYS, 2)
    assert other.table(CostQuery(OCTOBER)).totals == (("USD", Decimal(2)),)


def test_bad_rows_are_named_and_the_others_count(database: Database, tmp_path: Path) -> None:
    """Row, column and reason of each; loaded and rejected rows add up to the file."""
    rows = [{}, {"BilledCost": "abc"}, {"ChargePeriodStart": "2026-02-31"}, {"ResourceId": "x"}, {"ResourceId": "y"}]
    (load,) = read(database, bill(tmp_path / "a.csv", *rows))
    assert (load.rows, load.rejected) == (3, 2)
    assert [(p.row, p.column, p.problem) for p in load.problems] == [
        (2, "BilledCost", '"abc" is not an amount of money'),
        (3, "ChargePeriodStart", '"2026-02-31" is not a time'),
    ]
    assert _total(database) == Decimal("4.5")


def test_thousands_of_bad_rows_are_counted_and_the_first_thousand_listed(database: Database, tmp_path: Path) -> None:
    """An error file of any length stays readable."""
    rows = [{"ResourceId": f"r{n}"} for n in range(1600)] + [{"BilledCost": "?"}] * 1500
    (load,) = read(database, bill(tmp_path / "a.csv", *rows))
    assert (load.rows, load.rejected, load.problems_total, len(load.problems)) == (1600, 1500, 1500, 1000)
    assert load.problems[0].row == 1601


def test_a_mostly_unreadable_period_does_not_replace_a_good_one(database: Database, tmp_path: Path) -> None:
    """Half a bill would look like a saving."""
    read(database, bill(tmp_path / "good.csv", {"BilledCost": "50"}))
    (load,) = read(database, bill(tmp_path / "bad.csv", {}, {"BilledCost": "x"}, {"BilledCost": "y"}))
    assert (load.status, load.rows, load.rejected) == (LoadStatus.REFUSED, 0, 3)
    assert "Only 1 of 3 rows" in load.reason
    assert _total(database) == 50


def test_rows_that_belong_nowhere_are_refused_by_themselves(database: Database, tmp_path: Path) -> None:
    """A row without account does not stop the others, and is not lost from the count."""
    done = read(database, bill(tmp_path / "a.csv", {}, {"BillingAccountId": "NULL"}))
    assert sorted((str(load.partition), load.status, load.rows, load.rejected) for load in done) == [
        ("AWS 123456789012 2026-10", "loaded", 1, 0),
        ("None", "refused", 0, 1),
    ]


@pytest.mark.stores
def test_costs_stay_exact_at_eighteen_decimals_and_at_a_trillion(database: Database, tmp_path: Path) -> None:
    """No float on the way: what Decimal adds up is what comes back, negative amounts included."""
    amounts = ["0.000000000000000001", "-0.000000000000000003", "999999999999.999999999999999999", "1e-7", "-2.5E+3"]
    rows = [{"BilledCost": a, "ResourceId": f"r{n}"} for n, a in enumerate(amounts)]
    (load,) = read(database, bill(tmp_path / "a.csv", *rows))
    expected = Decimal("999999997500.000000099999999997")
    assert load.totals[0].billed_cost == expected
    assert _total(database) == expected


@pytest.mark.stores
def test_a_missing_price_is_unknown_and_not_zero(database: Database, tmp_path: Path) -> None:
    """The list cost of what has none is None, also in every sum over it."""
    (load,) = read(
        database, bill(tmp_path / "a.csv", {}, {"ListCost": "NULL", "ServiceName": "Support", "ContractedCost": "null"})
    )
    assert load.totals == (Totals("USD", 2, Decimal(3), Decimal("2.5"), None, None),)
    answer = _costs(database).table(CostQuery(OCTOBER, by=("service_name",), metric=Metric.LIST))
    assert [(row.keys[0], row.cost) for row in answer.rows] == [("Amazon S3", Decimal(2)), ("Support", None)]
    assert answer.totals == (("USD", None),)
    with pytest.raises(InputError, match="price is missing"):
        _costs(database).series(CostQuery(OCTOBER, metric=Metric.LIST))


def test_two_currencies_never_add_up(database: Database, tmp_path: Path) -> None:
    """Totals, control sums and series are per currency."""
    (load,) = read(
        database, bill(tmp_path / "a.csv", {}, {"ResourceId": "b"}, {"BillingCurrency": "eur", "BilledCost": "9"})
    )
    assert [(t.currency, t.rows, t.billed_cost) for t in load.totals] == [("EUR", 1, 9), ("USD", 2, 3)]
    assert _costs(database).table(CostQuery(OCTOBER)).totals == (("USD", Decimal(3)), ("EUR", Decimal(9)))
    assert _costs(database).currencies() == ("USD", "EUR")
    assert sorted(s.currency for s in _costs(database).series(CostQuery(OCTOBER))) == ["EUR", "USD"]


def test_ids_stay_text(database: Database, tmp_path: Path) -> None:
    """A leading zero of an account id survives."""
    read(database, bill(tmp_path / "a.csv", {}))
    assert _costs(database).values("sub_account_id") == ("012345678901",)


def test_tags_are_found_however_the_provider_writes_them(database: Database, tmp_path: Path) -> None:
    """Prefixes, case, lists and Azure's missing braces: one tag is one dimension."""
    written = [
        '{"Team": "search"}',
        '{"user:team": "search", "env": ""}',
        '[{"key": "team", "value": "search"}]',
        '[{"Key": "TEAM", "Value": "search"}]',
        '[{"team": "search"}]',
        '["team:search"]',
        '"team": "search", "cost": "1"',
    ]
    rows = [{"Tags": tags, "ServiceName": f"s{n}"} for n, tags in enumerate(written)]
    read(database, bill(tmp_path / "a.csv", *rows))
    answer = _costs(database).table(CostQuery(OCTOBER, by=("service_name", "tag:team")))
    assert sorted(row.keys for row in answer.rows) == [(f"s{n}", "search") for n in range(len(written))]


def test_unreadable_tags_cost_the_row_its_tags_and_not_its_money(database: Database, tmp_path: Path) -> None:
    """The row counts as untagged, and that is told."""
    (load,) = read(database, bill(tmp_path / "a.csv", {"Tags": '{"team": '}, {"BilledCost": "5"}))
    assert (load.rows, load.rejected, load.problems_total) == (2, 0, 1)
    assert load.problems[0].column == "Tags"
    assert not load.problems[0].rejected
    untagged = CostQuery(OCTOBER, where=(Filter("tag:team", ("",)),))
    assert _costs(database).table(untagged).totals == (("USD", Decimal("1.5")),)


def test_a_new_tag_key_needs_the_data_again_and_says_so(database: Database, tmp_path: Path) -> None:
    """Until then the answer names the periods that do not have it; the same file is then no longer the same."""
    path = bill(tmp_path / "a.csv", {"Tags": '{"app": "web"}'})
    read(database, path)
    wider = (*TAG_KEYS, "app")
    by_app = CostQuery(OCTOBER, by=("tag:app",))
    answer = _costs(database, wider).table(by_app)
    assert [(row.keys, row.cost) for row in answer.rows] == [(("",), Decimal("1.5"))]
    assert any("tag app was not kept" in line for line in answer.coverage.missing)
    (load,) = read(database, path, tag_keys=wider)
    assert (load.status, load.differences) == (LoadStatus.REPLACED, ())
    again = _costs(database, wider).table(by_app)
    assert [row.keys for row in again.rows] == [("web",)]
    assert not any("app" in line for line in again.coverage.missing)


@pytest.mark.parametrize("detail_months", [4, 0])
def test_a_tag_key_with_too_many_values_is_folded(database: Database, tmp_path: Path, detail_months: int) -> None:
    """The dearest values stay, others count as (other) with a warning; per resource and in total nothing is lost."""
    rows = [
        {
            "Tags": f'{{"team": "t{n:02}", "env": "prod"}}',
            "BilledCost": str(n),
            "EffectiveCost": "0",
            "ResourceId": f"r{n}",
        }
        for n in range(1, 13)
    ]
    path = bill(
        tmp_path / "a.csv", *rows, {"Tags": "", "BilledCost": "100", "EffectiveCost": "0", "ResourceId": "bare"}
    )
    (load,) = read(database, path, tag_values=3, detail_months=detail_months)
    told = [check.detail for check in load.checks if check.law == "few values per tag key"]
    assert told == [
        "Tag team has 12 values; all but the 3 dearest count as (other), except per resource. "
        "Raise OPTIINFRA_TAG_VALUES or take the key out of OPTIINFRA_TAG_KEYS."
    ]
    by_team = _costs(database).table(CostQuery(OCTOBER, by=("tag:team",)))
    assert {row.keys[0]: row.cost for row in by_team.rows} == {"": 100, "(other)": 45, "t12": 12, "t11": 11, "t10": 10}
    by_env = _costs(database).table(CostQuery(OCTOBER, by=("tag:env",)))
    assert {row.keys[0]: row.cost for row in by_env.rows} == {"": 100, "prod": 78}
    if detail_months:
        one = CostQuery(OCTOBER, by=("resource_id",), where=(Filter("tag:team", ("t01",)),))
        assert [(row.keys, row.cost) for row in _costs(database).table(one).rows] == [(("r1",), 1)]
    assert [x.status for x in read(database, path, tag_values=3, detail_months=detail_months)] == [LoadStatus.UNCHANGED]
    assert _total(database) == 178


def test_more_tag_keys_than_there_is_room_for_are_refused(database: Database, tmp_path: Path) -> None:
    """The sentence names the setting, and nothing is stored."""
    with pytest.raises(SettingsError, match="OPTIINFRA_TAG_KEYS"):
        read(database, bill(tmp_path / "a.csv", {}), tag_keys=tuple(f"k{n}" for n in range(11)))
    assert _costs(database).span() is None


@pytest.mark.stores
def test_cost_per_resource_is_kept_for_the_newest_periods_only(database: Database, tmp_path: Path) -> None:
    """Older periods answer without resource, so the sum stays whole, and the answer says so."""
    months = [f"2026-{m:02}" for m in (7, 8, 9, 10)]
    for month in months:
        day = {
            "BillingPeriodStart": f"{month}-01",
            "ChargePeriodStart": f"{month}-05",
            "ChargePeriodEnd": f"{month}-06",
        }
        read(database, bill(tmp_path / f"{month}.csv", day), detail_months=2)
    summer = Period(date(2026, 7, 1), date(2026, 11, 1))
    answer = _costs(database).table(CostQuery(summer, by=("resource_id",)))
    assert {row.keys[0]: row.cost for row in answer.rows} == {"bucket-1": Decimal(3), "": Decimal(3)}
    assert any("billing periods up to 2026-08" in line for line in answer.coverage.missing)
    by_service = _costs(database).table(CostQuery(summer, by=("service_name",)))
    assert by_service.totals == (("USD", Decimal(6)),)
    with database.read() as tx:
        detail = select(func.count()).select_from(facts).where(facts.c.tenant == "default", facts.c.level == 3)
        assert tx.execute(detail).scalar_one() == 2
    (load,) = read(database, tmp_path / "2026-07.csv", detail_months=2)
    assert load.status is LoadStatus.UNCHANGED


def test_what_does_not_add_up_is_not_published(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a row got lost on the way into the tables, the whole load is undone and the old data stays."""
    read(database, bill(tmp_path / "a.csv", {"BilledCost": "8"}))
    whole = charges_module.charge_writing.replace

    def lossy(tx, tenant, standing, rolled, facts_id):  # type: ignore[no-untyped-def]
        whole(tx, tenant, standing, rolled, facts_id)
        tx.execute(facts.update().where(facts.c.level == 2).values(billed_rest=facts.c.billed_rest + 1))

    monkeypatch.setattr(charges_module.charge_writing, "replace", lossy)
    with pytest.raises(OptiInfraError, match="does not add up"):
        read(database, bill(tmp_path / "b.csv", {"BilledCost": "9"}))
    assert _total(database) == 8


def test_one_provider_can_be_picked_and_a_nameless_file_named(database: Database, tmp_path: Path) -> None:
    """--provider leaves out others' rows, tells how many, and gives a name to a file that has none."""
    mixed = bill(tmp_path / "a.csv", {}, {"ProviderName": "Microsoft", "BilledCost": "4"})
    (load,) = read(database, mixed, provider="azure")
    assert (load.partition and load.partition.provider, load.rows) == ("Microsoft", 1)
    assert load.problems[0].problem == "1 rows of AWS left out as asked"
    nameless = bill(tmp_path / "b.csv", {}, columns=[c for c in ROW if c != "ProviderName"])
    (load,) = read(database, nameless, provider="Scaleway")
    assert load.partition == Partition("Scaleway", "123456789012", date(2026, 10, 1))
    with pytest.raises(InputError, match="There are no rows of Oracle; the files hold AWS, Microsoft"):
        read(database, mixed, provider="oracle")


def test_one_provider_has_one_name_in_every_version(database: Database, tmp_path: Path) -> None:
    """A 1.3 export of a period that a 1.0 export had brought in replaces it instead of counting twice."""
    read(database, bill(tmp_path / "old.csv", {}))
    renamed = [("ServiceProviderName" if c == "ProviderName" else c) for c in ROW]
    (load,) = read(
        database, bill(tmp_path / "new.csv", {"ServiceProviderName": "Amazon Web Services"}, columns=renamed)
    )
    assert (load.status, load.focus_versions) == (LoadStatus.UNCHANGED, ("1.3",))


def test_times_in_other_zones_fall_on_their_utc_day(database: Database, tmp_path: Path) -> None:
    """Half past one on Monday in Berlin is Sunday in UTC."""
    there = {"ChargePeriodStart": "2026-10-05T01:30:00+02:00", "ChargePeriodEnd": "2026-10-05T02:30:00+02:00"}
    read(database, bill(tmp_path / "a.csv", there))
    assert _costs(database).span() == Period(date(2026, 10, 4), date(2026, 10, 5))


def test_laws_that_the_data_breaks_are_told(database: Database, tmp_path: Path) -> None:
    """Conservation laws are reported with their figures and stop nothing."""
    commitment = {"CommitmentDiscountId": "sp-1", "ServiceName": "Savings Plan"}
    rows = [
        {"ServiceCategory": "Compute"},
        {"ServiceCategory": "Storage", "BilledCost": "-2"},
        {**commitment, "ChargeCategory": "Purchase", "BilledCost": "10", "EffectiveCost": "0"},
        {**commitment, "EffectiveCost": "8"},
        {"ListUnitPrice": "1", "PricingQuantity": "7"},
    ]
    (load,) = read(database, bill(tmp_path / "a.csv", *rows))
    assert {check.law for check in load.checks} == {
        "billed equals effective over the whole life of purchases",
        "a commitment's purchase equals what it covers",
        "one category per service",
        "no negative usage",
        "list cost is price times quantity",
    }
    assert any("bought for 10, used and unused add up to 8" in check.detail for check in load.checks)


def test_a_folder_with_a_link_that_leads_back_is_read_once(database: Database, tmp_path: Path) -> None:
    """Loops end, the same file through two names counts once, and other programs' leftovers are not read."""
    folder = tmp_path / "export"
    (folder / "_temporary").mkdir(parents=True)
    bill(folder / "data[1].csv", {})
    bill(folder / "_temporary" / "half.csv", {})
    (folder / "again").symlink_to(folder)
    (folder / "copy.csv").symlink_to(folder / "data[1].csv")
    assert [load.rows for load in read(database, folder, folder / "data[1].csv", str(folder / "*.csv"))] == [1]
    assert _total(database) == Decimal("1.5")


def test_one_export_under_two_names_does_not_count_twice(database: Database, tmp_path: Path) -> None:
    """A copy left in the folder, packed or not, is refused by name instead of doubling the bill."""
    folder = tmp_path / "export"
    folder.mkdir()
    bill(folder / "a.csv", {}, {"ResourceId": "b"})
    with gzip.open(folder / "a-copy.csv.gz", "wb") as packed:
        packed.write((folder / "a.csv").read_bytes())
    bill(folder / "b.csv", {"ResourceId": "b"}, {"ResourceId": "c"})
    with pytest.raises(InputError, match=r"a\.csv holds exactly the rows of a-copy\.csv\.gz"):
        read(database, folder)
    (folder / "a-copy.csv.gz").unlink()
    assert [load.rows for load in read(database, folder)] == [4]


def test_parquet_keeps_types_and_says_the_same_as_csv(database: Database, tmp_path: Path) -> None:
    """Decimals, doubles, timestamps and maps of a typed export give the load that the csv gave."""
    import duckdb

    path = bill(tmp_path / "a.csv", {"BilledCost": "0.1"}, {"BilledCost": "0.2", "ResourceId": "b"})
    read(database, path)
    with duckdb.connect() as db:
        db.execute(
            f"""COPY (SELECT * REPLACE (CAST(BilledCost AS DOUBLE) AS BilledCost,
                CAST(EffectiveCost AS DECIMAL(20,6)) AS EffectiveCost, CAST(ListCost AS INTEGER) AS ListCost,
                CAST(BillingPeriodStart AS TIMESTAMP) AS BillingPeriodStart,
                CAST(ChargePeriodStart AS TIMESTAMPTZ) AS ChargePeriodStart,
                CAST(BillingAccountId AS BIGINT) AS BillingAccountId, MAP {{'team': 'search', 'env': 'prod'}} AS Tags)
            FROM read_csv('{path}', all_varchar = true)) TO '{tmp_path}/a.parquet' (FORMAT parquet)"""
        )
    (load,) = read(database, tmp_path / "a.parquet")
    assert load.status is LoadStatus.UNCHANGED
    assert load.totals[0].billed_cost == Decimal("0.3")


def test_nothing_to_read_is_nothing_loaded(database: Database) -> None:
    """No configured paths is no error."""
    assert read(database) == ()


def test_facts_add_up_to_the_same_at_every_level(database: Database, tmp_path: Path) -> None:
    """Levels differ in detail and not in money, and a shorter replacement leaves no orphan behind."""
    many = [{"ResourceId": f"r{n % 7}", "RegionId": f"reg{n % 3}", "BilledCost": f"0.{n + 1:03}"} for n in range(40)]
    read(database, bill(tmp_path / "a.csv", *many))
    read(database, bill(tmp_path / "b.csv", *many[:5]))
    with database.read() as tx:
        sums = tx.execute(
            select(facts.c.level, func.sum(facts.c.billed_micros), func.sum(facts.c.rows)).group_by(facts.c.level)
        ).all()
        orphans = select(func.count()).select_from(series).where(series.c.id.not_in(select(facts.c.series_id)))
        assert tx.execute(orphans).scalar_one() == 0
    assert {(int(micros), int(rows)) for _, micros, rows in sums} == {(15000, 5)}
    assert [level for level, _, _ in sums] == [1, 2, 3]


def test_a_shared_folder_can_be_copied_and_read_again(database: Database, tmp_path: Path) -> None:
    """Paths do not matter, content does."""
    read(database, bill(tmp_path / "a.csv", {}))
    shutil.copy(tmp_path / "a.csv", tmp_path / "b.csv")
    later = NOW + timedelta(days=1)
    assert [x.status for x in read(database, tmp_path / "b.csv", now=lambda: later)] == [LoadStatus.UNCHANGED]
    assert _costs(database).table(CostQuery(OCTOBER)).receipt.as_of == NOW
