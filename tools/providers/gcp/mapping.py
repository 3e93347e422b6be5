"""Mapping: one added-up row of a Google billing export as a FOCUS row; pure, in exact text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation

from tools.model.errors import ProviderError
from tools.model.money import EXACT, plain
from tools.model.period import Period
from tools.providers.focus.rows import COLUMNS, charge_days, start_of, tags_text
from tools.providers.gcp.connection import PROVIDER

Cells = Mapping[str, str | None]
ACCOUNT_LEVEL = "(account level)"
_OTHER = ("Other", "Other (Other)")
_CATEGORIES = {"regular": "Usage", "tax": "Tax", "adjustment": "Adjustment", "rounding_error": "Adjustment"}
# FOCUS category and subcategory of Google's services; what is not listed here is told as "Other", never guessed.
SERVICES: Mapping[str, tuple[str, str]] = {
    "AlloyDB": ("Databases", "Relational Databases"),
    "App Engine": ("Compute", "Other (Compute)"),
    "Artifact Registry": ("Developer Tools", "Other (Developer Tools)"),
    "Backup for GKE": ("Storage", "Backup Storage"),
    "BigQuery": ("Analytics", "Analytics Platforms"),
    "BigQuery Reservation API": ("Analytics", "Analytics Platforms"),
    "BigQuery Storage API": ("Analytics", "Analytics Platforms"),
    "Cloud Bigtable": ("Databases", "NoSQL Databases"),
    "Cloud Build": ("Developer Tools", "Other (Developer Tools)"),
    "Cloud Composer": ("Analytics", "Data Processing"),
    "Cloud DNS": ("Networking", "Network Infrastructure"),
    "Cloud Dataflow": ("Analytics", "Data Processing"),
    "Cloud Dataproc": ("Analytics", "Data Processing"),
    "Cloud Filestore": ("Storage", "File Storage"),
    "Cloud Key Management Service (KMS)": ("Security", "Secret Management"),
    "Cloud Logging": ("Management and Governance", "Observability"),
    "Cloud Memorystore for Redis": ("Databases", "Caching"),
    "Cloud Monitoring": ("Management and Governance", "Observability"),
    "Cloud Pub/Sub": ("Integration", "Messaging"),
    "Cloud Run": ("Compute", "Serverless Compute"),
    "Cloud Run Functions": ("Compute", "Serverless Compute"),
    "Cloud SQL": ("Databases", "Relational Databases"),
    "Cloud Spanner": ("Databases", "Relational Databases"),
    "Cloud Storage": ("Storage", "Object Storage"),
    "Compute Engine": ("Compute", "Virtual Machines"),
    "Kubernetes Engine": ("Compute", "Containers"),
    "Networking": ("Networking", "Network Infrastructure"),
    "Secret Manager": ("Security", "Secret Management"),
    "Support": ("Other", "Other (Other)"),
    "Vertex AI": ("AI and Machine Learning", "Machine Learning"),
    "Vertex AI API": ("AI and Machine Learning", "Machine Learning"),
}


def native(cells: Cells, account: str, period: Period, *, estimated: bool) -> dict[str, str]:
    """A row of the standard or detailed export. Google knows no amortised cost there: effective is what is paid."""
    category = "Credit" if cells.get("credit_type") or cells.get("credit_name") else _category(cells)
    service = _text(cells, "service")
    kind, below = SERVICES.get(service, _OTHER)
    billed, project, name = amount(cells, "billed"), _text(cells, "project"), _text(cells, "resource_name")
    row = _frame(_day(cells, "day"), account, period, estimated=estimated) | {
        "BilledCost": billed,
        "EffectiveCost": billed,
        "ListCost": amount(cells, "listed"),
        "ContractedCost": amount(cells, "contracted"),
        "BillingCurrency": _text(cells, "currency"),
        "ChargeCategory": category,
        "ChargeClass": "Correction" if cells.get("cost_type") == "adjustment" else "",
        "ChargeDescription": _text(cells, "credit_name") or _text(cells, "credit_type") or _text(cells, "sku"),
        "ChargeFrequency": "Usage-Based" if category == "Usage" else "One-Time",
        "RegionId": _text(cells, "region"),
        "ResourceId": _text(cells, "resource"),
        "ResourceName": name.rpartition("/")[2],
        "ServiceCategory": kind,
        "ServiceSubcategory": below,
        "ServiceName": service,
        "ServiceProviderName": PROVIDER,
        "HostProviderName": PROVIDER,
        "InvoiceIssuerName": PROVIDER,
        "SubAccountId": project or ACCOUNT_LEVEL,
        "SubAccountName": _text(cells, "project_name") or project or ACCOUNT_LEVEL,
        "Tags": tags_text({**labels(cells.get("project_labels")), **labels(cells.get("labels"))}.items()),
    }
    return row | (_used(cells) if category == "Usage" else {})


def _used(cells: Cells) -> dict[str, str]:
    """What only usage has. An hour of a core is not an hour of a machine, and is not called one."""
    unit, sku = _text(cells, "unit"), _text(cells, "sku")
    if unit == "hour" and " Core " in f"{sku} ":
        unit = "vCPU hour"
    quantity = amount(cells, "quantity")
    spot = sku.startswith(("Spot Preemptible ", "Preemptible "))
    return {
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "PricingCategory": "Dynamic" if spot else "Standard",
        "SkuId": _text(cells, "sku_id"),
        "SkuMeter": sku,
    }


def focus(cells: Cells, account: str, period: Period, *, estimated: bool) -> dict[str, str]:
    """A row of the FOCUS export: its own words, with exact amounts."""
    row = {name: value for name, value in cells.items() if name in COLUMNS and value is not None}
    for name in _MONEY:
        if name in cells:
            row[name] = amount(cells, name)
    tags = labels(cells.get("Tags"))
    named = {"Tags": tags_text(tags.items()), "ServiceProviderName": _text(cells, "ServiceProviderName") or PROVIDER}
    return row | _frame(_day(cells, "Day"), account, period, estimated=estimated) | named


_MONEY = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "PricingQuantity", "ConsumedQuantity")


def _frame(day: date, account: str, period: Period, *, estimated: bool) -> dict[str, str]:
    return {
        "BillingAccountId": account,
        "BillingPeriodStart": start_of(period.start),
        "BillingPeriodEnd": start_of(period.end),
        "x_Estimated": "true" if estimated else "false",
        **charge_days(day),
    }


def _category(cells: Cells) -> str:
    told = _text(cells, "cost_type")
    if told not in _CATEGORIES:
        raise _strange("cost_type")
    return _CATEGORIES[told]


def amount(cells: Cells, name: str) -> str:
    """An exact decimal number as plain text; empty when it is not known."""
    value = cells.get(name)
    if value is None or value == "":
        return ""
    try:
        number = EXACT.create_decimal(value)
    except InvalidOperation:
        raise _strange(name) from None
    if not number.is_finite():
        raise _strange(name)
    return plain(Decimal(number))


def labels(told: str | None) -> dict[str, str]:
    """Labels as BigQuery writes them: a list of key and value, or an object; {} without any."""
    try:
        content = json.loads(told) if told else None
    except ValueError:
        raise _strange("labels") from None
    if isinstance(content, dict):
        return {str(k): "" if v is None else str(v) for k, v in content.items()}
    return dict(_pairs(content))


def _pairs(content: object) -> Iterator[tuple[str, str]]:
    for item in content if isinstance(content, list) else []:
        one = {str(k).lower(): v for k, v in item.items()} if isinstance(item, dict) else {}
        if one.get("key"):
            yield str(one["key"]), "" if one.get("value") is None else str(one["value"])


def _day(cells: Cells, name: str) -> date:
    try:
        return date.fromisoformat(str(cells.get(name)))
    except ValueError:
        raise _strange(name) from None


def _text(cells: Cells, name: str) -> str:
    return cells.get(name) or ""


def _strange(name: str) -> ProviderError:
    return ProviderError(
        f"The billing export tells something in {name} that is not known; nothing of this month is used.",
        fix="Look for a newer version of OptiInfra; Google may have changed its export.",
    )
