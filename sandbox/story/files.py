"""The story's bills as files: one folder per provider, one file per billing period, as each provider delivers them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from sandbox import organisation as org
from sandbox.disk import write_json
from sandbox.story import columns
from sandbox.story.amounts import Rows
from sandbox.story.lines import AMOUNT_DIGITS, PRICE_DIGITS, QUANTITY_DIGITS, Kind, Line, Shape, price_units
from sandbox.story.services import CATEGORIES, REGION_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROVIDERS = ("aws", "gcp", "azure", "vultr")
BILLING_ACCOUNTS = {
    "aws": (org.AWS_PAYER, "lumen-payer"),
    "gcp": (org.GCP_BILLING_ACCOUNT, "Lumen Market"),
    "azure": (org.AZURE_BILLING_ACCOUNT, "Lumen Market"),
    "vultr": (org.VULTR_BILLING_ACCOUNT, "Lumen Edge"),
}
_EPOCH = date(1970, 1, 1).toordinal()
_CATEGORY = {
    Kind.USAGE: "Usage",
    Kind.COVERED: "Usage",
    Kind.UNUSED: "Usage",
    Kind.COMMITMENT: "Purchase",
    Kind.FEE: "Purchase",
    Kind.TAX: "Tax",
    Kind.CREDIT: "Credit",
    Kind.ADJUSTMENT: "Adjustment",
}
_PRICED = frozenset({Kind.USAGE, Kind.COVERED, Kind.COMMITMENT, Kind.FEE})
_NAMES = {"aws": ("Spend", "EC2 Instance Savings Plan"), "azure": ("Usage", "Reservation")}


@dataclass(frozen=True, slots=True)
class Written:
    """One file of bills."""

    provider: str
    period: date
    path: Path


def _words(line: Line) -> dict[str, object]:
    """What a row of this line says beside its amounts; None where the provider leaves the field empty."""
    category, subcategory = CATEGORIES[line.service]
    sku = hashlib.sha256(f"{line.provider}/{line.service}/{line.sku}/{line.region}".encode()).hexdigest()[:16].upper()
    price = hashlib.sha256(f"{sku}/{line.price}/{line.kind}".encode()).hexdigest()[:10].upper()
    priced = line.kind in _PRICED
    committed = bool(line.commitment)
    account_prefix = "/subscriptions/" if line.provider == "azure" else ""
    tags = {key: value for key, value in line.tags if value}
    if line.provider == "azure":
        tags = {key.title(): value for key, value in tags.items()}
    return {
        "provider": line.provider,
        "billing_account_id": BILLING_ACCOUNTS[line.provider][0],
        "billing_account_name": BILLING_ACCOUNTS[line.provider][1],
        "sub_account_id": account_prefix + line.account,
        "sub_account_name": org.account_name(line.account),
        "service_name": line.service,
        "service_category": category,
        "service_subcategory": subcategory,
        "charge_category": _CATEGORY[line.kind],
        "charge_class": "Correction" if line.correction else None,
        "charge_frequency": "Recurring"
        if line.kind in {Kind.FEE, Kind.COMMITMENT}
        else "One-Time"
        if line.kind in {Kind.CREDIT, Kind.ADJUSTMENT, Kind.TAX}
        else "Usage-Based",
        "description": line.description,
        "sku": line.sku or None,
        "sku_id": sku if line.sku and priced else None,
        "sku_price_id": f"{sku}.{price}" if line.sku and priced else None,
        "pricing_category": line.pricing if priced else "Committed" if line.kind is Kind.UNUSED else None,
        "pricing_unit": (line.unit or "Count") if priced else None,
        "consumed_unit": line.unit if line.kind in {Kind.USAGE, Kind.COVERED} else None,
        "region_id": line.region or None,
        "region_name": REGION_NAMES.get(line.region),
        "zone": line.zone or None,
        "resource_id": line.resource_id or None,
        "resource_name": line.resource_name or None,
        "resource_type": line.resource_type or None,
        "resource_group": line.resource_id.split("/")[4] if line.resource_id.startswith("/subscriptions/") else None,
        "operation": line.operation or None,
        "commitment_id": line.commitment or None,
        "commitment_name": _commitment_name(line) if committed else None,
        "commitment_category": _NAMES[line.provider][0] if committed else None,
        "commitment_type": _NAMES[line.provider][1] if committed else None,
        "commitment_status": {Kind.COVERED: "Used", Kind.UNUSED: "Unused"}.get(line.kind),
        "commitment_unit": ("USD" if line.provider == "aws" else "Hours") if committed else None,
        "tag_keys": chr(31).join(tags),
        "tag_values": chr(31).join(tags.values()),
        "tags_json": json.dumps(tags) if tags else None,
    }


def _commitment_name(line: Line) -> str:
    from sandbox.story import aws_lines, other_lines

    return aws_lines.SAVINGS_PLAN_NAME if line.provider == "aws" else other_lines.RESERVATION_NAME


def _line_table(lines: tuple[Line, ...]) -> dict[str, NDArray[np.generic]]:
    words = [_words(line) for line in lines]
    table: dict[str, NDArray[np.generic]] = {
        name: np.array([w[name] for w in words], dtype=object) for name in words[0]
    }
    table["line"] = np.arange(len(lines), dtype=np.int32)
    table["priced"] = np.array([line.kind in _PRICED for line in lines])
    table["consumes"] = np.array([line.kind in {Kind.USAGE, Kind.COVERED} for line in lines])
    table["monthly"] = np.array([line.shape is Shape.MONTHLY for line in lines])
    # Microsoft tells no prices for usage that a reservation covers.
    free = [line.provider == "azure" and line.kind is Kind.COVERED for line in lines]
    zero = np.array(free)
    table["price_units"] = np.where(zero, 0, np.array([price_units(line.price) for line in lines], dtype=np.int64))
    contracted = np.array([price_units(line.contracted_price) for line in lines], dtype=np.int64)
    table["contracted_units"] = np.where(zero, 0, contracted)
    return table


def _decimal(units: str, digits: int) -> str:
    return f"(CAST({units} AS DECIMAL(38, 0)) * CAST('0.{'0' * (digits - 1)}1' AS DECIMAL({digits}, {digits})))"


def load(lines: tuple[Line, ...], rows: Rows) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory whose table `charge` holds every row with its words and exact decimal amounts."""
    database = duckdb.connect()
    database.execute("SET threads = 2")
    line_table = _line_table(lines)
    row_table = {name: getattr(rows, name) for name in Rows.__dataclass_fields__}
    database.register("line_table", line_table)
    database.register("row_table", row_table)
    database.execute(
        "CREATE MACRO plain(x) AS CASE WHEN x = 0 THEN '0' ELSE rtrim(rtrim(CAST(x AS VARCHAR), '0'), '.') END"
    )
    database.execute(f"""
        CREATE TABLE charge AS
        WITH dated AS (
            SELECT *, DATE '1970-01-01' + CAST(day - {_EPOCH} AS INTEGER) AS date FROM row_table
        )
        SELECT l.* EXCLUDE (line, priced, consumes, monthly, price_units, contracted_units), r.line,
            CAST(r.date AS TIMESTAMP) AS day,
            CAST(date_trunc('month', r.date) AS TIMESTAMP) AS period_start,
            CAST(date_trunc('month', r.date) + INTERVAL 1 MONTH AS TIMESTAMP) AS period_end,
            CAST(r.date AS TIMESTAMP) AS charge_start,
            CAST(r.date + CASE WHEN l.monthly THEN INTERVAL 1 MONTH ELSE INTERVAL 1 DAY END AS TIMESTAMP) AS charge_end,
            {_decimal("r.billed", AMOUNT_DIGITS)} AS billed,
            {_decimal("r.effective", AMOUNT_DIGITS)} AS effective,
            {_decimal("r.list_cost", AMOUNT_DIGITS)} AS list_cost,
            {_decimal("r.contracted", AMOUNT_DIGITS)} AS contracted,
            CASE WHEN l.priced THEN {_decimal("r.quantity", QUANTITY_DIGITS)} END AS quantity,
            CASE WHEN l.consumes THEN {_decimal("r.quantity", QUANTITY_DIGITS)} END AS consumed,
            CASE WHEN l.priced THEN {_decimal("l.price_units", PRICE_DIGITS)} END AS list_price,
            CASE WHEN l.priced THEN {_decimal("l.contracted_units", PRICE_DIGITS)} END AS contracted_price,
            CASE WHEN l.commitment_id IS NULL THEN NULL WHEN l.provider <> 'aws' THEN NULL
                WHEN l.commitment_status IS NULL THEN {_decimal("r.billed", AMOUNT_DIGITS)}
                ELSE {_decimal("r.effective", AMOUNT_DIGITS)} END AS commitment_quantity
        FROM dated r JOIN line_table l USING (line)
        ORDER BY l.provider, r.day, r.line
    """)  # noqa: S608 - numbers and names of ours
    return database


