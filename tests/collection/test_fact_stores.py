"""Wherever cost facts lie - SQLite, PostgreSQL, ClickHouse - the same files give the same loads and the same answers."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.collection import random_questions
from tests.collection.bills import TAG_KEYS, bill, read
from tests.collection.stores import NOVEMBER, OCTOBER, billed, costs_of, facts_in
from tools.analysis import allocation_rules
from tools.analysis.costs import Costs
from tools.collection.export import export
from tools.model.load import Difference, LoadStatus
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import CostQuery, Filter, Granularity, Metric
from tools.store import usage
from tools.store.database import Database

pytestmark = [pytest.mark.fact_stores, pytest.mark.usefixtures("one_process")]


def test_a_bill_comes_in_once_and_a_correction_replaces_it(database: Database, tmp_path: Path) -> None:
    """Loaded, unchanged, replaced with its difference: the same words on every store."""
    first = bill(tmp_path / "first.csv", {}, {"ResourceId": "bucket-2", "BilledCost": "4"})
    assert [load.status for load in read(database, first)] == [LoadStatus.LOADED]
    version = costs_of(database).version()
    (tmp_path / "again").mkdir()
    again = bill(tmp_path / "again" / "a.csv", {"ResourceId": "bucket-2", "BilledCost": "4"}, {})
    assert [load.status for load in read(database, again)] == [LoadStatus.UNCHANGED]
    assert costs_of(database).version() == version
    (load,) = read(database, bill(tmp_path / "second.csv", {"BilledCost": "2", "EffectiveCost": "2"}))
    assert (load.status, load.differences) == (
        LoadStatus.REPLACED,
        (Difference("USD", -1, Decimal("-3.5"), Decimal("-0.5")),),
    )
    assert billed(database) == 2


def test_amounts_are_exact_where_floats_and_64_bits_are_not(database: Database, tmp_path: Path) -> None:
    """18 decimals, negative ones, and sums past what one machine word holds."""
    small = "0.000000000000000001"
    # One load ends at 9.2 million millions.
    accounts = ("1", "2", "3")
    rows = [
        {"BilledCost": "999999999999.999999999999999999", "ResourceId": f"r{n}", "BillingAccountId": account}
        for n in range(9)
        for account in accounts
    ]
    rows += [{"BilledCost": f"-{small}", "ResourceId": "s"}, {"BilledCost": small, "ListCost": "", "ResourceId": "t"}]
    read(database, bill(tmp_path / "a.csv", *rows))
    assert billed(database) == EXACT.multiply(9 * len(accounts), Decimal("999999999999.999999999999999999"))
    table = costs_of(database).table(CostQuery(OCTOBER, by=("resource_id",), metric=Metric.LIST))
    assert {row.keys[0]: row.cost for row in table.rows if row.keys[0] in "st"} == {"s": Decimal(2), "t": None}
    assert table.totals == (("USD", None),)


def test_a_sum_over_ten_million_facts_is_exact_and_its_receipt_runs(database: Database, tmp_path: Path) -> None:
    """The small halves of amounts outgrow 64 bits where there are many; here two are as large as millions of them."""
    if database.facts is not None:
        pytest.skip("its sums have 38 digits")
    read(database, bill(tmp_path / "a.csv", {}, {"SubAccountId": "1", "BilledCost": "-4"}))
    grown = "billed_micros = billed_micros - 8000000, billed_rest = billed_rest + 8000000000000000000"
    with database.begin() as tx:
        tx.execute(text(f"UPDATE cost_facts SET {grown}"))
    assert billed(database) == Decimal("-2.5")
    usage_only = (Filter("charge_category", ("Usage",)),)
    (row,) = costs_of(database).table(CostQuery(OCTOBER, by=("service_name",), where=usage_only)).rows
    assert row.cost == Decimal("-2.5")
    by_team = costs_of(database).table(CostQuery(OCTOBER, by=("tag:team",)))
    assert [(row.keys, row.cost) for row in by_team.rows] == [(("search",), Decimal("-2.5"))]
    if database.dialect == "sqlite":
        with database.read() as tx:
            shown = tx.execute(text(by_team.receipt.sql), dict(by_team.receipt.parameters)).one()
        high, low = map(int, shown.rest.split())
        assert (high << 20) + low == 2 * 8 * 10**18


def test_an_account_with_more_money_than_can_be_kept_is_refused(database: Database, tmp_path: Path) -> None:
    """Whatever the currency, nobody pays so much: nothing is stored, and the sentence says why."""
    rows = ({"BilledCost": "999999999999", "ResourceId": f"r{n}"} for n in range(10))
    (load,) = read(database, bill(tmp_path / "a.csv", *rows))
    assert (load.status, load.reason) == (
        LoadStatus.REFUSED,
        "Its rows add up to more than 9,223,372,036,854 USD, the most that one account and billing period can hold.",
    )
    assert facts_in(database) == 0


def test_texts_come_back_as_they_were(database: Database, tmp_path: Path) -> None:
    """Quotes, commas, line ends, backslashes and words that some engines take for nothing."""
    names = [
        "'quoted'",
        '"double"',
        "a,b",
        "two\nlines",
        "tab\there",
        "\\N",
        "back\\slash",
        "ünï ☃",
        "0x1F",
        "nan",
        "%s",
        "a:b",
    ]
    read(database, bill(tmp_path / "a.csv", *({"ResourceId": n, "ServiceName": n, "Tags": ""} for n in names)))
    for dimension in ("resource_id", "service_name"):
        table = costs_of(database).table(CostQuery(OCTOBER, by=(dimension, "tag:team")))
        assert sorted(row.keys for row in table.rows) == sorted((n, "") for n in names)
        one = CostQuery(OCTOBER, where=(Filter(dimension, ("\\N", "'quoted'")),))
        assert costs_of(database).table(one).totals == (("USD", Decimal(3)),)
    assert costs_of(database).values("service_name", 3) == tuple(sorted(names))[:3]


def test_months_customers_and_accounts_stay_apart(database: Database, tmp_path: Path) -> None:
    """A file replaces what it speaks of and nothing else."""
    other = {"BillingAccountId": "999999999999", "BilledCost": "7"}
    read(database, bill(tmp_path / "a.csv", {}, NOVEMBER, other))
    read(database, bill(tmp_path / "b.csv", {"BilledCost": "100"}))
    read(database, bill(tmp_path / "c.csv", {"BilledCost": "5", "ServiceName": "Secret"}), tenant="other")
    assert (billed(database), billed(database, Period(date(2026, 11, 1), date(2026, 12, 1)))) == (107, Decimal("1.5"))
    assert costs_of(database).values("service_name") == ("Amazon S3",)
    assert Costs(database, "other", TAG_KEYS, 2).table(CostQuery(OCTOBER)).totals == (("USD", Decimal(5)),)
    days = costs_of(database).table(
        CostQuery(Period(date(2026, 10, 1), date(2026, 12, 1)), granularity=Granularity.MONTH)
    )
    assert [(row.start, row.cost) for row in days.rows] == [
        (date(2026, 10, 1), 107),
        (date(2026, 11, 1), Decimal("1.5")),
    ]


def test_cost_per_resource_of_old_months_is_given_up(database: Database, tmp_path: Path) -> None:
    """The sum stays whole and the answer says what it cannot tell; nothing of a resource counts twice."""
    read(database, bill(tmp_path / "a.csv", {}, NOVEMBER), detail_months=2)
    september = {"BillingPeriodStart": "2026-12-01T00:00:00Z", "ChargePeriodStart": "2026-12-02T00:00:00Z"}
    september |= {"BillingPeriodEnd": "2027-01-01T00:00:00Z", "ChargePeriodEnd": "2026-12-03T00:00:00Z"}
    read(database, bill(tmp_path / "b.csv", september), detail_months=2)
    table = costs_of(database).table(CostQuery(Period(OCTOBER.start, date(2027, 1, 1)), by=("resource_id",)))
    assert [(row.keys, row.cost) for row in table.rows] == [(("bucket-1",), 3), (("",), Decimal("1.5"))]
    assert "no resource_id and sku_id for the billing periods up to 2026-10" in table.coverage.missing


def test_usage_is_found_by_resource_service_and_type(database: Database, tmp_path: Path) -> None:
    """What the savings rules ask: letter for letter, and with signs that patterns would take for their own."""
    rows = [
        {
            "ResourceId": "i-1",
            "SkuId": "BoxUsage:m5.large",
            "ChargeDescription": "$1 per m5.large hour",
            "ServiceName": "EC2",
        },
        {"ResourceId": "i-2", "SkuId": "BoxUsage:M5.LARGE", "ChargeDescription": "x", "ServiceName": "EC2"},
        {"ResourceId": "i_3", "SkuId": "x:100%", "ChargeDescription": "a _ b", "ServiceName": "S3 Storage"},
    ]
    read(database, bill(tmp_path / "a.csv", *rows))
    with database.read() as tx:
        named = usage.of_resources(tx, "default", OCTOBER, ["i-1", "i_3", "none"])
        types = usage.of_types(tx, "default", OCTOBER, ["m5.large"], tag=("team", "search"))
        odd = usage.of_types(tx, "default", OCTOBER, ["100%", "_"])
        storage = usage.of_services(tx, "default", OCTOBER, ["storage"])
    assert [(line.resource_id, line.cost, line.quantity, line.days) for line in named.lines] == [
        ("i-1", Decimal("1.25"), Decimal(3), 1),
        ("i_3", Decimal("1.25"), Decimal(3), 1),
    ]
    assert [line.sku_id for line in types.lines] == ["BoxUsage:m5.large"]
    assert [line.sku_id for line in odd.lines] == ["x:100%"]
    assert [line.service_name for line in storage.lines] == ["S3 Storage"]
    assert storage.receipt.rows == 1


def test_the_receipt_can_be_run_as_it_is(database: Database, tmp_path: Path) -> None:
    """Its text with its parameters gives the number of the answer."""
    read(database, bill(tmp_path / "a.csv", {}, {"ServiceName": "EC2", "BilledCost": "9"}))
    query = CostQuery(OCTOBER, by=("service_name",), where=(Filter("service_name", ("EC2",)),))
    receipt = costs_of(database).table(query).receipt
    sql = receipt.sql
    for name, value in sorted(receipt.parameters, key=lambda p: -len(p[0])):
        sql = sql.replace(f":{name}", value if name == "loads" or value.isdigit() else f"'{value}'")
    with database.read() as tx:
        found = tx.exec_driver_sql(sql) if database.facts is None else _by_hand(database, sql)
        assert [(row.key_0, int(row.micros)) for row in found] == [("EC2", 9_000_000)]


def _by_hand(database: Database, sql: str):  # type: ignore[no-untyped-def]
    assert database.facts is not None
    with database.facts._connected() as connection:
        return connection.exec_driver_sql(sql).all()


def test_what_is_stored_can_be_exported_and_read_again(database: Database, tmp_path: Path) -> None:
    """The same totals come back, for another customer, and reading them changes nothing more."""
    rows = [{}, NOVEMBER, {"ListCost": "", "ResourceId": "r"}, {"BilledCost": "-0.000000000000000001", "Tags": ""}]
    read(database, bill(tmp_path / "a.csv", *rows))
    told = export(database, "default", tmp_path / "out.csv", "1.4")
    assert told.rows == 4
    read(database, tmp_path / "out.csv", tenant="copy")
    copy = Costs(database, "copy", TAG_KEYS, 2)
    for metric in Metric:
        query = CostQuery(Period(OCTOBER.start, date(2026, 12, 1)), by=("tag:team", "resource_id"), metric=metric)
        assert [(r.keys, r.cost) for r in copy.table(query).rows] == [
            (r.keys, r.cost) for r in costs_of(database).table(query).rows
        ]


RULES = """
[[rules]]
when = { service_name = "S3*", "tag:team" = "search" }
to = "storage"
[[rules]]
value_of = "tag:team"
"""


def test_allocation_rules_sort_the_same_series_to_the_same_payers(database: Database, tmp_path: Path) -> None:
    """First match wins, a name taken from a tag, and what nobody pays: alike on every store, by resource as well."""
    rows = [
        {"ServiceName": "S3 Standard"},
        {"ServiceName": "EC2", "BilledCost": "2", "ResourceId": "i-1"},
        {"ServiceName": "EC2", "BilledCost": "4", "Tags": '{"team": "Web"}'},
        {"ServiceName": "EC2", "BilledCost": "8", "Tags": ""},
    ]
    read(database, bill(tmp_path / "a.csv", *rows))
    rules = allocation_rules.parse(RULES, TAG_KEYS)
    for by in ((), ("resource_id",)):
        with database.read() as tx:
            seen = costs_of(database).seen(tx, CostQuery(OCTOBER, by=by), rules)
        assert sorted((row.keys[-1], row.cost) for row in seen.rows) == [
            ("0:", Decimal(8)),
            ("1:", Decimal("1.5")),
            ("2:Web", Decimal(4)),
            ("2:search", Decimal(2)),
        ]


SEED = 20261125


@pytest.fixture(scope="module")
def raw_bill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_questions.write(tmp_path_factory.mktemp("bill") / "bill.csv", SEED)


@pytest.mark.parametrize("number", [25, pytest.param(200, marks=pytest.mark.prove)])
def test_random_questions_have_the_answers_of_the_raw_file(database: Database, raw_bill: Path, number: int) -> None:
    """Dimensions, filters, windows, metrics, currencies: to the last digit what DuckDB finds in the file itself."""
    read(database, raw_bill, detail_months=random_questions.DETAIL_MONTHS)
    raw, costs = random_questions.Raw(raw_bill), costs_of(database)
    for query in islice(random_questions.questions(SEED), number):
        table, wanted = costs.table(query), raw.rows(query)
        whole = {
            key: [r for r in wanted if (r.keys, r.currency) == key] for key in {(r.keys, r.currency) for r in wanted}
        }
        kept = {(r.keys, r.currency) for r in table.rows}
        assert list(table.rows) == [r for r in wanted if (r.keys, r.currency) in kept], query
        assert len(kept) + table.truncated == len(whole), query
        assert query.limit is None or len(kept) == min(query.limit, len(whole)), query
        assert table.receipt.rows == sum(r.raw_rows for r in wanted), query
