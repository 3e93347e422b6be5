"""Statements: the BigQuery questions that we ask a billing export; values travel as parameters, names are checked."""

# ruff: noqa: S608 - this is the place where BigQuery text is made; the table's name is checked, values are parameters
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from tools.model.errors import ProviderError, SettingsError
from tools.model.period import Period
from tools.providers.focus.rows import COLUMNS

# Google exports usage a day or two late, an enabled export is filled back for a month, and adjustments follow the
# invoice by days: rows of an invoice month are loaded between these days around it.
LOADED_BEFORE = timedelta(days=5)
LOADED_AFTER = timedelta(days=50)
# Credits that lower what usage costs. All others (promotions above all) are charges of their own.
DISCOUNTS = (
    "SUSTAINED_USAGE_DISCOUNT",
    "DISCOUNT",
    "COMMITTED_USAGE_DISCOUNT",
    "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE",
    "SUBSCRIPTION_BENEFIT",
    "FEE_UTILIZATION_OFFSET",
    "FREE_TIER",
    "RESELLER_MARGIN",
)
_PROJECT = r"(?:[a-z0-9.-]{1,64}:)?[a-z][a-z0-9-]{4,61}[a-z0-9]"
_NAME = re.compile(rf"({_PROJECT})\.([A-Za-z0-9_]{{1,1024}})\.([A-Za-z0-9_$-]{{1,1024}})")
_ACCOUNT = re.compile(r"_([0-9A-Z]{6})_([0-9A-Z]{6})_([0-9A-Z]{6})$")
_NEEDED = (
    "billing_account_id",
    "cost",
    "cost_type",
    "credits",
    "currency",
    "export_time",
    "invoice",
    "project",
    "service",
    "sku",
    "usage",
    "usage_start_time",
)
_MONEY = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
_SUMMED = (*_MONEY, "PricingQuantity", "ConsumedQuantity")
_FOCUS_NEEDED = ("BillingAccountId", "BillingPeriodStart", "ChargePeriodStart", "ChargeCategory", *_MONEY[:2])


@dataclass(frozen=True, slots=True)
class TableName:
    """A BigQuery table by its three names."""

    project: str
    dataset: str
    table: str

    @classmethod
    def of(cls, text: str) -> TableName:
        """From PROJECT.DATASET.TABLE; raises SettingsError for anything else."""
        found = _NAME.fullmatch(text.strip().strip("`"))
        if found is None:
            raise SettingsError(
                "OPTIINFRA_GCP_BILLING_TABLE is not the name of a BigQuery table.",
                fix="Write it as PROJECT.DATASET.TABLE.",
            )
        return cls(*found.groups())

    @property
    def billing_account(self) -> str:
        """The billing account whose export it is, "01AB23-..." ; empty for a table of another name (a view)."""
        found = _ACCOUNT.search(self.table)
        return "-".join(found.groups()) if found else ""

    @property
    def path(self) -> str:
        return f"bigquery/v2/projects/{self.project}/datasets/{self.dataset}/tables/{self.table}"

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}.{self.table}"