def path_of(root: Path, provider: str, period: date, next_period: date) -> Path:
    """Where a provider's file of one billing period lies beneath `root`."""
    month = f"{period:%Y-%m}"
    if provider == "aws":
        name = columns.AWS_EXPORT
        return root / "aws" / name / "data" / f"BILLING_PERIOD={month}" / f"{name}-00001.snappy.parquet"
    if provider == "gcp":
        return root / "gcp" / columns.GCP_EXPORT / month / "export-000000000000.csv.gz"
    if provider == "azure":
        last = date.fromordinal(next_period.toordinal() - 1)
        run = hashlib.sha256(f"azure/{period}".encode()).hexdigest()
        folder = root / "azure" / columns.AZURE_EXPORT / f"{period:%Y%m%d}-{last:%Y%m%d}"
        return folder / f"{run[:8]}-{run[8:12]}-4{run[13:16]}-8{run[17:20]}-{run[20:32]}" / "part_0_0001.csv"
    return root / "vultr" / f"vultr-focus-{month}.csv"


_COPY = {
    "aws": "(FORMAT parquet, COMPRESSION snappy)",
    "gcp": "(FORMAT csv, HEADER, COMPRESSION gzip)",
    "azure": "(FORMAT csv, HEADER)",
    "vultr": "(FORMAT csv, HEADER)",
}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def write(
    database: duckdb.DuckDBPyConnection, root: Path, months: tuple[date, ...], providers: tuple[str, ...] = PROVIDERS
) -> Iterator[Written]:
    """Write each provider's file of each month, manifests last; every file appears whole or not at all."""
    for provider in providers:
        select = columns.select(provider)
        for period in months:
            following = date(period.year + period.month // 12, period.month % 12 + 1, 1)
            path = path_of(root, provider, period, following)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(path.name + ".part")
            rows = f"SELECT *, {_invoice(provider, period, months[-1])} AS invoice_id FROM charge"  # noqa: S608 - ours
            which = f"provider = '{provider}' AND period_start = TIMESTAMP '{period}'"
            target = str(part).replace("'", "''")
            database.execute(
                f"COPY (SELECT {select} FROM ({rows} WHERE {which}) ORDER BY day, line) TO '{target}' {_COPY[provider]}"  # noqa: S608 - same
            )
            if provider == "azure":
                part.write_bytes(BYTE_ORDER_MARK + part.read_bytes())
            os.replace(part, path)
            _manifest(provider, root, path, period)
            yield Written(provider, period, path)


def _invoice(provider: str, period: date, last: date) -> str:
    """Closed months have an invoice, the open one has none yet."""
    return "NULL::VARCHAR" if period == last else f"'LUMEN-{provider.upper()}-{period:%Y%m}'"


def _manifest(provider: str, root: Path, path: Path, period: date) -> None:
    if provider == "aws":
        export = path.parents[2]
        folder = export / "metadata" / path.parent.name
        document: dict[str, object] = {
            "exportName": columns.AWS_EXPORT,
            "billingPeriod": f"{period:%Y-%m}",
            "tableName": "FOCUS_1_2_AWS",
            "overwrite": "OVERWRITE_REPORT",
            "columns": [{"name": name} for name in columns.column_names("aws")],
            "dataFiles": [f"s3://lumen-billing/{path.relative_to(root / 'aws').as_posix()}"],
        }
        target = folder / f"{columns.AWS_EXPORT}-Manifest.json"
    elif provider == "azure":
        document = {
            "manifestVersion": "2024-04-01",
            "exportConfig": {"exportName": columns.AZURE_EXPORT, "dataVersion": "1.0", "type": "FocusCost"},
            "blobCount": 1,
            "blobs": [{"blobName": path.relative_to(root / "azure").as_posix(), "byteCount": path.stat().st_size}],
        }
        target = path.parent / "manifest.json"
    else:
        return
    write_json(target, document)
