"""Mapping: what Cost Explorer told of a month as FOCUS rows - billed is unblended, effective is amortised; pure, exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tools.model.money import EXACT, plain
from tools.model.period import Period
from tools.providers.aws.connection import PROVIDER
from tools.providers.aws.explorer import Told
from tools.providers.focus.rows import charge_days, start_of

RECORD, ACCOUNT, SERVICE = "RECORD_TYPE", "LINKED_ACCOUNT", "SERVICE"
SPLITS = {"region": "REGION", "usage_type": "USAGE_TYPE"}
_NOWHERE = {"", "global", "noregion"}
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a record type is in FOCUS. `fee`: a commitment's fee, whose amortised cost is the part nobody used."""

    category: str
    frequency: str = "Usage-Based"
    commitment: str = ""
    status: str = ""
    fee: bool = False


_RESERVED, _PLAN = "Reserved Instance", "Savings Plan"
_USAGE, _COVERED, _NEGATION = Kind("Usage"), Kind("Usage", commitment=_PLAN, status="Used"), Kind("Usage")
# Record types by their letters alone: AWS writes "SavingsPlanCoveredUsage" here and "Savings Plan Covered Usage" there.
_KINDS = {
    "usage": _USAGE,
    "discountedusage": Kind("Usage", commitment=_RESERVED, status="Used"),
    "reservationappliedusage": Kind("Usage", commitment=_RESERVED, status="Used"),
    "savingsplancoveredusage": _COVERED,
    "savingsplannegation": _NEGATION,
    "savingsplanrecurringfee": Kind("Purchase", "Recurring", _PLAN, fee=True),
    "savingsplanupfrontfee": Kind("Purchase", "One-Time", _PLAN, fee=True),
    "rifee": Kind("Purchase", "Recurring", _RESERVED, fee=True),
    "recurring": Kind("Purchase", "Recurring", _RESERVED, fee=True),
    "recurringreservationfee": Kind("Purchase", "Recurring", _RESERVED, fee=True),
    "upfront": Kind("Purchase", "One-Time", _RESERVED, fee=True),
    "upfrontreservationfee": Kind("Purchase", "One-Time", _RESERVED, fee=True),
    "fee": Kind("Purchase", "One-Time"),
    "support": Kind("Purchase", "Recurring"),
    "supportfee": Kind("Purchase", "Recurring"),
    "tax": Kind("Tax", "One-Time"),
    "credit": Kind("Credit", "One-Time"),
}
# FOCUS: neither usage nor purchase nor tax nor credit. Refunds, negotiated discounts, and what AWS may yet invent.
_OTHER = Kind("Adjustment", "One-Time")
# Where Cost Explorer's name of a service is not the one on the bill.
_ON_THE_BILL = {
    "Amazon Elastic Compute Cloud - Compute": "Amazon Elastic Compute Cloud",
    "EC2 - Other": "Amazon Elastic Compute Cloud",
    "Amazon Elastic Load Balancing": "Elastic Load Balancing",
    "Savings Plans for AWS Compute usage": "AWS Savings Plans",
    "Savings Plans for AWS Machine Learning": "AWS Savings Plans",
}
_CATEGORIES = {
    "AWS Backup": ("Storage", "Backup Storage"),
    "AWS CloudTrail": ("Management and Governance", "Cloud Governance"),
    "AWS Config": ("Management and Governance", "Cloud Governance"),
    "AWS Data Transfer": ("Networking", "Network Infrastructure"),
    "AWS Glue": ("Analytics", "Data Processing"),
    "AWS Key Management Service": ("Security", "Secret Management"),
    "AWS Lambda": ("Compute", "Serverless Compute"),
    "AWS Savings Plans": ("Compute", "Other (Compute)"),
    "AWS Secrets Manager": ("Security", "Secret Management"),
    "AWS Step Functions": ("Integration", "Orchestration"),
    "AWS WAF": ("Security", "Other (Security)"),
    "Amazon API Gateway": ("Integration", "API Management"),
    "Amazon Athena": ("Analytics", "Analytics Platforms"),
    "Amazon Bedrock": ("AI and Machine Learning", "Generative AI"),
    "Amazon CloudFront": ("Networking", "Content Delivery"),
    "Amazon DocumentDB (with MongoDB compatibility)": ("Databases", "NoSQL Databases"),
    "Amazon DynamoDB": ("Databases", "NoSQL Databases"),
    "Amazon EC2 Container Registry (ECR)": ("Compute", "Containers"),
    "Amazon ElastiCache": ("Databases", "Caching"),
    "Amazon Elastic Compute Cloud": ("Compute", "Virtual Machines"),
    "Amazon Elastic Container Service": ("Compute", "Containers"),
    "Amazon Elastic Container Service for Kubernetes": ("Compute", "Containers"),
    "Amazon Elastic File System": ("Storage", "File Storage"),
    "Amazon Elastic MapReduce": ("Analytics", "Data Processing"),
    "Amazon FSx": ("Storage", "File Storage"),
    "Amazon Glacier": ("Storage", "Object Storage"),
    "Amazon Kinesis": ("Analytics", "Streaming Analytics"),
    "Amazon Managed Streaming for Apache Kafka": ("Analytics", "Streaming Analytics"),
    "Amazon OpenSearch Service": ("Analytics", "Search Services"),
    "Amazon Redshift": ("Databases", "Data Warehouses"),
    "Amazon Relational Database Service": ("Databases", "Relational Databases"),
    "Amazon Route 53": ("Networking", "Network Infrastructure"),
    "Amazon SageMaker": ("AI and Machine Learning", "Machine Learning"),
    "Amazon Simple Notification Service": ("Integration", "Messaging"),
    "Amazon Simple Queue Service": ("Integration", "Messaging"),
    "Amazon Simple Storage Service": ("Storage", "Object Storage"),
    "Amazon Virtual Private Cloud": ("Networking", "Network Infrastructure"),
    "AmazonCloudWatch": ("Management and Governance", "Observability"),
    "Elastic Load Balancing": ("Networking", "Application Networking"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One charge of Cost Explorer: what it is, whose, of which service; `split` is its region or usage type."""

    record: str
    account: str
    service: str
    split: str
    told: Told


@dataclass(frozen=True, slots=True)
class Bill:
    """The month that parts belong to. `split` is what they are split by: "", "region" or "usage_type"."""

    payer: str
    period: Period
    names: Mapping[str, str]
    split: str = ""
    net: bool = False

    def effective(self, told: Told) -> Decimal:
        """Amortised cost after discounts, where Cost Explorer tells that."""
        return told.net if self.net and told.net is not None else told.amortised


def kind_of(record: str) -> Kind:
    """What a record type is in FOCUS."""
    return _KINDS.get("".join(c for c in record.lower() if c.isalpha()), _OTHER)


def is_usage(record: str) -> bool:
    """Whether a record type is about what ran where: only that is worth splitting further."""
    kind = kind_of(record)
    return kind.category == "Usage" and kind is not _NEGATION


def has_net(told: Iterable[Told]) -> bool:
    """Whether the discounted metric means something: accounts without discounts may be told zeros."""
    groups = tuple(told)
    told_net = all(group.net is not None for group in groups)
    return told_net and (any(group.net for group in groups) or not any(group.amortised for group in groups))


def rows(parts: Iterable[Part], bill: Bill) -> Iterator[dict[str, str]]:
    """FOCUS rows in a fixed order. They add up to what Cost Explorer told, exactly, billed and effective."""
    negated: dict[tuple[date, str, str, str], list[Decimal]] = {}
    for part in sorted(parts, key=lambda p: (p.told.start, p.account, p.service, p.record, p.split, p.told.currency)):
        kind, told = kind_of(part.record), part.told
        billed, effective = told.unblended, bill.effective(told)
        if kind is _COVERED or kind is _NEGATION:
            # AWS bills covered usage on demand and takes it back in a line of its own; FOCUS bills it nothing.
            rest = negated.setdefault((told.start, part.account, part.service, told.currency), [ZERO, ZERO])
            rest[0] = EXACT.add(rest[0], billed)
            billed = ZERO
            if kind is _NEGATION:
                rest[1] = EXACT.add(rest[1], effective)
                continue
        if kind.fee:
            yield from _fee(part, bill, kind, billed, effective)
        else:
            yield _row(part, bill, kind, billed, effective)
    for (day, account, service, currency), (billed, effective) in sorted(negated.items()):
        if billed or effective:
            left = Told(day, (), billed, effective, effective, currency, estimated=True)
            yield _row(Part("SavingsPlanNegation", account, service, "", left), bill, _OTHER, billed, effective)


def _fee(part: Part, bill: Bill, kind: Kind, billed: Decimal, unused: Decimal) -> Iterator[dict[str, str]]:
    """A commitment is bought once; what amortises on the fee itself is what nobody used."""
    yield _row(part, bill, kind, billed, ZERO)
    if unused:
        yield _row(part, bill, Kind("Usage", commitment=kind.commitment, status="Unused"), ZERO, unused)


def _row(part: Part, bill: Bill, kind: Kind, billed: Decimal, effective: Decimal) -> dict[str, str]:
    service = _ON_THE_BILL.get(part.service, part.service)
    category, subcategory = _CATEGORIES.get(service, ("Other", "Other (Other)"))
    unused = kind.status == "Unused"
    return {
        "BilledCost": plain(billed),
        "EffectiveCost": plain(effective),
        "BillingAccountId": bill.payer,
        "BillingAccountName": bill.names.get(bill.payer, ""),
        "BillingCurrency": part.told.currency,
        "BillingPeriodStart": start_of(bill.period.start),
        "BillingPeriodEnd": start_of(bill.period.end),
        **charge_days(part.told.start),
        "ChargeCategory": kind.category,
        "ChargeDescription": f"{part.service}: {'unused commitment' if unused else part.record}",
        "ChargeFrequency": kind.frequency,
        "CommitmentDiscountStatus": kind.status,
        "CommitmentDiscountType": kind.commitment,
        "CommitmentDiscountCategory": {_PLAN: "Spend", _RESERVED: "Usage"}.get(kind.commitment, ""),
        "PricingCategory": _pricing(part, bill, kind),
        **_place(part, bill, kind),
        "ServiceName": service,
        "ServiceCategory": category,
        "ServiceSubcategory": subcategory,
        "ServiceProviderName": PROVIDER,
        "HostProviderName": PROVIDER,
        "InvoiceIssuerName": PROVIDER,
        "SubAccountId": part.account,
        "SubAccountName": bill.names.get(part.account, part.account),
        "x_Estimated": "true" if part.told.estimated else "false",
    }


def _pricing(part: Part, bill: Bill, kind: Kind) -> str:
    """Only the usage type tells spot from on-demand; without it that is not known, and not said."""
    if kind.status:
        return "Committed"
    if kind.category != "Usage" or bill.split != "usage_type":
        return ""
    return "Dynamic" if "SpotUsage" in part.split else "Standard"


def _place(part: Part, bill: Bill, kind: Kind) -> dict[str, str]:
    if bill.split == "usage_type" and part.split:
        return {"SkuId": part.split, "SkuMeter": part.split}
    if bill.split == "region" and part.split.lower() not in _NOWHERE:
        return {"RegionId": part.split}
    return {}
