"""Invoice file: reads the invoices that a person knows from a csv file."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from tools.model.errors import InputError
from tools.model.invoice import Invoice
from tools.providers.focus.folders import shown
from tools.providers.focus.reading import provider_name

REQUIRED = ("provider", "billing_account_id", "period", "amount", "currency")
COLUMNS = (*REQUIRED, "invoice_id", "tax")
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_MOST = 100_000
_FIX = f"Give a csv file with the columns {', '.join(REQUIRED)}, and invoice_id and tax where you know them."


def read(path: Path, now: datetime) -> tuple[Invoice, ...]:
    """Every invoice of the file. Raises InputError with the line when one cannot be used: half a list explains nothing.

    `period` is a month (2026-10); `amount` includes tax; an invoice or total stands there once.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            found = list(_rows(csv.DictReader(file, strict=True), shown(path.name), now))
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{shown(path.name)} is no csv file in UTF-8.", fix=_FIX) from None
    if not found:
        raise InputError(f"{shown(path.name)} holds no invoices.", fix=_FIX)
    return tuple(found)


def _rows(reader: csv.DictReader[str], name: str, now: datetime) -> Iterator[Invoice]:
    missing = [c for c in REQUIRED if c not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"{name} has no column {' and no column '.join(missing)}.", fix=_FIX)
    seen: dict[tuple[object, ...], int] = {}
    for number, row in enumerate(reader, 1):
        if number > _MOST:
            raise InputError(f"{name} has more than {_MOST:,} invoices.", fix=_FIX)
        invoice = _invoice(row, f"Invoice {number} of {name}", name, now)
        key = (
            invoice.provider,
            invoice.billing_account_id,
            invoice.billing_period,
            invoice.invoice_id,
            invoice.currency,
        )
        if key in seen:
            raise InputError(f"Invoice {number} of {name} stands there already, as invoice {seen[key]}.", fix=_FIX)
        seen[key] = number
        yield invoice


def _invoice(row: Mapping[str, str | None], where: str, name: str, now: datetime) -> Invoice:
    text = {column: (row.get(column) or "").strip() for column in COLUMNS}
    for column in ("provider", "billing_account_id"):
        if not text[column] or len(text[column]) > 120 or not text[column].isprintable():
            raise InputError(f"{where} has no usable {column}.", fix=_FIX)
    month = _MONTH.fullmatch(text["period"])
    if month is None:
        raise InputError(
            f"{where} has the period {text['period'][:40]!r}, which is no month.", fix="Write it as 2026-10."
        )
    if not re.fullmatch("[A-Za-z]{3}", text["currency"]):
        raise InputError(f"{where} has no currency of three letters.", fix=_FIX)
    if len(text["invoice_id"]) > 250 or not text["invoice_id"].isprintable():
        raise InputError(f"{where} has no usable invoice_id.", fix=_FIX)
    return Invoice(
        provider_name(text["provider"]),
        text["billing_account_id"],
        date(int(month[1]), int(month[2]), 1),
        text["invoice_id"],
        _amount(text["amount"], f"{where}: amount"),
        text["currency"].upper(),
        _amount(text["tax"], f"{where}: tax") if text["tax"] else None,
        f"file {name}",
        now,
    )


def _amount(text: str, where: str) -> Decimal:
    try:
        amount = Decimal(text) if re.fullmatch(r"-?\d{1,12}(\.\d{1,18})?", text) else None
    except InvalidOperation:
        amount = None
    if amount is None:
        raise InputError(f"{where} {text[:40]!r} is not an amount.", fix="Write it as 1234.56.")
    return amount
