"""The story's Google Cloud charges as BigQuery tables: the standard, detailed and FOCUS billing exports, and a view."""

# ruff: noqa: S608 - the statements are put together from names of ours
from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sandbox import organisation as org
from sandbox.clouds.bills import Bills, Charge
from sandbox.story.lines import Kind
from sandbox.story.services import CATEGORIES

if TYPE_CHECKING:
    import duckdb

_ACCOUNT = org.GCP_BILLING_ACCOUNT.replace("-", "_")
STANDARD = f"gcp_billing_export_v1_{_ACCOUNT}"
DETAILED = f"gcp_billing_export_resource_v1_{_ACCOUNT}"
FOCUS = f"gcp_billing_export_focus_{_ACCOUNT}"
VIEW = "lumen_billing_view"
TABLES = (STANDARD, DETAILED, FOCUS, VIEW)
_CREDIT_TYPES = {"Sustained use discount": "SUSTAINED_USAGE_DISCOUNT"}
# Google exports hours; two rows a day are enough to make adding up matter.
_HALVES = (0, 12)


def fill(bills: Bills) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory with the tables."""
    import duckdb

    database = duckdb.connect()
    database.execute("SET threads = 1")
    database.execute("CREATE MACRO TO_JSON_STRING(x) AS coalesce(CAST(to_json(x) AS VARCHAR), 'null')")
    _load(database, bills)
    database.execute(f'CREATE TABLE "{DETAILED}" AS {_NATIVE}')
    database.execute(f'CREATE TABLE "{STANDARD}" AS SELECT * EXCLUDE (resource) FROM "{DETAILED}"')
    database.execute(f'CREATE VIEW "{VIEW}" AS SELECT * EXCLUDE ("_PARTITIONTIME") FROM "{DETAILED}"')
    database.execute(f'CREATE TABLE "{FOCUS}" AS {_FOCUS_ROWS}')
    return database


def _load(database: duckdb.DuckDBPyConnection, bills: Bills) -> None:
    """The charges as they are, one row per line and day."""
    import numpy as np

    rows = [_row(charge) for charge in bills.charges()]
    table = {name: np.array([row[name] for row in rows], dtype=object) for name in rows[0]}
    database.register("told", table)
    database.execute(
        "CREATE TABLE charge AS SELECT * REPLACE (CAST(day AS DATE) AS day, CAST(billed AS DECIMAL(38, 13)) AS billed, "
        "CAST(effective AS DECIMAL(38, 13)) AS effective, CAST(quantity AS DOUBLE) AS quantity) FROM told"
    )
    database.unregister("told")


def _row(charge: Charge) -> dict[str, Any]:
    line = charge.line
    sku = hashlib.sha256(f"{line.service}/{line.sku}/{line.region}".encode()).hexdigest().upper()
    service = hashlib.sha256(line.service.encode()).hexdigest().upper()
    tags = {key: value for key, value in line.tags if value}
    return {
        "day": charge.day.isoformat(),
        "billed": format(charge.billed, "f"),
        "effective": format(charge.effective, "f"),
        "quantity": format(charge.quantity, "f"),
        "is_credit": line.kind is Kind.CREDIT,
        "credit_type": _CREDIT_TYPES.get(line.sku, "PROMOTION"),
        "service": line.service,
        "service_id": f"{service[:4]}-{service[4:8]}-{service[8:12]}",
        "category": CATEGORIES[line.service][0],
        "sku": line.sku,
        "sku_id": f"{sku[:4]}-{sku[4:8]}-{sku[8:12]}",
        "unit": line.unit,
        "project": line.account,
        "region": line.region,
        "resource": line.resource_id or None,
        "resource_name": line.resource_name or None,
        "tag_keys": "\x1f".join(tags),
        "tag_values": "\x1f".join(tags.values()),
    }


_LABELS = """CASE WHEN tag_keys = '' THEN []::STRUCT("key" VARCHAR, "value" VARCHAR)[] ELSE list_transform(
    list_zip(string_split(tag_keys, chr(31)), string_split(tag_values, chr(31))),
    lambda pair: {'key': pair[1], 'value': pair[2]}) END"""
_NO_LABELS = '[]::STRUCT("key" VARCHAR, "value" VARCHAR)[]'
_CREDIT = "{'name': sku, 'amount': CAST(billed AS DOUBLE) / 2, 'full_name': sku, 'id': sku_id, 'type': credit_type}"
_NO_CREDITS = '[]::STRUCT("name" VARCHAR, amount DOUBLE, full_name VARCHAR, id VARCHAR, "type" VARCHAR)[]'
# A credit hangs on the dearest usage of its project and service that day; without any it stands alone at no cost.
_NATIVE = f"""
    WITH half AS (SELECT unnest([{", ".join(str(h) for h in _HALVES)}]) AS hour),
    usage_row AS (
        SELECT *, row_number() OVER (PARTITION BY project, service, day ORDER BY billed DESC, sku_id, resource) AS place
        FROM charge WHERE NOT is_credit
    ),
    credit AS (
        SELECT project, service, day, list({_CREDIT}) AS credits, any_value(sku) AS credit_sku,
            any_value(sku_id) AS credit_sku_id, any_value(service_id) AS credit_service_id, any_value(region) AS region
        FROM charge WHERE is_credit GROUP BY ALL
    ),
    joined AS (
        SELECT u.* EXCLUDE (place), coalesce(c.credits, {_NO_CREDITS}) AS credits
        FROM usage_row u LEFT JOIN credit c ON u.place = 1 AND c.project = u.project AND c.service = u.service
            AND c.day = u.day
        UNION ALL BY NAME
        SELECT c.day, CAST(0 AS DECIMAL(38, 13)) AS billed, CAST(0 AS DECIMAL(38, 13)) AS effective, 0.0 AS quantity,
            false AS is_credit, '' AS credit_type, c.service, c.credit_service_id AS service_id, '' AS category,
            c.credit_sku AS sku, c.credit_sku_id AS sku_id, '' AS unit, c.project, c.region, '' AS tag_keys,
            '' AS tag_values, c.credits
        FROM credit c ANTI JOIN usage_row u ON c.project = u.project AND c.service = u.service AND c.day = u.day
    )
    SELECT '{org.GCP_BILLING_ACCOUNT}' AS billing_account_id,
        {{'id': service_id, 'description': service}} AS service, {{'id': sku_id, 'description': sku}} AS sku,
        CAST(day AS TIMESTAMP) + to_hours(hour) AS usage_start_time,
        CAST(day AS TIMESTAMP) + to_hours(hour + 12) AS usage_end_time,
        {{'id': project, 'number': '417', 'name': project, 'labels': {_NO_LABELS}}} AS project,
        {_LABELS} AS labels,
        {{'location': region, 'country': 'BE', 'region': region, 'zone': CAST(NULL AS VARCHAR)}} AS location,
        CAST(day AS TIMESTAMP) + to_hours(hour + 18) AS export_time,
        CAST(billed AS DOUBLE) / 2 AS cost, CAST(billed AS DOUBLE) / 2 AS cost_at_list, 'USD' AS currency,
        {{'amount': quantity / 2, 'unit': unit, 'amount_in_pricing_units': quantity / 2, 'pricing_unit': unit}} AS usage,
        credits, {{'month': strftime(day, '%Y%m'), 'publisher_type': 'GOOGLE'}} AS invoice, 'regular' AS cost_type,
        {{'name': resource_name, 'global_name': resource}} AS resource,
        date_trunc('day', CAST(day AS TIMESTAMP) + to_hours(hour + 18)) AS "_PARTITIONTIME"
    FROM joined CROSS JOIN half
