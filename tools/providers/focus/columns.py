"""Columns: recognises a FOCUS file by its columns, tells its version, and finds where each thing stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tools.model.errors import InputError

# What we keep, and the FOCUS columns that hold it, best first. 1.3 renamed ProviderName; a region without an
# id is known by its name (Oracle).
SOURCES: dict[str, tuple[str, ...]] = {
    "provider": ("ServiceProviderName", "ProviderName"),
    "billing_account_id": ("BillingAccountId",),
    "billing_period": ("BillingPeriodStart",),
    "billing_end": ("BillingPeriodEnd",),
    "charge_start": ("ChargePeriodStart",),
    "charge_end": ("ChargePeriodEnd",),
    "currency": ("BillingCurrency",),
    "billed": ("BilledCost",),
    "effective": ("EffectiveCost",),
    "list": ("ListCost",),
    "contracted": ("ContractedCost",),
    "quantity": ("ConsumedQuantity",),
    "consumed_unit": ("ConsumedUnit",),
    "charge_category": ("ChargeCategory",),
    "charge_class": ("ChargeClass",),
    "sub_account_id": ("SubAccountId",),
    "sub_account_name": ("SubAccountName",),
    "service_name": ("ServiceName",),
    "service_category": ("ServiceCategory",),
    "region_id": ("RegionId", "RegionName"),
    "pricing_category": ("PricingCategory",),
    "commitment_discount_id": ("CommitmentDiscountId",),
    "commitment_discount_status": ("CommitmentDiscountStatus",),
    "resource_id": ("ResourceId",),
    "resource_name": ("ResourceName",),
    "sku_id": ("SkuId",),
    "charge_description": ("ChargeDescription",),
    "list_unit_price": ("ListUnitPrice",),
    "pricing_quantity": ("PricingQuantity",),
    "invoice_id": ("InvoiceId",),
    "tags": ("Tags",),
}
# FOCUS has fewer than 100 columns; providers and tools that add their own stay far below this.
MOST_COLUMNS = 2_000
LONGEST_NAME = 300
REQUIRED = ("BilledCost", "EffectiveCost", "ChargePeriodStart", "ChargeCategory")
# The column that only files have which we exported ourselves.
OURS = "x_Rows"
UNKNOWN = "unknown"
NO_CURRENCY = "XXX"  # ISO 4217 for "no currency"
# Worked examples of the specification leave these out; what stands in for them is told.
STAND_INS = {
    "provider": ("ServiceProviderName", f'the provider is "{UNKNOWN}"; give it with --provider'),
    "billing_account_id": ("BillingAccountId", f'the billing account is "{UNKNOWN}"'),
    "currency": ("BillingCurrency", f"amounts have no currency ({NO_CURRENCY})"),
    "billing_period": ("BillingPeriodStart", "the billing period is the month of the charge"),
}
# The newest version that brought a column in, newest first.
_SIGNS = (
    ("1.4", ("InvoiceDetailId", "CommitmentProgramEligibilityDetails")),
    ("1.3", ("ServiceProviderName", "HostProviderName", "ContractApplied", "AllocatedMethodId", "AllocatedTags")),
    (
        "1.2",
        (
            "InvoiceId",
            "PricingCurrency",
            "BillingAccountType",
            "SubAccountType",
            "PricingCurrencyEffectiveCost",
            "PricingCurrencyListUnitPrice",
            "PricingCurrencyContractedUnitPrice",
        ),
    ),
    (
        "1.1",
        (
            "CommitmentDiscountQuantity",
            "CommitmentDiscountUnit",
            "CapacityReservationId",
            "CapacityReservationStatus",
            "ServiceSubcategory",
            "SkuMeter",
            "SkuPriceDetails",
        ),
    ),
)
_KNOWN_ELSEWHERE = frozenset(
    {
        "AllocatedMethodDetails",
        "AllocatedResourceId",
        "AllocatedResourceName",
        "AvailabilityZone",
        "BillingAccountName",
        "ChargeFrequency",
        "CommitmentDiscountCategory",
        "CommitmentDiscountName",
        "CommitmentDiscountType",
        "ContractedUnitPrice",
        "InvoiceIssuerName",
        "PricingUnit",
        "PublisherName",
        "RegionName",
        "ResourceType",
        "SkuPriceId",
    }
)
_KNOWN = _KNOWN_ELSEWHERE | {n for _, names in _SIGNS for n in names} | {n for names in SOURCES.values() for n in names}
_BY_FOLDED = {name.lower(): name for name in _KNOWN}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand in one file: for each thing we keep, the positions (0-based) of its columns, best first.

    `stand_ins` are sentences about columns that are not there; `unknown` are columns that no FOCUS version has.
    """

    version: str
    names: tuple[str, ...]
    positions: dict[str, tuple[int, ...]]
    stand_ins: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]

    @property
    def ours(self) -> bool:
        """Whether it is a file of our own export."""
        return OURS in self.names


