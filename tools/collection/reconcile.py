"""Reconcile: sets each loaded bill beside what its provider invoiced, and says why they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tools.model.invoice import Billed, Explanation, Invoice, Reconciled
from tools.model.money import EXACT, plain
from tools.model.period import Period
from tools.store.loads import LedgerLine

# Providers close a month some days after its end; until then a bill still changes.
SETTLES = timedelta(days=7)
# Each line of an invoice is rounded to a cent.
_HALF_CENT = Decimal("0.005")
_CENT = Decimal("0.01")
# No sales tax is higher than this share; a larger gap is not tax.
_MOST_TAX = Decimal("0.30")
_ZERO = Decimal(0)
_Place = tuple[str, str, date, str]


@dataclass(frozen=True, slots=True)
class _Side:
    """What stands loaded of one bill in one currency: all of it, or what names one invoice."""

    line: LedgerLine
    parts: tuple[Billed, ...]

    def sum(self, name: str) -> Decimal:
        total = _ZERO
        for part in self.parts:
            total = EXACT.add(total, getattr(part, name))
        return total

    @property
    def allowance(self) -> Decimal:
        return max(_CENT, _HALF_CENT * sum(p.lines for p in self.parts))


def same_account(name: str) -> str:
    """Sources write an account's id as a bare name or as a path that ends in it, in any case."""
    return name.rstrip("/").rpartition("/")[2].lower()


def reconcile(
    lines: Sequence[LedgerLine],
    billed: Mapping[int, Sequence[Billed]],
    invoices: Iterable[Invoice],
    today: date,
    period: Period | None = None,
) -> tuple[Reconciled, ...]:
    """Every bill and every invoice of the billing periods that begin in `period` (or of all), oldest first.

    Where both sides name their invoices, each invoice is compared; otherwise the period's totals are. Bills of open
    months without an invoice are left out: none is due.
    """
    ours = _ours(lines, billed)
    theirs: dict[_Place, list[Invoice]] = defaultdict(list)
    for invoice in invoices:
        account = same_account(invoice.billing_account_id)
        theirs[invoice.provider.lower(), account, invoice.billing_period, invoice.currency].append(invoice)
    found = [
        one
        for place in sorted(ours.keys() | theirs.keys(), key=lambda p: (p[2], p))
        if period is None or place[2] in period
        for one in _compared(ours.get(place), theirs.get(place, []), today)
    ]
    return tuple(found)


def in_words(found: Sequence[Reconciled]) -> str:
    """One line: how many invoiced bills agree, and those that do not; empty when no invoice is known."""
    known = [one for one in found if one.theirs is not None]
    if not known:
        return ""
    wrong = [one for one in known if not one.agrees]
    told = "; ".join(f"{one.name} {_gap(one)} ({one.explanation})" for one in wrong[:3])
    more = f"; {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return f"{len(known) - len(wrong)} of {len(known)} invoices agree" + (f": {told}{more}" if wrong else "")


def _gap(one: Reconciled) -> str:
    if one.difference is None:
        return "has no cost data"
    word = "above" if one.difference > 0 else "below"
    return f"is {plain(abs(one.difference).quantize(_CENT))} {one.currency} {word} its invoice"


def _ours(lines: Sequence[LedgerLine], billed: Mapping[int, Sequence[Billed]]) -> dict[_Place, _Side]:
    found: dict[_Place, _Side] = {}
    for line in lines:
        where = line.partition
        parts: dict[str, list[Billed]] = defaultdict(list)
        for part in billed.get(line.id, ()):
            parts[part.currency].append(part)
        account = same_account(where.billing_account_id)
        for currency, several in parts.items():
            found[where.provider.lower(), account, where.billing_period, currency] = _Side(line, tuple(several))
    return found


def _compared(ours: _Side | None, theirs: Sequence[Invoice], today: date) -> list[Reconciled]:
    if ours is None:
        return [_missing(invoice) for invoice in theirs]
    if not theirs:
        return [_not_invoiced(ours, part) for part in _by_currency(ours)] if _closed(ours, today) else []
    named = {i.invoice_id for i in theirs}
    known = {p.invoice_id for p in ours.parts if p.invoice_id}
    if "" in named or not named & known:
        return [_beside(ours, ", ".join(sorted(named - {""})), theirs, today)]
    return [
        one
        for name in sorted(named | {p.invoice_id for p in ours.parts})
        for one in _one_invoice(ours, name, [i for i in theirs if i.invoice_id == name], today)
    ]


