"""Right-sizing: instances whose measured peak would fit the next smaller size of their family."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tools.model.recommendation import Evidence, Recommendation
from tools.model.resource import Resource
from tools.recommendation.evidence import Band, Situation, amount, excluded, in_the_way, recommendation, text
from tools.recommendation.rules.idle import IDLE_CPU_PERCENT, use_of

KIND = "rightsizing"
# Half the size doubles the use: the peak must stay below 80 % then.
FITS_BELOW_PERCENT = 40
# Within a family every step halves vCPU, memory and price.
SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")
_HALF = Band(Decimal("0.45"), Decimal("0.5"), Decimal("0.5"))
MEMORY_UNKNOWN = "Its memory use is not measured; the smaller size has half the memory, so its owner must say yes."


def find(situation: Situation) -> Iterator[Recommendation]:
    """Standalone running instances with measured CPU only; what is idle belongs to the idle rule."""
    for instance in situation.of_kind("instance"):
        smaller = next_smaller(text(instance, "instance_type"))
        if smaller and not excluded(instance) and not text(instance, "group"):
            yield from _fits(situation, instance, smaller)


def next_smaller(instance_type: str) -> str:
    """'m5.xlarge' -> 'm5.large'; "" when there is none that is exactly half."""
    family, dot, size = instance_type.partition(".")
    if not dot or size not in SIZES[1:]:
        return ""
    return f"{family}.{SIZES[SIZES.index(size) - 1]}"


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
                "CloudWatch, hourly",
            ),
        ),
        affected=bill.monthly,
        price_source="the bill: the next smaller size of a family costs half",
        change=f"aws.instance_resize:{smaller}",
        blocked_by=(MEMORY_UNKNOWN, *in_the_way(instance, f"aws.instance_resize:{smaller}")),
    )
