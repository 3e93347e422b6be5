"""Advice: what Google's own Recommender says of a project's things, with the saving it promises a month."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from tools.model.errors import DeniedError, ProviderError, ResourceMissingError
from tools.model.money import EXACT, plain
from tools.providers.gcp.connection import Connection
from tools.providers.gcp.prices import money
from tools.providers.rest import Asking, Document

_ZONES = (
    ("google.compute.instance.IdleResourceRecommender", "recommender.computeInstanceIdleResourceRecommendations.list"),
    (
        "google.compute.instance.MachineTypeRecommender",
        "recommender.computeInstanceMachineTypeRecommendations.list",
    ),
    ("google.compute.disk.IdleResourceRecommender", "recommender.computeDiskIdleResourceRecommendations.list"),
)
_REGIONS = (
    ("google.compute.address.IdleResourceRecommender", "recommender.computeAddressIdleResourceRecommendations.list"),
    ("google.cloudsql.instance.IdleRecommender", "recommender.cloudsqlIdleInstanceRecommendations.list"),
)
PERMISSIONS = tuple(permission for _, permission in (*_ZONES, *_REGIONS))
MONTH_SECONDS = Decimal(30 * 86400)


@dataclass(frozen=True, slots=True)
class Advice:
    """One recommendation of Google: about which resource (its full name), what to do, and what a month of it saves."""

    resource: str
    recommender: str
    subtype: str
    saving: Decimal
    currency: str

    def as_attribute(self) -> dict[str, str]:
        """JSON-ready, for a resource's attributes."""
        return {
            "recommender": self.recommender,
            "subtype": self.subtype,
            "monthly_saving": plain(self.saving),
            "currency": self.currency,
        }


def advice(connection: Connection, project: str, zones: Iterable[str], regions: Iterable[str]) -> tuple[Advice, ...]:
    """Every open recommendation about cost in these places.

    A recommender that may not be asked, or is switched off, says nothing; the inventory is whole without it.
    """
    asked = [(zone, *one) for zone in sorted(zones) for one in _ZONES]
    asked += [(region, *one) for region in sorted(regions) for one in _REGIONS]
    return tuple(found for place in asked for found in _of(connection, project, *place))


def _of(connection: Connection, project: str, place: str, recommender: str, permission: str) -> Iterator[Advice]:
    asking = Asking(f"asking Google's Recommender about {project} in {place}", permission)
    path = f"v1/projects/{project}/locations/{place}/recommenders/{recommender}/recommendations"
    try:
        told = connection.listing("recommender", path, "recommendations", asking, pageSize="500")
    except (DeniedError, ResourceMissingError):
        return
    for one in told:
        found = read(one, recommender)
        if found is not None:
            yield found


def read(told: Document, recommender: str) -> Advice | None:
    """A recommendation as Google tells it; None when it is not open, not about cost, or promises no saving."""
    impact = told.get("primaryImpact", {})
    projection = impact.get("costProjection", {})
    cost = money(projection.get("cost", {}))
    resource = told.get("content", {}).get("overview", {}).get("resource") or _operated(told)
    state = told.get("stateInfo", {}).get("state", "ACTIVE")
    if state != "ACTIVE" or impact.get("category") != "COST" or cost is None or cost.amount >= 0 or not resource:
        return None
    seconds = Decimal(str(projection.get("duration", "2592000s")).removesuffix("s"))
    if seconds <= 0:
        raise ProviderError(f"Google Cloud promises a saving over no time at all ({recommender}); it is not used.")
    saving = EXACT.divide(EXACT.multiply(-cost.amount, MONTH_SECONDS), seconds)
    return Advice(str(resource), recommender, str(told.get("recommenderSubtype", "")), saving, cost.currency)


def _operated(told: Document) -> str:
    """The resource that the proposed operations would touch last, where the overview does not name it."""
    groups = told.get("content", {}).get("operationGroups", [])
    touched = [str(op["resource"]) for group in groups for op in group.get("operations", []) if op.get("resource")]
    return touched[-1] if touched else ""
