"""Columns: recognises a FOCUS file by its columns, tells its version, and finds where each thing stands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tools.model.errors import InputError

# What we keep, and the FOCUS columns that hold it, best first. 1.3 renamed ProviderName; a region without an
# id is known by its name (Oracle).
SOURCES: dict[str, tuple[str, ...]] = {
    "provider": ("ServiceProviderName", "ProviderName"),
    "billing_account_id": ("BillingAccountId",),
    "billing_period": ("BillingPeriodStart",),
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
    "tags": ("Tags",),
}
REQUIRED = ("BilledCost", "EffectiveCost", "ChargePeriodStart", "ChargeCategory")
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
        "BillingPeriodEnd",
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
