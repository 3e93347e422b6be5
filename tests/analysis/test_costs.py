"""Costs answers what an independent sum over the raw bill gives, with a receipt that can be run by hand."""

from __future__ import annotations

import csv
import random
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.collection.bills import ROW, TAG_KEYS, bill, filled, one_process, read
from tools.analysis.costs import Costs
from tools.model.money import EXACT, join
from tools.model.period import Period
from tools.model.query import CostQuery, Filter, Granularity, Metric
from tools.store.database import Database

__all__ = ["one_process"]
COLUMNS = {
    "provider": "ProviderName",
    "billing_account_id": "BillingAccountId",
    "sub_account_id": "SubAccountId",
    "service_name": "ServiceName",
    "service_category": "ServiceCategory",
    "region_id": "RegionId",
    "charge_category": "ChargeCategory",
    "pricing_category": "PricingCategory",
    "resource_id": "ResourceId",
    "sku_id": "SkuId",
    "currency": "BillingCurrency",
    "tag:team": "team",
    "tag:env": "env",
}
COSTS = {"billed": "BilledCost", "effective": "EffectiveCost", "list": "ListCost", "contracted": "ContractedCost"}
AUTUMN = Period(date(2026, 9, 1), date(2026, 12, 1))


def _estate(seed: int = 3, rows: int = 400) -> list[dict[str, str]]:
    """Rows of two providers, three accounts, three months and two currencies, some without tags, region or price."""
    dice = random.Random(seed)
    out = []
    for _ in range(rows):
        day = date(2026, 9, 1) + timedelta(days=dice.randrange(85))
        month = day.replace(day=1)
        account = dice.choice(["100000000001", "100000000002", "020000000003"])
        team, env = dice.choice(["search", "shop", ""]), dice.choice(["prod", "dev", ""])
        out.append(
            {
                "ProviderName": "Microsoft" if account.startswith("0") else "AWS",
                "BillingAccountId": account,
                "BillingCurrency": "EUR" if account.startswith("0") else "USD",
                "BillingPeriodStart": f"{month}T00:00:00Z",
                "BillingPeriodEnd": f"{(month + timedelta(days=32)).replace(day=1)}T00:00:00Z",
                "ChargePeriodStart": f"{day}T{dice.randrange(24):02}:00:00Z",
                "ChargePeriodEnd": "",
                "ChargeCategory": dice.choice(["Usage", "Usage", "Tax", "Credit", "Purchase"]),
                "ServiceName": dice.choice(["S3", "EC2", "Lambda"]),
                "ServiceCategory": dice.choice(["Storage", "Compute"]),
                "SubAccountId": dice.choice(["1", "2"]),
                "RegionId": dice.choice(["eu-west-1", "us-east-1", "NULL"]),
                "PricingCategory": dice.choice(["Standard", "Committed"]),
                "ResourceId": dice.choice(["r1", "r2", "r3", ""]),
                "SkuId": dice.choice(["k1", "k2"]),
                "BilledCost": f"{dice.uniform(-1, 50):.12f}",
                "EffectiveCost": f"{dice.uniform(0, 50):.9f}",
                "ListCost": f"{dice.uniform(0, 60):.18f}",
                "ContractedCost": dice.choice(["", "7.77", "8.000000000000000001"]) if team else "5",
                "Tags": f'{{"Team": "{team}", "env": "{env}"}}',
                "team": team,
                "env": env,
            }
        )
    return out


Estate = tuple[Costs, list[dict[str, str]]]


