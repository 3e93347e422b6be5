"""Inventory: what exists in a Vultr account - machines, disks, snapshots, addresses, databases and more - all pages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tools.model.errors import DeniedError, ProviderError
from tools.model.price import Price
from tools.model.resource import Resource
from tools.providers.base import Access
from tools.providers.rest import Asking, Document
from tools.providers.vultr import metrics, prices
from tools.providers.vultr.connection import BALANCERS, BILLING, PROVIDER, VIEW, Connection, checked_clock, moment

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class _List:
    """One list of the API: what it holds, under which key, with which permission, how it becomes a resource."""

    kind: str
    path: str
    key: str
    what: str
    attributes: Callable[[Document], dict[str, object]]
    permission: str = VIEW
    sized: bool = True

    @property
    def asking(self) -> Asking:
        return Asking(f"listing {self.what}", self.permission)


@dataclass(frozen=True, slots=True)
class VultrInventory:
    """The Inventory (and PriceSource) of the account that the API key belongs to."""

    connection: Connection
    now: Callable[[], datetime]
    provider: str = PROVIDER

    def check_access(self) -> tuple[Access, ...]:
        """Whose key it is and which permissions it lacks: told by Vultr itself, then tried list by list."""
        try:
            account = self.connection.account()
        except ProviderError as error:
            return (Access(PROVIDER, "API key", "", False, error.what),)
        missing, problems = self._tried()
        lacking = sorted(missing | ({VIEW, BILLING} - account.permissions if account.permissions else set()))
        skew = checked_clock(self.connection.rest)
        parts = ["OptiInfra's API key lacks permissions."] if lacking else []
        problem = " ".join([*parts, *problems[:1], *([skew] if skew else [])])
        return (Access(PROVIDER, account.name, account.identity, not problem, problem, tuple(lacking)),)

    def _tried(self) -> tuple[set[str], list[str]]:
        """Ask each list for one item; the permissions that were refused, and other trouble."""
        missing: set[str] = set()
        problems: list[str] = []
        for one in LISTS:
            try:
                self.connection.rest.get(one.path, one.asking, **({"per_page": "1"} if one.sized else {}))
            except DeniedError as error:
                missing.add(error.permission or one.permission)
            except ProviderError as error:
                problems.append(error.what)
        return missing, problems

    def resources(self, account_id: str) -> tuple[Resource, ...]:
        """Everything in the account; raises a ProviderError rather than give part of it."""
        at = self.now()
        found = [
            _resource(account_id, one, item, at)
            for one in LISTS
            for item in self.connection.listing(one.path, one.key, one.asking, sized=one.sized)
        ]
        return tuple(_with_disks(found))

    def prices(self, resources: Iterable[Resource]) -> tuple[Price, ...]:
        """On-demand prices of the plans in use."""
        machines = [r for r in resources if r.kind in {"instance", "bare_metal"}]
        return prices.told(machines, prices.plans(self.connection), self.now()) if machines else ()


def _resource(account_id: str, one: _List, item: Document, at: datetime) -> Resource:
    id_ = str(item.get("id", ""))
    attributes = one.attributes(item) | {"created_at": _created(item)}
    return Resource(
        PROVIDER,
        account_id,
        str(item.get("region") or ""),
        one.kind,
        id_,
        str(item.get("label") or item.get("description") or id_),
        tuple(sorted(_tags(item).items())),
        attributes,
        _fingerprint([id_, attributes.get("state"), attributes.get("instance_type"), attributes.get("attached")]),
        at,
    )


def _instance(item: Document) -> dict[str, object]:
    stopped = item.get("power_status") == "stopped"
    features = item.get("features")
    return {
        "instance_type": str(item.get("plan", "")),
        "state": "stopped" if stopped else "running" if item.get("power_status") == "running" else "unknown",
        "stopped_since": "",
        # A halted machine is paid like a running one until it is destroyed.
        "billed_when_stopped": True,
        "lifecycle": "on_demand",
        "vcpus": _whole(item.get("vcpu_count")),
        "memory_mib": _whole(item.get("ram")),
        "disk_gib": _whole(item.get("disk")),
        "ip": str(item.get("main_ip") or ""),
        "backups": isinstance(features, list) and "auto_backups" in features,
        "group": "",
    } | metrics.utilisation()


def _bare_metal(item: Document) -> dict[str, object]:
    running = item.get("status") == "active"
    return {
        "instance_type": str(item.get("plan", "")),
        "state": "running" if running else str(item.get("status", "")),
        "vcpus": _whole(item.get("cpu_count")),
        "ip": str(item.get("main_ip") or ""),
    } | metrics.utilisation()


def _volume(item: Document) -> dict[str, object]:
    host = str(item.get("attached_to_instance") or "")
    cost = prices.number(item.get("cost"))
    return {
        "attached": bool(host),
        "instances": [host] if host else [],
        "state": str(item.get("status", "")),
        "type": str(item.get("block_type") or "block"),
        "gib": _whole(item.get("size_gb")),
        "monthly_cost": None if cost is None else _plain(cost),
    }


def _address(item: Document) -> dict[str, object]:
    host = str(item.get("instance_id") or "")
    return {"ip": str(item.get("subnet", "")), "attached": bool(host), "instance": host}


def _snapshot(item: Document) -> dict[str, object]:
    size = _whole(item.get("size"))
    billed = _whole(item.get("compressed_size")) or size
    return {
        "volume_id": "",
        "gib": -(-size // _GIB),
        "billed_gib": -(-billed // _GIB),
        "state": str(item.get("status", "")),
        "images": [],
    }


def _database(item: Document) -> dict[str, object]:
    return {
        "instance_type": str(item.get("plan", "")),
        "engine": str(item.get("database_engine", "")),
        "version": str(item.get("database_engine_version", "")),
        "state": str(item.get("status", "")),
        "vcpus": _whole(item.get("plan_vcpus")),
        "memory_mib": _whole(item.get("plan_ram")),
        "disk_gib": _whole(item.get("plan_disk")),
    }


def _balancer(item: Document) -> dict[str, object]:
    hosts = item.get("instances")
    return {
        "state": str(item.get("status", "")),
        "ip": str(item.get("ipv4") or ""),
        "nodes": _whole(item.get("nodes")) or 1,
        "instances": [str(host) for host in hosts] if isinstance(hosts, list) else [],
    }


def _cluster(item: Document) -> dict[str, object]:
    pools = item.get("node_pools")
    nodes = [n for p in pools or [] for n in p.get("nodes") or []] if isinstance(pools, list) else []
    return {
        "state": str(item.get("status", "")),
        "version": str(item.get("version", "")),
        "nodes": [str(node.get("id", "")) for node in nodes],
    }


LISTS = (
    _List("instance", "/v2/instances", "instances", "instances", _instance),
    _List("bare_metal", "/v2/bare-metals", "bare_metals", "bare metal machines", _bare_metal),
    _List("volume", "/v2/blocks", "blocks", "block storage", _volume),
    _List("address", "/v2/reserved-ips", "reserved_ips", "reserved addresses", _address),
    _List("snapshot", "/v2/snapshots", "snapshots", "snapshots", _snapshot),
    _List("database", "/v2/databases", "databases", "databases", _database, sized=False),
    _List("load_balancer", "/v2/load-balancers", "load_balancers", "load balancers", _balancer, BALANCERS),
    _List("kubernetes", "/v2/kubernetes/clusters", "vke_clusters", "Kubernetes clusters", _cluster, sized=False),
)


def _with_disks(found: list[Resource]) -> Iterator[Resource]:
    """Machines name their disks; Vultr tells it on the disk's side only."""
    disks: dict[str, list[str]] = {}
    for volume in found:
        for host in _words(volume.attributes.get("instances")) if volume.kind == "volume" else ():
            disks.setdefault(host, []).append(volume.id)
    for resource in found:
        if resource.kind == "instance":
            resource.attributes["volumes"] = sorted(disks.get(resource.id, []))
        yield resource


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, list) else ()


def _tags(item: Mapping[str, Any]) -> dict[str, str]:
    """Vultr's tags are single words; "team:web" and "team=web" are read as a key and its value."""
    told = item.get("tags")
    words = [str(word) for word in told] if isinstance(told, list) else []
    if not words and item.get("tag"):
        words = [str(item["tag"])]
    pairs = (word.replace("=", ":", 1).partition(":") for word in words)
    return {key.strip(): value.strip() if mark else "true" for key, mark, value in pairs if key.strip()}


def _created(item: Document) -> str:
    created = moment(item.get("date_created"))
    return created.isoformat() if created else ""


def _whole(value: object) -> int:
    found = prices.number(value)
    return int(found) if found is not None else 0


def _plain(value: object) -> str:
    return format(value, "f")


def _fingerprint(basis: object) -> str:
    return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:32]