def recognise(file: str, header: list[str]) -> Layout:
    """Find the columns of a FOCUS file; raise InputError with what a person must do when it is not one."""
    names = [_BY_FOLDED.get(_clean(h).lower(), _clean(h)) for h in header]
    _check_header(file, names)
    place = {name: n for n, name in enumerate(names)}
    positions = {thing: tuple(place[c] for c in columns if c in place) for thing, columns in SOURCES.items()}
    return Layout(
        version=_version(place),
        names=tuple(header),
        positions={thing: found for thing, found in positions.items() if found},
        stand_ins=tuple(STAND_INS[thing] for thing in STAND_INS if not positions[thing]),
        unknown=tuple(n for n in names if n and n not in _KNOWN and not n.lower().startswith("x_")),
    )


def _clean(name: str) -> str:
    return name.strip().strip("\ufeff").strip()


def _check_header(file: str, names: list[str]) -> None:
    if len(names) > MOST_COLUMNS:
        raise InputError(
            f"{file} has {len(names):,} columns, more than the {MOST_COLUMNS:,} that are read.",
            fix="Give a FOCUS 1.0-1.4 cost and usage export.",
        )
    longest = max(map(len, names), default=0)
    if longest > LONGEST_NAME and len(names) > 1:
        raise InputError(
            f"{file} has a column with a name of {longest:,} characters, as no column has.",
            fix="Check its first line: a quote may be open, or it is no header.",
        )
    if len(names) == 1:
        for mark, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if names[0].count(mark) > 2:
                raise InputError(
                    f"{file} separates its columns by {word}; a FOCUS csv file uses commas.",
                    fix="Export it again, or save it with commas.",
                )
    missing = [c for c in REQUIRED if c not in names]
    if len(missing) == len(REQUIRED):
        raise InputError(
            f"{file} is not a FOCUS file: it has none of the columns {', '.join(REQUIRED)}.",
            fix="Give a FOCUS 1.0-1.4 cost and usage export.",
        )
    if missing:
        raise InputError(
            f"{file} has no column {' and no column '.join(missing)}, without which cost cannot be told.",
            fix="Export it again with all mandatory FOCUS columns.",
        )
    twice = sorted(n for n, count in Counter(n for n in names if n in _KNOWN).items() if count > 1)
    if twice:
        raise InputError(
            f"{file} has the column {twice[0]} more than once, so it is not clear which one counts.",
            fix="Export it again with each column once.",
        )


def _version(place: dict[str, int]) -> str:
    for version, signs in _SIGNS:
        if any(sign in place for sign in signs):
            # A 1.3 file may carry both names of the provider; 1.4 dropped the old one.
            return version
    return "1.0"


def check_types(file: str, layout: Layout, types: Sequence[str]) -> None:
    """Raise InputError for a column whose DuckDB type cannot hold what it stands for; tags may be of any type."""
    for thing, places in layout.positions.items():
        name, kind = layout.names[places[0]], types[places[0]]
        if kind in {"DOUBLE", "FLOAT"} and thing in {"billing_account_id", "sub_account_id"}:
            raise InputError(
                f"{name} of {file} is stored as floating-point numbers, which damages account ids.",
                fix="Export it again with ids as text.",
            )
        if thing != "tags" and (kind.startswith(("STRUCT", "MAP", "UNION")) or kind.endswith("]")):
            raise InputError(
                f"{name} of {file} is a nested column, which a FOCUS file has for tags only.",
                fix="Export it again with plain columns.",
            )
        if thing in _FIGURES and kind not in _NUMBERS and not kind.startswith("DECIMAL"):
            raise InputError(
                f"{name} of {file} is stored as {kind.lower()}, which is no amount.",
                fix="Export it again with amounts as decimal numbers.",
            )


_FIGURES = frozenset({"billed", "effective", "list", "contracted", "quantity", "list_unit_price", "pricing_quantity"})
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS = frozenset({"VARCHAR", "DOUBLE", "FLOAT", *_WHOLE, *(f"U{kind}" for kind in _WHOLE)})