@dataclass(frozen=True, slots=True)
class Export:
    """What a billing table holds, as BigQuery describes it: its columns with their types, and what it is cut by.

    `partition` is the column by which a query reads only part of the table; empty where there is none (a view).
    """

    name: TableName
    columns: Mapping[str, str]
    partition: str
    location: str

    @property
    def is_focus(self) -> bool:
        return "BilledCost" in self.columns

    def check(self) -> None:
        """Raise ProviderError naming what the table lacks; a table we do not know is not guessed at."""
        needed = _FOCUS_NEEDED if self.is_focus else _NEEDED
        missing = [column for column in needed if column not in self.columns]
        if missing:
            raise ProviderError(
                f"{self.name} is no billing export that is known: it has no column {', '.join(missing)}.",
                fix="Set OPTIINFRA_GCP_BILLING_TABLE to Google's standard, detailed or FOCUS export, or a view of one.",
            )


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and its parameters: name -> (BigQuery type, value as text)."""

    sql: str
    parameters: Mapping[str, tuple[str, str]]


def accounts(export: Export, today: date) -> Statement:
    """Which billing accounts a table holds lately: one column."""
    column = "BillingAccountId" if export.is_focus else "billing_account_id"
    where, parameters = _loaded(export, today - timedelta(days=40), today + timedelta(days=2))
    return Statement(f"SELECT DISTINCT {column} AS account FROM `{export.name}` WHERE {where} ORDER BY 1", parameters)


def charges(export: Export, account: str, period: Period) -> Statement:
    """Everything of one billing account and month, added up per day and whatever else we keep."""
    return _focus(export, account, period) if export.is_focus else _native(export, account, period)


def _native(export: Export, account: str, period: Period) -> Statement:
    has = export.columns
    loaded, parameters = _loaded(export, period.start - LOADED_BEFORE, period.end + LOADED_AFTER)
    parameters |= {"account": ("STRING", account), "month": ("STRING", f"{period.start:%Y%m}")}
    which = f"billing_account_id = @account AND invoice.month = @month AND {loaded}"
    discounts = ", ".join(f"'{name}'" for name in DISCOUNTS)
    words = {
        "day": "CAST(usage_start_time AS DATE)",
        "currency": "currency",
        "cost_type": "cost_type",
        "service": "service.description",
        "service_id": "service.id",
        "sku": "sku.description",
        "sku_id": "sku.id",
        "project": "project.id",
        "project_name": "project.name",
        "project_labels": "TO_JSON_STRING(project.labels)",
        "labels": "TO_JSON_STRING(labels)",
        "region": "location.region",
        "zone": "location.zone",
        "resource": "resource.global_name" if "resource" in has else "CAST(NULL AS STRING)",
        "resource_name": "resource.name" if "resource" in has else "CAST(NULL AS STRING)",
        "unit": "usage.pricing_unit",
    }
    listed = "CAST(cost_at_list AS NUMERIC)" if "cost_at_list" in has else "CAST(NULL AS NUMERIC)"
    common = ", ".join(f"{sql} AS {name}" for name, sql in words.items())
    source = f"`{export.name}`"
    discount = f"(SELECT SUM(CAST(c.amount AS NUMERIC)) FROM UNNEST(credits) AS c WHERE c.type IN ({discounts}))"
    sql = (
        f"WITH charge AS (SELECT {common}, CAST(cost AS NUMERIC) AS cost, {listed} AS listed, "
        f"IFNULL({discount}, 0) AS discount, CAST(usage.amount_in_pricing_units AS NUMERIC) AS quantity "
        f"FROM {source} WHERE {which}), "
        f"credit AS (SELECT {common}, c.type AS credit_type, c.full_name AS credit_name, "
        f"CAST(c.amount AS NUMERIC) AS amount FROM {source} CROSS JOIN UNNEST(credits) AS c "
        f"WHERE {which} AND (c.type IS NULL OR c.type NOT IN ({discounts}))) "
        f"SELECT {', '.join(words)}, CAST(NULL AS STRING) AS credit_type, CAST(NULL AS STRING) AS credit_name, "
        "SUM(cost) AS contracted, SUM(cost + discount) AS billed, "
        "CASE WHEN COUNT(listed) = COUNT(*) THEN SUM(listed) END AS listed, SUM(quantity) AS quantity "
        "FROM charge GROUP BY ALL UNION ALL "
        f"SELECT {', '.join(words)}, credit_type, credit_name, CAST(0 AS NUMERIC) AS contracted, "
        "SUM(amount) AS billed, CAST(0 AS NUMERIC) AS listed, CAST(NULL AS NUMERIC) AS quantity "
        "FROM credit GROUP BY ALL"
    )
    return Statement(sql, parameters)


def _focus(export: Export, account: str, period: Period) -> Statement:
    which, parameters = of_month(export, account, period)
    return Statement(
        f"SELECT {', '.join(_focus_columns(export.columns))} FROM `{export.name}` WHERE {which} GROUP BY ALL",
        parameters,
    )


def of_month(export: Export, account: str, period: Period) -> tuple[str, dict[str, tuple[str, str]]]:
    """The condition on a FOCUS export's rows of one account and billing period, and its parameters."""
    loaded, parameters = _loaded(export, period.start - LOADED_BEFORE, period.end + LOADED_AFTER)
    parameters |= {
        "account": ("STRING", account),
        "first": ("DATE", str(period.start)),
        "next": ("DATE", str(period.end)),
    }
    which = (
        "BillingAccountId = @account AND CAST(BillingPeriodStart AS DATE) >= @first "
        f"AND CAST(BillingPeriodStart AS DATE) < @next AND {loaded}"
    )
    return which, parameters


def _focus_columns(has: Mapping[str, str]) -> list[str]:
    """What of our FOCUS columns the table has, by the day; the provider's name has changed between versions."""
    found = [
        "CAST(ChargePeriodStart AS DATE) AS Day",
        "ServiceProviderName" if "ServiceProviderName" in has else "ProviderName AS ServiceProviderName",
    ]
    for name in COLUMNS:
        if name not in has or name.startswith(("ChargePeriod", "BillingPeriod", "ServiceProviderName")):
            continue
        if name in _MONEY[2:]:
            # A total of which one part is unknown is unknown.
            found.append(f"CASE WHEN COUNT({name}) = COUNT(*) THEN SUM(CAST({name} AS NUMERIC)) END AS {name}")
        elif name in _SUMMED:
            found.append(f"SUM(CAST({name} AS NUMERIC)) AS {name}")
        elif name == "ListUnitPrice":
            continue
        elif name == "Tags":
            found.append("Tags AS Tags" if has[name] == "STRING" else "TO_JSON_STRING(Tags) AS Tags")
        else:
            found.append(name)
    return found


def _loaded(export: Export, first: date, end: date) -> tuple[str, dict[str, tuple[str, str]]]:
    """The condition by which only the partitions are read that can hold the rows."""
    parameters = {"loaded_from": ("TIMESTAMP", _moment(first)), "loaded_before": ("TIMESTAMP", _moment(end))}
    column = export.partition or ("export_time" if "export_time" in export.columns else "")
    if column:
        return f"{column} >= @loaded_from AND {column} < @loaded_before", parameters
    # A view that tells nothing of loading: the billing period alone says what is read, and the cap what it may cost.
    return "TRUE", {}


def _moment(day: date) -> str:
    return datetime.combine(day, time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
