"""Random questions to random bills, and their answers from the raw file: SQL written by hand, apart from the product's."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from tests.collection.bills import bill
from tools.model.period import Period
from tools.model.query import CostQuery, CostRow, Filter, Granularity, Metric

FIRST, LAST = date(2026, 8, 1), date(2026, 10, 31)
# Months before this one keep no cost per resource.
DETAIL_FROM = date(2026, 9, 1)
DETAIL_MONTHS = 2
TAG_KEYS = ("team", "env")
_COLUMNS = {
    "provider": "ProviderName",
    "billing_account_id": "BillingAccountId",
    "sub_account_id": "SubAccountId",
    "sub_account_name": "SubAccountName",
    "service_name": "ServiceName",
    "service_category": "ServiceCategory",
    "region_id": "RegionId",
    "charge_category": "ChargeCategory",
    "charge_class": "ChargeClass",
    "pricing_category": "PricingCategory",
    "commitment_discount_id": "CommitmentDiscountId",
    "commitment_discount_status": "CommitmentDiscountStatus",
    "currency": "BillingCurrency",
    "resource_id": "ResourceId",
    "sku_id": "SkuId",
}
_TAGS = {"tag:team": "team", "tag:env": "env"}
DIMENSIONS = (*_COLUMNS, *_TAGS)
_DETAIL = ("resource_id", "sku_id")
# What is added up, what of it may be missing, and of which charges.
_METRICS: dict[Metric, tuple[str, tuple[str, ...], str]] = {
    Metric.BILLED: ("BilledCost", (), "true"),
    Metric.EFFECTIVE: ("EffectiveCost", (), "true"),
    Metric.LIST: ("ListCost", ("ListCost",), "true"),
    Metric.CONTRACTED: ("ContractedCost", ("ContractedCost",), "true"),
    Metric.GROSS: ("BilledCost", (), "ChargeCategory <> 'Credit'"),
    Metric.CREDITS: ("BilledCost", (), "ChargeCategory = 'Credit'"),
    Metric.NET: ("BilledCost", (), "true"),
    Metric.WITHOUT_TAX: ("BilledCost", (), "ChargeCategory <> 'Tax'"),
    Metric.TAX: ("BilledCost", (), "ChargeCategory = 'Tax'"),
    Metric.PURCHASES: ("BilledCost", (), "ChargeCategory = 'Purchase'"),
    Metric.WITHOUT_PURCHASES: ("BilledCost", (), "ChargeCategory <> 'Purchase'"),
    Metric.NEGOTIATED_SAVINGS: (
        "ListCost - ContractedCost", ("ListCost", "ContractedCost"), "ChargeCategory = 'Usage'",
    ),
    Metric.COMMITMENT_SAVINGS: ("ContractedCost - EffectiveCost", ("ContractedCost",), "ChargeCategory = 'Usage'"),
    Metric.SAVINGS: ("ListCost - EffectiveCost", ("ListCost",), "ChargeCategory = 'Usage'"),
}  # fmt: skip
_VALUES = {
    "ProviderName": ("AWS", "Microsoft", "Google Cloud"),
    "BillingAccountId": ("111111111111", "222222222222"),
    "SubAccountId": ("a-1", "a-2", "A-2", ""),
    "SubAccountName": ("shop", "Shop", "Bücher, \"alt\"", ""),
    "ServiceName": ("Compute", "compute", "It's", "S3", "\\N", ""),
    "ServiceCategory": ("Compute", "Storage"),
    "RegionId": ("eu-west-1", "us_east%", ""),
    "ChargeCategory": ("Usage", "Usage", "Usage", "Tax", "Credit", "Purchase", "Adjustment"),
    "ChargeClass": ("", "", "Correction"),
    "PricingCategory": ("Standard", "Dynamic", "Committed", ""),
    "CommitmentDiscountId": ("", "", "sp-1"),
    "CommitmentDiscountStatus": ("", "Used"),
    "BillingCurrency": ("USD", "USD", "EUR"),
    "ResourceId": ("r1", "r2", "r 3", ""),
    "SkuId": ("k1", "k2"),
}  # fmt: skip
_SQL = """
    SELECT {bucket} AS bucket, {keys} BillingCurrency AS currency,
        {unknown} AS unknown, sum(CASE WHEN {known} THEN {amount} ELSE 0 END) AS cost, count(*) AS n
    FROM bill WHERE day >= ? AND day < ? AND {of} AND {where} GROUP BY ALL"""


def write(path: Path, seed: int, rows: int = 500) -> Path:
    """A bill of three providers, two accounts, three months and two currencies; some prices are missing."""
    dice = random.Random(seed)
    return bill(path, *(_charge(dice) for _ in range(rows)))


def _charge(dice: random.Random) -> dict[str, str]:
    day = FIRST + timedelta(days=dice.randrange((LAST - FIRST).days + 1))
    following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    tags = {key: value for key in ("team", "env") if (value := dice.choice(("search", "Shop", "x y", "")))}
    costs = {name: _amount(dice) for name in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")}
    for name in ("ListCost", "ContractedCost"):
        if dice.random() < 0.02:
            costs[name] = ""
    return {
        **{name: dice.choice(values) for name, values in _VALUES.items()},
        **costs,
        "BillingPeriodStart": f"{day:%Y-%m}-01T00:00:00Z",
        "BillingPeriodEnd": f"{following}T00:00:00Z",
        "ChargePeriodStart": f"{day}T{dice.randrange(23):02}:00:00Z",
        "ChargePeriodEnd": f"{day}T23:00:00Z",
        "Tags": json.dumps(tags) if tags else "",
    }


def _amount(dice: random.Random) -> str:
    """Of any size and sign, with up to 18 decimals."""
    return format(Decimal(dice.randrange(-(10**9), 10**10)).scaleb(-dice.randrange(19)), "f")


def questions(seed: int) -> Iterator[CostQuery]:
    """Endless, the same for the same seed."""
    dice = random.Random(seed)
    while True:
        start = FIRST + timedelta(days=dice.randrange(-5, 92))
        yield CostQuery(
            period=Period(start, start + timedelta(days=dice.choice((1, 7, 30, 31, 100)))),
            by=tuple(dice.sample(DIMENSIONS, dice.randrange(4))),
            where=tuple(_filter(dice, name) for name in dice.sample(DIMENSIONS, dice.choice((0, 0, 1, 1, 2)))),
            metric=dice.choice(tuple(Metric)),
            granularity=dice.choice(tuple(Granularity)),
            limit=dice.choice((None, None, 3)),
        )


def _filter(dice: random.Random, dimension: str) -> Filter:
    known = _VALUES[_COLUMNS[dimension]] if dimension in _COLUMNS else ("search", "Shop", "x y", "")
    values = [*dict.fromkeys(known), "unheard of"]
    return Filter(dimension, tuple(dice.sample(values, dice.randrange(1, 3))), dice.random() < 0.3)


class Raw:
    """The file itself, asked with DuckDB."""

    def __init__(self, path: Path) -> None:
        self._db = duckdb.connect()
        costs = ", ".join(
            f"CAST(nullif({name}, '') AS DECIMAL(38,18)) AS {name}"
            for name in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
        )
        self._db.execute(
            f"CREATE TABLE bill AS SELECT * REPLACE ({costs}), CAST(left(ChargePeriodStart, 10) AS DATE) AS day, "
            "CAST(left(BillingPeriodStart, 10) AS DATE) AS month FROM "
            f"read_csv('{path}', all_varchar = true, header = true, delim = ',', quote = '\"', nullstr = '\x01')"
        )

    def rows(self, query: CostQuery) -> list[CostRow]:
        """Every row of the answer, in the order that answers have."""
        amount, may_miss, of = _METRICS[query.metric]
        keys = [_expression(d, query) for d in query.by]
        where: list[str] = []
        parameters: list[Any] = [query.period.start, query.period.end]
        for one in query.where:
            marks = ", ".join("?" * len(one.values))
            where.append(f"{_expression(one.dimension, query)} {'NOT IN' if one.exclude else 'IN'} ({marks})")
            parameters += one.values
        bucket = {Granularity.TOTAL: "DATE '2000-01-01'", Granularity.DAY: "day"}.get(
            query.granularity, "date_trunc('month', day)"
        )
        sql = _SQL.format(
            bucket=f"CAST({bucket} AS DATE)",
            keys="".join(f"{key} AS key_{n}, " for n, key in enumerate(keys)),
            unknown=" + ".join(f"count(*) FILTER ({name} IS NULL)" for name in may_miss) or "0",
            known=" AND ".join(f"{name} IS NOT NULL" for name in may_miss) or "true",
            amount=amount,
            of=of,
            where=" AND ".join(where) or "true",
        )
        found = [_row(query, *cells) for cells in self._db.execute(sql, parameters).fetchall()]
        return sorted(found, key=lambda r: (r.start, r.cost is None, -(r.cost or 0), r.keys, r.currency))


def _expression(dimension: str, query: CostQuery) -> str:
    if dimension in _TAGS:
        return f"coalesce(json_extract_string(nullif(Tags, ''), '$.{_TAGS[dimension]}'), '')"
    column = _COLUMNS[dimension]
    return f"CASE WHEN month < DATE '{DETAIL_FROM}' THEN '' ELSE {column} END" if dimension in _DETAIL else column


def _row(query: CostQuery, bucket: date, *cells: Any) -> CostRow:
    *keys, currency, unknown, cost, count = cells
    start = query.period.start if query.granularity is Granularity.TOTAL else max(query.period.start, bucket)
    return CostRow(tuple(keys), start, None if unknown else Decimal(cost), currency, count)