def _one_invoice(ours: _Side, name: str, theirs: Sequence[Invoice], today: date) -> list[Reconciled]:
    parts = tuple(p for p in ours.parts if p.invoice_id == name)
    if not parts:
        return [_missing(invoice) for invoice in theirs]
    side = _Side(ours.line, parts)
    if theirs:
        return [_beside(side, name, theirs, today)]
    return [_not_invoiced(side, parts[0])] if side.sum("billed_cost") else []


def _by_currency(ours: _Side) -> list[Billed]:
    return list({p.currency: p for p in ours.parts}.values())


def _closed(ours: _Side, today: date) -> bool:
    return today >= _end(ours.line) + SETTLES


def _end(line: LedgerLine) -> date:
    return (line.partition.billing_period + timedelta(days=32)).replace(day=1)


def _missing(invoice: Invoice) -> Reconciled:
    return Reconciled(
        invoice.provider,
        invoice.billing_account_id,
        invoice.billing_period,
        invoice.invoice_id,
        invoice.currency,
        None,
        invoice.amount,
        Explanation.MISSING_ACCOUNT,
        "no cost of this account and month stands loaded for it",
    )


def _not_invoiced(ours: _Side, part: Billed) -> Reconciled:
    where = ours.line.partition
    return Reconciled(
        where.provider,
        where.billing_account_id,
        where.billing_period,
        part.invoice_id if len(ours.parts) == 1 else "",
        part.currency,
        ours.sum("billed_cost"),
        None,
        Explanation.NO_INVOICE,
        "no invoice is known for it",
    )


def _beside(ours: _Side, name: str, theirs: Sequence[Invoice], today: date) -> Reconciled:
    where = ours.line.partition
    mine, amount = ours.sum("billed_cost"), sum((i.amount for i in theirs), _ZERO)
    taxes = [i.tax for i in theirs]
    tax = None if any(t is None for t in taxes) else sum((t for t in taxes if t is not None), _ZERO)
    difference = EXACT.subtract(mine, amount)
    explanation, detail = explain(ours, difference, amount, tax, today)
    return Reconciled(
        where.provider,
        where.billing_account_id,
        where.billing_period,
        name,
        theirs[0].currency,
        mine,
        amount,
        explanation,
        detail,
        difference,
    )


def explain(
    ours: _Side, difference: Decimal, amount: Decimal, tax: Decimal | None, today: date
) -> tuple[Explanation, str]:
    """The most certain reason that fits the figures. `difference` is ours minus the invoice's `amount`."""
    line, near = ours.line, ours.allowance
    if difference == 0:
        return Explanation.EXACT, "the same to the last digit"
    if abs(difference) <= near:
        return Explanation.ROUNDING, f"within {plain(near)}, as each line of an invoice is rounded"
    if not _closed(ours, today):
        return Explanation.PROVISIONAL, f"the month settles on {_end(line) + SETTLES}"
    last = _end(line) - timedelta(days=1)
    if difference < 0 and line.last_day < last:
        return Explanation.MISSING_DAYS, f"no cost after {line.last_day} stands loaded"
    for told, sentence, gap in _parts(ours, tax):
        if gap and abs(EXACT.subtract(difference, gap)) <= near:
            return told, sentence
    if line.rejected:
        return Explanation.REJECTED, f"{line.rejected} rows of it could not be used"
    if tax is None and not ours.sum("tax") and 0 < -difference <= amount * _MOST_TAX:
        return Explanation.TAX, "the rows hold no tax and the invoice may; give its tax to be sure"
    return Explanation.UNEXPLAINED, "no part of the bill explains it"


def _parts(ours: _Side, tax: Decimal | None) -> tuple[tuple[Explanation, str, Decimal], ...]:
    """Parts of a bill that only one side may count, with the difference that each would make."""
    own = ours.sum("tax")
    return (
        (Explanation.TAX, "the rows hold none of the invoice's tax", -(tax or _ZERO) if not own else _ZERO),
        (Explanation.TAX, "the invoice's amount is without the tax that the rows hold", own),
        (Explanation.CREDITS, "the invoice's amount is before credits", ours.sum("credits")),
        (Explanation.PURCHASES, "purchases are invoiced apart", ours.sum("purchases")),
    )
