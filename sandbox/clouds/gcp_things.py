"""What exists in the organisation's Google Cloud projects, in the shapes of Google's REST APIs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

Document = dict[str, Any]
REGION = "europe-west1"
ZONES = tuple(f"{REGION}-{letter}" for letter in "bcd")
PROJECTS = ("lumen-analytics", "lumen-ml", "lumen-web-eu")
WEB, ML = "lumen-web-eu", "lumen-ml"
ROOT = "https://www.googleapis.com/compute/v1"


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine; `group` is the managed group that made it, or empty."""

    project: str
    name: str
    zone: str
    kind: str
    labels: tuple[tuple[str, str], ...] = ()
    group: str = ""
    spot: bool = False
    stopped_days: int = 0

    @property
    def number(self) -> str:
        return number(f"{self.project}/{self.name}")


def number(key: str) -> str:
    """Google's numeric id of the thing called `key`, always the same."""
    return str(10**18 + int(hashlib.sha256(key.encode()).hexdigest()[:14], 16))


_WEB = (("team", "web"), ("env", "production"), ("service", "web"))
_ML = (("team", "ml"), ("env", "production"), ("service", "recommendations"))
MACHINES_RUNNING = (
    *(Machine(WEB, f"web-{n}", ZONES[0], "n2-standard-4", _WEB) for n in range(1, 9)),
    *(
        Machine(WEB, f"previews-{n}x7k", ZONES[n % 3], "e2-standard-2", _WEB, "previews", spot=n > 1)
        for n in range(1, 4)
    ),
    *(Machine(ML, f"render-{n}q2f", ZONES[1], "n1-standard-8", _ML, "render") for n in range(1, 4)),
    Machine(ML, "notebook-1", ZONES[2], "n1-standard-8", _ML),
    Machine(ML, "notebook-old", ZONES[2], "e2-standard-2", stopped_days=97),
)


def machines(project: str, today: date) -> list[Document]:
    return [_instance(machine, today) for machine in MACHINES_RUNNING if machine.project == project]


def _instance(machine: Machine, today: date) -> Document:
    place = f"{ROOT}/projects/{machine.project}/zones/{machine.zone}"
    made = {"key": "created-by", "value": f"projects/417/{_where(machine)}/instanceGroupManagers/{machine.group}"}
    stopped = {"lastStopTimestamp": _moment(today, machine.stopped_days, "-08:00")} if machine.stopped_days else {}
    return stopped | {
        "kind": "compute#instance",
        "id": machine.number,
        "name": machine.name,
        "selfLink": f"{place}/instances/{machine.name}",
        "zone": place,
        "machineType": f"{place}/machineTypes/{machine.kind}",
        "status": "TERMINATED" if machine.stopped_days else "RUNNING",
        "creationTimestamp": _moment(today, 420, "-07:00"),
        "lastStartTimestamp": _moment(today, 120, "-07:00"),
        "labels": dict(machine.labels),
        "scheduling": {
            "provisioningModel": "SPOT" if machine.spot else "STANDARD",
            "preemptible": machine.spot,
            "automaticRestart": not machine.spot,
        },
        "disks": [{"boot": True, "source": f"{place}/disks/{machine.name}", "type": "PERSISTENT"}],
        "networkInterfaces": [{"name": "nic0", "accessConfigs": []}],
        "metadata": {"items": [made] if machine.group else []},
    }


def _where(machine: Machine) -> str:
    return f"zones/{machine.zone}" if machine.group == "render" else f"regions/{REGION}"


def disks(project: str, today: date) -> list[Document]:
    found = [
        _disk(project, machine.zone, machine.name, 50, "pd-balanced", today, machine.name)
        for machine in MACHINES_RUNNING
        if machine.project == project
    ]
    if project == WEB:
        found.append(_disk(project, ZONES[0], "old-web-data", 500, "pd-ssd", today, ""))
    return found


def _disk(project: str, zone: str, name: str, size: int, kind: str, today: date, host: str) -> Document:
    place = f"{ROOT}/projects/{project}/zones/{zone}"
    used = {"users": [f"{place}/instances/{host}"]} if host else {"lastDetachTimestamp": _moment(today, 143, "-07:00")}
    return used | {
        "kind": "compute#disk",
        "id": number(f"{project}/disk/{name}"),
        "name": name,
        "selfLink": f"{place}/disks/{name}",
        "zone": place,
        "type": f"{place}/diskTypes/{kind}",
        "sizeGb": str(size),
        "status": "READY",
        "creationTimestamp": _moment(today, 420, "-07:00"),
        "labels": {"team": "web"} if host.startswith("web") else {},
    }


def snapshots(project: str, today: date) -> list[Document]:
    if project != WEB:
        return []
    sizes = (("before-cms-upgrade", 402, 180 << 30), ("golden-web", 611, 22 << 30), ("nightly-content", 2, 40 << 30))
    return [
        {
            "kind": "compute#snapshot",
            "id": number(f"{project}/snapshot/{name}"),
            "name": name,
            "selfLink": f"{ROOT}/projects/{project}/global/snapshots/{name}",
            "status": "READY",
            "sourceDisk": f"{ROOT}/projects/{project}/zones/{ZONES[0]}/disks/old-web-data",
            "diskSizeGb": "500",
            "storageBytes": str(size),
            "storageLocations": [REGION],
            "creationTimestamp": _moment(today, age, "-07:00"),
        }
        for name, age, size in sizes
    ]


def images(project: str) -> list[Document]:
    if project != WEB:
        return []
    root = f"{ROOT}/projects/{project}/global"
    golden = {
        "kind": "compute#image",
        "id": number(f"{project}/image/web-2025"),
        "name": "web-2025",
        "selfLink": f"{root}/images/web-2025",
        "sourceSnapshot": f"{root}/snapshots/golden-web",
    }
    return [golden, {"kind": "compute#image", "name": "plain", "selfLink": f"{root}/images/plain"}]


