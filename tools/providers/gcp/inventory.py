"""Inventory: what exists in Google Cloud projects - machines, groups, disks, databases, buckets - all pages of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from tools.model.errors import DeniedError, ProviderError, TransientError
from tools.model.price import Price
from tools.model.resource import Resource
from tools.providers.base import Access
from tools.providers.gcp import metrics, prices
from tools.providers.gcp.advice import PERMISSIONS as ADVICE
from tools.providers.gcp.advice import advice
from tools.providers.gcp.connection import PROVIDER, Connection, items
from tools.providers.gcp.describing import INSTANCE, Describer, images_by_snapshot, maker_of, tail
from tools.providers.rest import Asking, Document, not_as_described

READS = (
    "cloudsql.instances.list",
    "compute.addresses.list",
    "compute.commitments.list",
    "compute.disks.list",
    "compute.images.list",
    "compute.instanceGroupManagers.list",
    "compute.instances.list",
    "compute.machineTypes.get",
    "compute.snapshots.list",
    metrics.PERMISSION,
    *ADVICE,
    "storage.buckets.list",
)
# Whoever has one of these may also change things, which reading does not need.
CHANGES = ("compute.instanceGroupManagers.update", "compute.instances.stop", "compute.disks.delete")
# Google's codes for "I could not look there", among others that only say a scope is empty.
_NOT_SEEN = {"UNREACHABLE", "PARTIAL_SUCCESS", "LIST_OVERHEAD_QUOTA_EXCEED"}
MOST_SKEW_SECONDS = 300


@dataclass(frozen=True, slots=True)
class GcpInventory:
    """The Inventory (and PriceSource) of the configured Google Cloud projects."""

    connection: Connection
    now: Callable[[], datetime]
    catalog: prices.Catalog
    provider: str = PROVIDER

    @classmethod
    def of(cls, connection: Connection, now: Callable[[], datetime]) -> GcpInventory:
        return cls(connection, now, prices.Catalog(connection))

    def check_access(self) -> tuple[Access, ...]:
        """Who we are in each project, and exactly which reading permissions Google says are missing."""
        return tuple(self._access(project) for project in self.connection.projects)

    def _access(self, project: str) -> Access:
        asking = Asking(f"asking what may be read in {project}")
        try:
            identity = self.connection.identity.name()
            may = self.connection.permitted(project, (*READS, *CHANGES), asking)
        except ProviderError as error:
            return Access(PROVIDER, project, "", False, error.what)
        missing = tuple(sorted(set(READS) - may))
        changes = sorted(set(CHANGES) & may)
        power = f"may also change things: {', '.join(changes)}" if changes else "reads only"
        told = ["OptiInfra lacks permissions to read this project."] if missing else []
        if abs(self.connection.skew_seconds) > MOST_SKEW_SECONDS:
            minutes = abs(self.connection.skew_seconds) / 60
            told.append(f"This machine's clock is {minutes:.0f} minutes off Google's; set it right.")
        return Access(PROVIDER, project, f"{identity} ({power})", not told, " ".join(told), missing)

    def resources(self, account_id: str) -> tuple[Resource, ...]:
        """Everything in one project; raises a ProviderError rather than give part of it."""
        see = Describer(account_id, self.now())
        told = list(self._everywhere(account_id, "instances", "instances"))
        use = self._use(account_id) if told else {}
        machines = [see.instance(one, _use_of(use, one)) for one in told]
        members: dict[str, list[Resource]] = {}
        for one, machine in zip(told, machines, strict=True):
            members.setdefault(tail(maker_of(one)), []).append(machine)
        managers = list(self._everywhere(account_id, "instanceGroupManagers", "instance groups"))
        images = images_by_snapshot(self._global(account_id, "images"))
        snapshots = [see.snapshot(one, []) for one in self._global(account_id, "snapshots")]
        found = [
            *(see.group(one, members.get(tail(one.get("selfLink")), [])) for one in managers),
            *machines,
            *(see.disk(one) for one in self._everywhere(account_id, "disks", "disks")),
            *(replace(s, attributes={**s.attributes, "images": images.get(s.id, [])}) for s in snapshots),
            *(see.address(one) for one in self._everywhere(account_id, "addresses", "addresses")),
            *(see.commitment(one) for one in self._everywhere(account_id, "commitments", "commitments")),
            *(see.database(one) for one in self._databases(account_id)),
            *(see.bucket(one) for one in self._buckets(account_id)),
        ]
        return self._advised(account_id, found)

    def _everywhere(self, project: str, collection: str, what: str) -> Iterator[Document]:
        """A collection of Compute Engine over all zones and regions."""
        asking = Asking(f"listing {what} of {project}", f"compute.{collection}.list")
        path = f"compute/v1/projects/{project}/aggregated/{collection}"
        for page in self.connection.pages("compute", path, asking, maxResults="500"):
            _whole(page.get("unreachables"), asking)
            _seen("some of its places", page, asking)
            scopes = page.get("items", {})
            if not isinstance(scopes, dict):
                raise not_as_described(PROVIDER, asking.doing)
            for scope, part in scopes.items():
                _seen(str(scope), part, asking)
                yield from items(part, collection, asking)

    def _global(self, project: str, collection: str) -> list[Document]:
        asking = Asking(f"listing {collection} of {project}", f"compute.{collection}.list")
        path = f"compute/v1/projects/{project}/global/{collection}"
        found: list[Document] = []
        for page in self.connection.pages("compute", path, asking, maxResults="500"):
            _seen(f"global/{collection}", page, asking)
            found += items(page, "items", asking)
        return found

    def _databases(self, project: str) -> list[Document]:
        asking = Asking(f"listing databases of {project}", "cloudsql.instances.list")
        found: list[Document] = []
        for page in self.connection.pages("sqladmin", f"v1/projects/{project}/instances", asking, maxResults="500"):
            _whole(page.get("warnings"), asking, "region")
            found += items(page, "items", asking)
        return found

    def _buckets(self, project: str) -> list[Document]:
        asking = Asking(f"listing buckets of {project}", "storage.buckets.list")
        found: list[Document] = []
        for page in self.connection.pages("storage", "storage/v1/b", asking, project=project, maxResults="1000"):
            _whole(page.get("unreachable"), asking)
            found += items(page, "items", asking)
        return found

    def _use(self, project: str) -> dict[str, dict[str, object]]:
        try:
            return metrics.utilisation(self.connection, project, self.now())
        except DeniedError:
            # Without the permission use is unknown, which hides no resource; check_access names what is missing.
            return {}

    def _advised(self, project: str, found: list[Resource]) -> tuple[Resource, ...]:
        """The same resources, each with what Google's Recommender says of it."""
        zones = {str(r.attributes["zone"]) for r in found if r.attributes.get("zone")}
        regions = {r.region for r in found if r.kind in {"address", "database"} and r.region != "global"}
        told: dict[str, list[dict[str, str]]] = {}
        for one in advice(self.connection, project, zones, regions):
            told.setdefault(one.resource, []).append(one.as_attribute())
        return tuple(
            replace(r, attributes={**r.attributes, "advice": told[r.id]}) if r.id in told else r for r in found
        )

    def prices(self, resources: Iterable[Resource]) -> tuple[Price, ...]:
        """On-demand and spot prices of the machine types in use, where the catalog tells them."""
        used: dict[tuple[str, str], tuple[str, str]] = {}
        for resource in resources:
            if resource.kind == INSTANCE and "-custom-" not in str(resource.attributes["instance_type"]):
                key = (resource.region, str(resource.attributes["instance_type"]))
                used.setdefault(key, (resource.account_id, str(resource.attributes["zone"])))
        if not used:
            return ()
        machines = [
            (region, prices.machine(self.connection, project, zone, kind))
            for (region, kind), (project, zone) in sorted(used.items())
        ]
        return tuple(prices.prices(machines, self.catalog.rates(self.now()), self.now()))


def _seen(scope: str, part: object, asking: Asking) -> None:
    """Refuse a scope that Google could not look into: what is there is not known, which is not "nothing"."""
    if not isinstance(part, dict):
        raise not_as_described(PROVIDER, asking.doing)
    warning = part.get("warning")
    if isinstance(warning, dict) and warning.get("code") in _NOT_SEEN:
        raise _partial(scope, asking)


def _whole(told: object, asking: Asking, key: str = "") -> None:
    """Refuse a page that names places which could not be reached."""
    if isinstance(told, list) and told:
        first = told[0]
        raise _partial(str(first.get(key) or "a region") if isinstance(first, dict) else str(first), asking)


def _partial(place: str, asking: Asking) -> TransientError:
    shown = "".join(c for c in place if c.isalnum() or c in "-_/ ")[-60:]
    return TransientError(
        f"Google Cloud could not look into {shown} while {asking.doing}, so the list is only partial and is not used.",
        fix="What was known before is kept; it is read again at the next collection.",
    )


def _use_of(use: dict[str, dict[str, object]], told: Document) -> dict[str, object] | None:
    return use.get(str(told.get("id"))) or use.get(str(told.get("name")))
