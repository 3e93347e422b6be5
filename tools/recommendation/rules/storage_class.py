"""Storage class: object storage that is all kept in the dearest class."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tools.model.recommendation import Evidence, Recommendation
from tools.model.resource import Resource
from tools.recommendation.evidence import Band, Bill, Situation, amount, in_the_way, recommendation, total
from tools.store.usage import Usage

KIND = "storage_class"
SERVICE_WORDS = ("simple storage service", "cloud storage", "storage accounts", "blob storage")
LEAST_MONTHLY = Decimal(50)
# How the bill words a GB-month in the standard class (and in the cheaper ones): SKU and description, lower case.
_STANDARD = (
    "timedstorage-bytehrs",
    "s3 standard storage",
    "standard storage",
    "hot lrs data stored",
    "hot data stored",
)
_CHEAPER = ("-ia", "sia-", "zia-", "int-", "glacier", "gda-", "nearline", "coldline", "archive", "cool", "cold")
# Infrequent access costs about 45 % less per GB; which share is rarely read is not known before it is measured.
_SAVED = Band(Decimal("0.45") * Decimal("0.2"), Decimal("0.45") * Decimal("0.4"), Decimal("0.45") * Decimal("0.7"))
# Where each cloud lets its bucket move by itself: kind in the inventory, change, and what it is called.
_MOVES = {
    "AWS": ("bucket", "aws.s3_lifecycle:INTELLIGENT_TIERING@0", "S3 Intelligent-Tiering"),
    "Google Cloud": ("bucket", "gcp.bucket_lifecycle:NEARLINE@30", "Nearline after 30 days"),
    "Microsoft": ("storage_account", "azure.blob_lifecycle:cool@30", "the cool tier after 30 days"),
}


def find(situation: Situation) -> Iterator[Recommendation]:
    """One recommendation per bucket (or storage account) whose standard-class storage is worth the trouble."""
    buckets: dict[tuple[str, ...], list[Usage]] = {}
    for line in situation.storage.lines:
        if line.resource_id and is_standard(line):
            key = (line.provider, line.sub_account_id, line.region_id, line.resource_id, line.currency)
            buckets.setdefault(key, []).append(line)
    for lines in buckets.values():
        bill = total(lines, situation.period, situation.storage.receipt)
        if bill is not None and bill.monthly >= LEAST_MONTHLY:
            yield _recommend(situation, lines[0], bill)


def is_standard(line: Usage) -> bool:
    """Whether a line is storage itself (not requests) in the standard class."""
    words = f"{line.sku_id} {line.charge_description}".lower()
    return any(word in words for word in _STANDARD) and not any(word in words for word in _CHEAPER)


def _recommend(situation: Situation, line: Usage, bill: Bill) -> Recommendation:
    kind, change, how = _MOVES.get(line.provider, ("bucket", "", "a colder class"))
    bucket = next((r for r in situation.of_kind(kind) if _is_same(r, line)), None)
    if bucket is None:
        # A change is planned from what inventory saw; what only the bill names is advice.
        change = ""
        bucket = Resource(
            line.provider,
            line.sub_account_id,
            line.region_id,
            kind,
            line.resource_id,
            line.resource_name or line.resource_id,
            (),
            {},
            "",
            situation.now,
        )
    return recommendation(
        situation,
        KIND,
        bucket,
        f"Let rarely read data of {bucket.name} move to a cheaper class ({how})",
        _SAVED.of(bill.monthly),
        bill.currency,
        confidence="0.5",
        # The rule can be taken back, but moving data back costs retrieval and minimum times: two people decide.
        risk="R2",
        reversible=False,
        evidence=(
            Evidence(
                "Standard class",
                f"{amount(bill.monthly, bill.currency)} a month",
                f"bill, {situation.period}",
                bill.receipt,
            ),
            Evidence(
                "Assumption",
                "20 to 70 % of it is rarely read and costs about 45 % less in an infrequent-access class",
                "rule of thumb; access analysis of the bucket tells its real share",
            ),
        ),
        affected=bill.monthly,
        price_source="the bill for the standard class; public price difference between classes",
        change=change,
        blocked_by=in_the_way(bucket, change),
    )


def _is_same(resource: Resource, line: Usage) -> bool:
    """Bills name a bucket by its name or its full one, and write Azure's in either case."""
    billed = line.resource_id.removeprefix("arn:aws:s3:::").casefold()
    return resource.provider == line.provider and resource.id.casefold() == billed