@pytest.fixture(scope="module")
def estate(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """The estate in SQLite, read once; nobody changes it."""
    folder = tmp_path_factory.mktemp("estate")
    rows = _estate()
    path = bill(folder / "estate.csv", *rows, columns=[*ROW, "PricingCategory"])
    with filled(sqlite_template, folder, path) as (database, _):
        yield Costs(database, "default", TAG_KEYS, 2), [{**ROW, **row} for row in rows]


def _value(row: dict[str, str], dimension: str) -> str:
    value = row[COLUMNS[dimension]]
    return "" if value == "NULL" else value


_NOT_COUNTED = Decimal("NaN")
# What each metric other than the four costs is, in words of the raw file: whether a category counts, plus, minus.
PARTS = {
    "gross": (lambda category: category != "Credit", "BilledCost", ""),
    "credits": (lambda category: category == "Credit", "BilledCost", ""),
    "net": (lambda category: True, "BilledCost", ""),
    "without_tax": (lambda category: category != "Tax", "BilledCost", ""),
    "tax": (lambda category: category == "Tax", "BilledCost", ""),
    "purchases": (lambda category: category == "Purchase", "BilledCost", ""),
    "without_purchases": (lambda category: category != "Purchase", "BilledCost", ""),
    "negotiated_savings": (lambda category: category == "Usage", "ListCost", "ContractedCost"),
    "commitment_savings": (lambda category: category == "Usage", "ContractedCost", "EffectiveCost"),
    "savings": (lambda category: category == "Usage", "ListCost", "EffectiveCost"),
}


def _counted(row: dict[str, str], metric: str) -> Decimal | None:
    """What a row adds to a metric: None when a price is missing."""
    counts, plus, minus = PARTS.get(metric, (lambda category: True, COSTS.get(metric, ""), ""))
    if not counts(row["ChargeCategory"]):
        return _NOT_COUNTED
    if not row[plus] or (minus and not row[minus]):
        return None
    return EXACT.subtract(Decimal(row[plus]), Decimal(row[minus] if minus else 0))


def _expected(rows: list[dict[str, str]], query: CostQuery) -> dict[tuple[object, ...], Decimal | None]:
    """The answer, added up with nothing but Decimal and dict."""
    sums: dict[tuple[object, ...], Decimal | None] = {}
    for row in rows:
        day = date.fromisoformat(row["ChargePeriodStart"][:10])
        if day not in query.period:
            continue
        if any((_value(row, f.dimension) in f.values) == f.exclude for f in query.where):
            continue
        start = query.period.start
        if query.granularity is Granularity.DAY:
            start = day
        elif query.granularity is Granularity.MONTH:
            start = max(start, day.replace(day=1))
        key = (start, tuple(_value(row, d) for d in query.by), row["BillingCurrency"])
        before = sums.get(key, Decimal(0))
        cost = _counted(row, query.metric)
        if cost is not _NOT_COUNTED:
            sums[key] = None if cost is None or before is None else EXACT.add(before, cost)
    return sums


def _questions(rows: list[dict[str, str]], count: int) -> Iterator[CostQuery]:
    dice = random.Random(11)
    names = list(COLUMNS)
    for _ in range(count):
        start = AUTUMN.start + timedelta(days=dice.randrange(80))
        where = []
        for name in dice.sample(names, dice.randrange(3)):
            known = sorted({_value(row, name) for row in rows})
            where.append(Filter(name, tuple(dice.sample(known, min(2, len(known)))), dice.random() < 0.3))
        yield CostQuery(
            Period(start, start + timedelta(days=dice.randrange(1, 60))),
            by=tuple(dice.sample(names, dice.randrange(4))),
            where=tuple(where),
            metric=dice.choice([m for m in Metric for _ in range(4 if m in COSTS else 1)]),
            granularity=dice.choice(list(Granularity)),
        )


def test_any_question_equals_an_independent_sum(estate: Estate) -> None:
    """200 questions at random - dimensions, filters, windows, metrics, grains - to the last digit."""
    costs, rows = estate
    for query in _questions(rows, 200):
        answer = costs.table(query)
        found = {(row.start, row.keys, row.currency): row.cost for row in answer.rows}
        assert found == _expected(rows, query), query
        assert answer.receipt.rows == sum(row.raw_rows for row in answer.rows)


@pytest.mark.stores
def test_both_stores_give_the_same_answers(
    estate: Estate, database: Database, tmp_path: Path, one_process: None
) -> None:
    """Read into another store, the same rows answer the same questions alike."""
    costs, rows = estate
    read(database, bill(tmp_path / "estate.csv", *_estate(), columns=[*ROW, "PricingCategory"]))
    other = Costs(database, "default", TAG_KEYS, 2)
    for query in _questions(rows, 60):
        assert other.table(query).rows == costs.table(query).rows, query


def test_a_receipt_can_be_run_by_hand(estate: Estate) -> None:
    """The text and the parameters give the same sum in a plain SQL shell."""
    costs, _ = estate
    where = (Filter("tag:team", ("search", "")), Filter("region_id", ("us-east-1",), exclude=True))
    answer = costs.table(CostQuery(AUTUMN, where=where, metric=Metric.EFFECTIVE))
    with sqlite3.connect(str(costs.database.engine.url.database)) as shell:
        rows = shell.execute(answer.receipt.sql, dict(answer.receipt.parameters)).fetchall()
    by_currency = {currency: join(micros, rest) for _, currency, micros, rest, _, _ in rows}
    assert by_currency == dict(answer.totals)
    assert sum(r[-1] for r in rows) == answer.receipt.rows > 0


def test_rows_come_by_time_and_then_by_size(estate: Estate) -> None:
    """What costs most comes first, and a limit says how much it left out without changing the totals."""
    costs, _ = estate
    usd = (Filter("currency", ("USD",)),)
    full = costs.table(CostQuery(AUTUMN, by=("service_name", "resource_id"), where=usd))
    assert [row.cost for row in full.rows] == sorted((row.cost for row in full.rows if row.cost), reverse=True)
    top = costs.table(CostQuery(AUTUMN, by=("service_name", "resource_id"), where=usd, limit=3))
    assert top.rows == full.rows[:3]
    assert (top.truncated, top.totals) == (len(full.rows) - 3, full.totals)
    monthly = costs.table(CostQuery(AUTUMN, by=("service_name",), where=usd, granularity=Granularity.MONTH, limit=1))
    assert len({row.keys for row in monthly.rows}) == 1
    assert [row.start.month for row in monthly.rows] == [9, 10, 11]


def test_a_series_has_every_day(estate: Estate) -> None:
    """Days without cost are zero, and all days together are the total."""
    costs, rows = estate
    query = CostQuery(AUTUMN, by=("service_name",), where=(Filter("currency", ("USD",)),))
    found = costs.series(query)
    assert {len(s.values) for s in found} == {AUTUMN.days}
    assert [s.keys[0][0] for s in found] == ["service_name"] * 3
    expected = _expected(rows, query)
    for series in found:
        total = Decimal(0)
        for value in series.values:
            total = EXACT.add(total, value)
        assert total == expected[AUTUMN.start, (series.keys[0][1],), "USD"]
    assert (
        costs.series(CostQuery(AUTUMN, by=("service_name",), limit=1))
        == costs.series(CostQuery(AUTUMN, by=("service_name",)))[:1]
    )


def test_values_are_known_most_expensive_first(estate: Estate) -> None:
    """By the cost of the last 60 days; values without recent cost follow by name; mistyped ones find their like."""
    costs, rows = estate
    span = costs.span()
    assert span is not None
    recent = Period(span.end - timedelta(days=60), span.end)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for (_, (value,), _), cost in _expected(rows, CostQuery(recent, by=("service_name",))).items():
        sums[str(value)] = max(sums[str(value)], cost or Decimal(0))
    assert set(costs.values("service_name")) == set(sums)
    assert len(costs.values("service_name", 2)) == 2
    assert costs.values("tag:nothing") == ()
    assert costs.close("service_name", "lamda")[0] == "Lambda"
    assert costs.spelled(Filter("service_name", ("lambda", "s9"))).values == ("Lambda", "s9")
    assert "" not in costs.values("region_id")


def test_an_empty_database_answers_with_nothing(database: Database) -> None:
    """And says that nothing has been loaded."""
    costs = Costs(database, "default", TAG_KEYS, 2)
    answer = costs.table(CostQuery(AUTUMN, by=("service_name",)))
    assert (answer.rows, answer.totals, answer.receipt.as_of) == ((), (), None)
    assert answer.coverage.missing == ("no cost data has been loaded",)
    assert (costs.series(CostQuery(AUTUMN)), costs.values("service_name"), costs.currencies()) == ((), (), ())
    assert (costs.span(), costs.version()) == (None, "loads-0")


def test_a_warm_answer_takes_less_than_a_tenth_of_a_second(estate: Estate) -> None:
    """CPU time, so that a busy machine does not matter."""
    costs, _ = estate
    query = CostQuery(AUTUMN, by=("service_name",), granularity=Granularity.DAY)
    costs.table(query)
    begun = time.process_time()
    for _ in range(5):
        costs.table(query)
    assert (time.process_time() - begun) / 5 < 0.1


def test_the_raw_file_is_what_was_written(tmp_path: Path) -> None:
    """The independent sum reads the rows that the product reads."""
    path = bill(tmp_path / "a.csv", *_estate(rows=3), columns=[*ROW, "PricingCategory"])
    with path.open(encoding="utf-8") as file:
        assert [r["BilledCost"] for r in csv.DictReader(file)] == [r["BilledCost"] for r in _estate(rows=3)]