"""
_FOCUS_ROWS = f"""
    SELECT '{org.GCP_BILLING_ACCOUNT}' AS BillingAccountId, 'Lumen Market' AS BillingAccountName,
        CAST(date_trunc('month', day) AS TIMESTAMP) AS BillingPeriodStart,
        CAST(date_trunc('month', day) + INTERVAL 1 MONTH AS TIMESTAMP) AS BillingPeriodEnd,
        CAST(day AS TIMESTAMP) + to_hours(hour) AS ChargePeriodStart,
        CAST(day AS TIMESTAMP) + to_hours(hour + 12) AS ChargePeriodEnd,
        CAST(billed AS DOUBLE) / 2 AS BilledCost, CAST(effective AS DOUBLE) / 2 AS EffectiveCost,
        CAST(billed AS DOUBLE) / 2 AS ListCost, CAST(billed AS DOUBLE) / 2 AS ContractedCost, 'USD' AS BillingCurrency,
        CASE WHEN is_credit THEN 'Credit' ELSE 'Usage' END AS ChargeCategory, CAST(NULL AS VARCHAR) AS ChargeClass,
        sku AS ChargeDescription, 'Usage-Based' AS ChargeFrequency, quantity / 2 AS ConsumedQuantity,
        unit AS ConsumedUnit, 'Google Cloud' AS ProviderName, 'Google Cloud' AS PublisherName,
        'Google Cloud' AS InvoiceIssuerName, region AS RegionId, resource AS ResourceId,
        resource_name AS ResourceName, category AS ServiceCategory, service AS ServiceName, sku_id AS SkuId,
        project AS SubAccountId, project AS SubAccountName, {_LABELS} AS Tags,
        CAST(day AS TIMESTAMP) + to_hours(hour + 18) AS x_ExportTime,
        date_trunc('day', CAST(day AS TIMESTAMP) + to_hours(hour + 18)) AS "_PARTITIONTIME"
    FROM charge CROSS JOIN (SELECT unnest([{", ".join(str(h) for h in _HALVES)}]) AS hour)
"""