def addresses(project: str) -> list[Document]:
    if project != WEB:
        return []
    place = f"{ROOT}/projects/{project}/regions/{REGION}"
    forwarding = f"{place}/forwardingRules/web"
    return [
        {
            "kind": "compute#address",
            "id": number(f"{project}/address/{name}"),
            "name": name,
            "address": ip,
            "addressType": "EXTERNAL",
            "region": place,
            "selfLink": f"{place}/addresses/{name}",
            "status": "IN_USE" if used else "RESERVED",
            **({"users": [forwarding]} if used else {}),
        }
        for name, ip, used in (("web-front", "203.0.113.61", True), ("old-campaign", "203.0.113.62", False))
    ]


def commitments(project: str) -> list[Document]:
    """One that ran out two years ago and was not renewed."""
    if project != WEB:
        return []
    place = f"{ROOT}/projects/{project}/regions/{REGION}"
    return [
        {
            "kind": "compute#commitment",
            "id": number(f"{project}/commitment/web-2023"),
            "name": "web-2023",
            "selfLink": f"{place}/commitments/web-2023",
            "region": place,
            "status": "EXPIRED",
            "plan": "TWELVE_MONTH",
            "type": "GENERAL_PURPOSE_N2",
            "category": "MACHINE",
            "autoRenew": False,
            "startTimestamp": "2023-09-01T00:00:00.000-07:00",
            "endTimestamp": "2024-09-01T00:00:00.000-07:00",
            "resources": [{"type": "VCPU", "amount": "32"}, {"type": "MEMORY", "amount": "131072"}],
        }
    ]


def groups(project: str) -> list[Document]:
    found = {(m.group, _where(m)) for m in MACHINES_RUNNING if m.project == project and m.group}
    return [_group(project, name, where) for name, where in sorted(found)]


def _group(project: str, name: str, where: str) -> Document:
    root = f"{ROOT}/projects/{project}"
    template = f"{root}/global/instanceTemplates/{name}-1"
    spread = {"distributionPolicy": {"zones": [{"zone": f"{root}/zones/{zone}"} for zone in ZONES]}}
    size = sum(m.group == name for m in MACHINES_RUNNING)
    return {
        "kind": "compute#instanceGroupManager",
        "id": number(f"{project}/group/{name}"),
        "name": name,
        "baseInstanceName": name,
        where.partition("/")[0].removesuffix("s"): f"{root}/{where}",
        "selfLink": f"{root}/{where}/instanceGroupManagers/{name}",
        "instanceTemplate": template,
        "versions": [{"name": "0", "instanceTemplate": template, "targetSize": {"calculated": size}}],
        "targetSize": size,
        "currentActions": {"none": size, "creating": 0, "recreating": 0, "deleting": 0, "restarting": 0},
        "status": {"isStable": True, "versionTarget": {"isReached": True}},
        "updatePolicy": {"type": "OPPORTUNISTIC", "minimalAction": "REPLACE", "maxSurge": {"fixed": 1}},
        **(spread if where.startswith("regions/") else {}),
    }


def templates(project: str) -> list[Document]:
    """The templates that the groups run."""
    root = f"{ROOT}/projects/{project}/global/instanceTemplates"
    made = {m.group: m for m in MACHINES_RUNNING if m.project == project and m.group}
    return [
        {
            "kind": "compute#instanceTemplate",
            "name": f"{name}-1",
            "selfLink": f"{root}/{name}-1",
            "properties": {
                "machineType": machine.kind,
                "labels": dict(machine.labels),
                "scheduling": {"provisioningModel": "SPOT" if machine.spot else "STANDARD"},
                "disks": [{"boot": True, "autoDelete": True}],
            },
        }
        for name, machine in sorted(made.items())
    ]


def databases(project: str) -> list[Document]:
    if project != WEB:
        return []
    return [
        {
            "kind": "sql#instance",
            "name": name,
            "project": project,
            "region": REGION,
            "databaseVersion": version,
            "state": "RUNNABLE",
            "createTime": "2024-03-02T10:11:12.345Z",
            "settings": {
                "tier": tier,
                "activationPolicy": policy,
                "availabilityType": "REGIONAL" if policy == "ALWAYS" else "ZONAL",
                "settingsVersion": "3",
                "dataDiskSizeGb": size,
                "userLabels": labels,
            },
        }
        for name, version, tier, policy, size, labels in (
            ("content", "MYSQL_8_0", "db-custom-8-32768", "ALWAYS", "250", {"team": "web", "service": "content"}),
            ("content-2023", "MYSQL_5_7", "db-custom-2-8192", "NEVER", "100", {}),
        )
    ]


def buckets(project: str) -> list[Document]:
    names = {"lumen-analytics": "lumen-exports", ML: "lumen-features"}
    if project not in names:
        return []
    clean = {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 30}}]}
    return [
        {
            "kind": "storage#bucket",
            "id": name,
            "name": name,
            "location": REGION.upper(),
            "locationType": "region",
            "storageClass": "STANDARD",
            "timeCreated": "2023-06-01T08:00:00.000Z",
            "metageneration": "1",
            "labels": labels,
            **more,
        }
        for name, labels, more in (
            (names[project], {"team": "data" if project != ML else "ml"}, {}),
            (f"{names[project]}-tmp", {}, {"lifecycle": clean}),
        )
    ]


def _moment(today: date, days: int, offset: str) -> str:
    return f"{today - timedelta(days=days)}T02:30:00.000{offset}"
