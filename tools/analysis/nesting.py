"""Nesting: a region, a team or everything is told only for what no finding inside it explains already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from tools.model.anomaly import Anomaly
from tools.model.query import TAG, Dimension

# The share of an aggregate's excess from which the findings inside it are the story.
EXPLAINED = Decimal("0.5")
# Days by which one thing may begin apart in two series.
APART = timedelta(days=3)
_PROVIDER, _SERVICE, _REGION = str(Dimension.PROVIDER), str(Dimension.SERVICE), str(Dimension.REGION)


def rank(one: Anomaly) -> int:
    """How fine a series is: 0 a service of an account, 1 a team, 2 a region, 3 everything."""
    names = {name for name, _ in one.keys}
    if not names:
        return 3
    if _SERVICE in names or not names - {_PROVIDER}:
        return 0
    return 1 if any(name.startswith(TAG) for name in names) else 2 if _REGION in names else 0


def without_doubles(found: Sequence[Anomaly]) -> tuple[Anomaly, ...]:
    """Findings in the order given, less aggregates whose rise is that of finer findings. Pure."""
    kept: list[Anomaly] = []
    for one in sorted(found, key=rank):
        if not rank(one) or not _told(one, kept):
            kept.append(one)
    ids = {one.id for one in kept}
    return tuple(one for one in found if one.id in ids)


def _told(one: Anomaly, finer: Sequence[Anomaly]) -> bool:
    inside = [other for other in finer if _may_be_inside(other, one) and _together(other, one)]
    if any(rank(other) for other in inside):
        # The same rise seen by team and by region: one of them is enough.
        return True
    days = Decimal(one.days)
    excess = sum((other.excess / other.days * min(other.days, one.days) for other in inside), Decimal(0))
    return abs(excess) / days >= EXPLAINED * abs(one.excess) / days


def _may_be_inside(fine: Anomaly, whole: Anomaly) -> bool:
    if (fine.direction, fine.currency) != (whole.direction, whole.currency):
        return False
    providers = {dict(a.keys).get(_PROVIDER) for a in (fine, whole)} - {None}
    return len(providers) < 2


def _together(one: Anomaly, other: Anomaly) -> bool:
    ends = [a.started + timedelta(days=a.days) for a in (one, other)]
    return one.started <= ends[1] + APART and other.started <= ends[0] + APART
