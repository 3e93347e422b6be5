"""Right-sizing: instances whose measured peak would fit the next smaller size of their family."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from tools.model.recommendation import Evidence, Recommendation
from tools.model.resource import Resource
from tools.recommendation.evidence import (
    MEASURED_BY,
    Band,
    Situation,
    amount,
    excluded,
    in_the_way,
    recommendation,
    text,
)
from tools.recommendation.rules.idle import IDLE_CPU_PERCENT, use_of

KIND = "rightsizing"
# Half the size doubles the use: the peak must stay below 80 % then.
FITS_BELOW_PERCENT = 40
CHANGES = {"AWS": "aws.instance_resize", "Google Cloud": "gcp.machine_type", "Microsoft": "azure.vm_size"}
# Within these families every step halves vCPU, memory and price.
SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")
_COUNTED = {
    "Google Cloud": re.compile(r"(?P<before>(?:e2|n1|n2|n2d|t2d)-(?:standard|highmem|highcpu)-)(?P<size>4|8|16|32)"),
    "Microsoft": re.compile(
        r"(?P<before>Standard_(?:[DE](?=\d+[a-z]*_v[3-6])|F(?=\d+s_v2)))(?P<size>4|8|16|32|64)(?P<after>[a-z]*_v[2-6])"
    ),
}
_HALF = Band(Decimal("0.45"), Decimal("0.5"), Decimal("0.5"))
MEMORY_UNKNOWN = "not measured; the smaller size has half of it, so whoever approves has to know that it is enough"


def find(situation: Situation) -> Iterator[Recommendation]:
    """Standalone running instances with measured CPU only; what is idle belongs to the idle rule."""
    for instance in situation.of_kind("instance"):
        smaller = next_smaller(instance.provider, text(instance, "instance_type"))
        if smaller and not excluded(instance) and not text(instance, "group"):
            yield from _fits(situation, instance, smaller)


def next_smaller(provider: str, instance_type: str) -> str:
    """'m5.xlarge' -> 'm5.large', 'n2-standard-8' -> 'n2-standard-4'; "" when there is none that is exactly half."""
    if provider == "AWS":
        family, dot, size = instance_type.partition(".")
        return f"{family}.{SIZES[SIZES.index(size) - 1]}" if dot and size in SIZES[1:] else ""
    named = _COUNTED[provider].fullmatch(instance_type) if provider in _COUNTED else None
    if named is None:
        return ""
    return f"{named['before']}{int(named['size']) // 2}{named.groupdict().get('after', '')}"


def _fits(situation: Situation, instance: Resource, smaller: str) -> Iterator[Recommendation]:
    use, bill = use_of(instance), situation.bill(instance)
    if use is None or bill is None or bill.monthly <= 0 or text(instance, "state") != "running":
        return
    if not IDLE_CPU_PERCENT <= use["cpu_maximum"] < FITS_BELOW_PERCENT:
        return
    committed = any(line.pricing == "Committed" for line in situation.lines({instance.id}))
    if committed:
        # The commitment would go on being paid: nothing is saved.
        return
    change = f"{CHANGES[instance.provider]}:{smaller}"
    yield recommendation(
        situation,
        KIND,
        instance,
        f"Make {instance.name} smaller: {text(instance, 'instance_type')} to {smaller}",
        _HALF.of(bill.monthly),
        bill.currency,
        confidence="0.5",
        risk="R1",
        reversible=True,
        evidence=(
            Evidence(
                "Costs now",
                f"{amount(bill.monthly, bill.currency)} a month",
                f"bill, {situation.period}",
                bill.receipt,
            ),
            Evidence(
                "CPU",
                f"highest {use['cpu_maximum']:.1f} % over {use['hours']:.0f} hours; twice that on the smaller size",
                f"{MEASURED_BY.get(instance.provider, 'metrics')}, hourly",
            ),
            Evidence("Memory", MEMORY_UNKNOWN, "inventory"),
        ),
        affected=bill.monthly,
        price_source="the bill: the next smaller size of a family costs half",
        change=change,
        blocked_by=in_the_way(instance, change),
    )
