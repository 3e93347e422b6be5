"""Export: writes what is stored as one FOCUS file, csv or parquet, that can be read back to the same sums."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import Connection, Row

from tools.model.errors import InputError, OptiInfraError
from tools.model.money import EXACT, join, plain
from tools.model.period import Period
from tools.providers.focus.columns import OURS
from tools.store import charges, facts, loads
from tools.store.database import Database
from tools.store.loads import LedgerLine

VERSIONS = ("1.2", "1.4")
ENDINGS = (".csv", ".csv.gz", ".parquet")
_ROOT = Path(__file__).resolve().parents[2]
# Who sends the invoice and who provides the service: 1.3 renamed the columns, 1.4 dropped the old names.
_WHO = {"1.2": ("ProviderName", "PublisherName"), "1.4": ("ServiceProviderName", "HostProviderName")}
# Columns that a version must have and that cost facts cannot fill; they are written empty.
_EMPTY = {
    "1.2": ("BillingAccountName", "InvoiceId", "PricingQuantity", "PricingUnit"),
    "1.4": ("BillingAccountName", "InvoiceDetailId", "InvoiceId", "PricingQuantity", "PricingUnit"),
}
_TEXTS = {
    "BillingAccountId": "billing_account_id",
    "BillingCurrency": "currency",
    "ChargeCategory": "charge_category",
    "ChargeClass": "charge_class",
    "ChargeDescription": "charge_description",
    "CommitmentDiscountId": "commitment_discount_id",
    "CommitmentDiscountStatus": "commitment_discount_status",
    "ConsumedUnit": "consumed_unit",
    "PricingCategory": "pricing_category",
    "RegionId": "region_id",
    "ResourceId": "resource_id",
    "ResourceName": "resource_name",
    "ServiceCategory": "service_category",
    "ServiceName": "service_name",
    "SkuId": "sku_id",
    "SubAccountId": "sub_account_id",
    "SubAccountName": "sub_account_name",
}
_COSTS = {"BilledCost": "billed", "EffectiveCost": "effective", "ListCost": "list", "ContractedCost": "contracted"}
TIMES = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
# A vendor column: how many rows of the provider's export stand behind this one. Its presence marks our own files.
_ROWS = OURS
# How a text begins that a spreadsheet takes for a formula; one that is guarded already is guarded once more.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the file, its rows, and the exact billed cost per currency."""

    files: tuple[str, ...]
    rows: int
    billed_cost: tuple[tuple[str, Decimal], ...]


def columns(version: str) -> tuple[str, ...]:
    """The columns that are written, in order of name."""
    named = {
        *_TEXTS,
        *_COSTS,
        *TIMES,
        *_WHO[version],
        *_EMPTY[version],
        "ConsumedQuantity",
        "InvoiceIssuerName",
        "Tags",
    }
    return (*sorted(named), _ROWS)


def export(database: Database, tenant: str, path: Path, version: str) -> Exported:
    """Write every stored charge, one row per day and combination, at the finest detail that is kept.

    The file appears whole or not at all. Raises InputError for a path that cannot be written.
    """
    ending = next((e for e in ENDINGS if path.name.lower().endswith(e)), None)
    if ending is None:
        raise InputError(f"{path.name} must end in {', '.join(ENDINGS)}.", fix="Name the file accordingly.")
    half = path.with_name(f".{path.name}.part")
    try:
        with _opened(half, packed=ending == ".csv.gz") as out:
            rows, billed = _write(database, tenant, out, version, guard=ending != ".parquet")
        if not rows:
            raise InputError("There is no cost data to export.", fix="Read some with `optiinfra ingest` first.")
        if ending == ".parquet":
            _to_parquet(half)
        half.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}).", fix="Check the folder.") from error
    finally:
        half.unlink(missing_ok=True)
    return Exported((str(path),), rows, billed)


@contextmanager
def _opened(path: Path, *, packed: bool) -> Iterator[TextIO]:
    if packed:
        with gzip.open(path, "wt", newline="", encoding="utf-8") as out:
            yield out
    else:
        with path.open("w", newline="", encoding="utf-8") as plain_out:
            yield plain_out


def _write(
    database: Database, tenant: str, out: TextIO, version: str, *, guard: bool
) -> tuple[int, tuple[tuple[str, Decimal], ...]]:
    names = columns(version)
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    count, sums = 0, dict[str, Decimal]()
    with database.read() as tx:
        keys = {column: key for key, column in loads.slots(tx, tenant).items()}
        for month, lines in groupby(loads.ledger(tx, tenant), key=lambda line: line.partition.billing_period):
            for found in _facts(tx, tenant, list(lines)):
                fact = {**found._mapping, "billing_period": month}
                told = row(fact, version, keys)
                writer.writerow(guarded(told, version) if guard else told)
                count += 1
                billed = join(fact["billed_micros"], fact["billed_rest"])
                sums[fact["currency"]] = EXACT.add(sums.get(fact["currency"], Decimal(0)), billed)
    return count, tuple(sorted(sums.items()))


def _facts(tx: Connection, tenant: str, lines: Sequence[LedgerLine]) -> Iterable[Row[Any]]:
    """The facts of one billing period, in a fixed order."""
    days = Period(min(x.first_day for x in lines), max(x.last_day for x in lines) + timedelta(days=1))
    ids = [x.facts_id for x in lines]
    statement = charges.stored(tenant, days, ids, [x.facts_id for x in lines if x.has_detail])
    return facts.rows(tx.execution_options(yield_per=2000), statement, ids)


def row(fact: Mapping[str, Any], version: str, tag_keys: Mapping[str, str]) -> dict[str, str]:
    """One FOCUS row; `tag_keys` tells which key each tag column holds. Nothing is written for what is unknown."""
    month: date = fact["billing_period"]
    following = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
    tags = {key: fact[column] for column, key in sorted(tag_keys.items()) if fact[column]}
    provider = fact["provider"]
    return {
        **{name: fact[column] for name, column in _TEXTS.items()},
        **{name: _cost(fact, column) for name, column in _COSTS.items()},
        **dict.fromkeys(_WHO[version], provider),
        "InvoiceIssuerName": provider,
        "BillingPeriodStart": _time(month),
        "BillingPeriodEnd": _time(following),
        "ChargePeriodStart": _time(fact["day"]),
        "ChargePeriodEnd": _time(fact["day"] + timedelta(days=1)),
        "ConsumedQuantity": repr(fact["quantity"]) if fact["consumed_unit"] else "",
        "Tags": json.dumps(tags, ensure_ascii=False) if tags else "",
        _ROWS: str(fact["rows"]),
    }


def guarded(told: Mapping[str, str], version: str) -> dict[str, str]:
    """The row with an apostrophe before each text that a spreadsheet would run; reading our file takes it away."""
    texts = {*_TEXTS, *_WHO[version], "InvoiceIssuerName"}
    return {name: f"'{text}" if name in texts and _FORMULA.match(text) else text for name, text in told.items()}


def _cost(fact: Mapping[str, Any], name: str) -> str:
    if name in {"list", "contracted"} and fact[f"{name}_unknown"]:
        return ""
    return plain(join(fact[f"{name}_micros"], fact[f"{name}_rest"]))


def _time(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def _to_parquet(path: Path) -> None:
    """In a process of its own, like everything that computes with DuckDB."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tools.collection.parquet", str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0][:200]
        raise OptiInfraError(
            f"The parquet file could not be written ({reason}).", fix="Check the disk, or export to .csv."
        )
