"""What Google tells of the organisation's things: how busy they are, what they cost at list price, what it advises."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sandbox.clouds.gcp_things import MACHINES_RUNNING, ML, REGION, WEB, ZONES, Document, number

# name: cores, MiB
MACHINES = {
    "n2-standard-4": (4, 16384),
    "e2-standard-2": (2, 8192),
    "n1-standard-8": (8, 30720),
    "n2-standard-2": (2, 8192),
}
# USD an hour of a core and of a GiB in Belgium: on demand, spot.
RATES = {
    "N2": ("0.0347719", "0.0046604", "0.0084115", "0.0011274"),
    "E2": ("0.0239905", "0.0032155", "0.0071972", "0.0009646"),
    "N1": ("0.0347722", "0.0046606", "0.0073213", "0.0009812"),
}
# Share of a core's time, average and highest.
BUSY = {"web": (0.31, 0.74), "render": (0.88, 0.99), "notebook": (0.02, 0.03), "previews": (0.22, 0.61)}


def machine_type(zone: str, name: str) -> Document | None:
    if name not in MACHINES:
        return None
    cores, memory = MACHINES[name]
    return {"kind": "compute#machineType", "name": name, "zone": zone, "guestCpus": cores, "memoryMb": memory}


def skus() -> list[Document]:
    """Compute Engine's price list: what we look for among what we must not take for it."""
    found = []
    for family, (core, ram, spot_core, spot_ram) in RATES.items():
        word = f"{family} Predefined" if family == "N1" else family
        found += [
            _sku(f"{word} Instance Core running in Belgium", "OnDemand", core, "h"),
            _sku(f"{word} Instance Ram running in Belgium", "OnDemand", ram, "GiBy.h"),
            _sku(f"Spot Preemptible {word} Instance Core running in Belgium", "Preemptible", spot_core, "h"),
            _sku(f"Spot Preemptible {word} Instance Ram running in Belgium", "Preemptible", spot_ram, "GiBy.h"),
            _sku(f"{family} Custom Instance Core running in Belgium", "OnDemand", "0.0999", "h"),
            _sku(f"{family} Sole Tenancy Instance Ram running in Belgium", "OnDemand", "0.0999", "GiBy.h"),
            _sku(f"Commitment v1: {family} Cpu in Belgium for 1 Year", "Commit1Yr", "0.0219", "h"),
        ]
    return found


def _sku(description: str, usage: str, price: str, unit: str) -> Document:
    key = hashlib.sha256(description.encode()).hexdigest().upper()
    whole, _, part = price.partition(".")
    rate = {
        "startUsageAmount": 0,
        "unitPrice": {"currencyCode": "USD", "units": whole, "nanos": int(part.ljust(9, "0"))},
    }
    return {
        "name": f"services/6F81-5844-456A/skus/{key[:4]}-{key[4:8]}-{key[8:12]}",
        "skuId": f"{key[:4]}-{key[4:8]}-{key[8:12]}",
        "description": description,
        "category": {
            "serviceDisplayName": "Compute Engine",
            "resourceFamily": "Compute",
            "resourceGroup": "CPU" if unit == "h" else "RAM",
            "usageType": usage,
        },
        "serviceRegions": [REGION],
        "pricingInfo": [
            {
                "effectiveTime": "2026-11-01T00:00:00Z",
                "pricingExpression": {"usageUnit": unit, "displayQuantity": 1, "tieredRates": [rate]},
            }
        ],
    }


def recommendations(project: str, place: str, recommender: str) -> list[Document]:
    """What Google's Recommender says: money is negative where it saves, and leaves `units` out below one."""
    if (project, place, recommender) == (WEB, ZONES[0], "google.compute.disk.IdleResourceRecommender"):
        thing = f"//compute.googleapis.com/projects/{project}/zones/{place}/disks/old-web-data"
        return [_advice(project, place, recommender, thing, "SNAPSHOT_AND_DELETE_DISK", {"units": "-85"})]
    if (project, place, recommender) == (ML, ZONES[2], "google.compute.instance.IdleResourceRecommender"):
        thing = f"//compute.googleapis.com/projects/{project}/zones/{place}/instances/notebook-1"
        return [_advice(project, place, recommender, thing, "STOP_VM", {"units": "-276", "nanos": -480000000})]
    if (project, place, recommender) == (WEB, REGION, "google.compute.address.IdleResourceRecommender"):
        thing = f"//compute.googleapis.com/projects/{project}/regions/{place}/addresses/old-campaign"
        return [_advice(project, place, recommender, thing, "DELETE_ADDRESS", {"units": "-7", "nanos": -200000000})]
    return []


def _advice(project: str, place: str, recommender: str, thing: str, subtype: str, cost: Document) -> Document:
    name = f"projects/{project}/locations/{place}/recommenders/{recommender}/recommendations/{number(thing)}"
    return {
        "name": name,
        "description": "Save cost.",
        "recommenderSubtype": subtype,
        "primaryImpact": {
            "category": "COST",
            "costProjection": {"cost": {"currencyCode": "USD", **cost}, "duration": "2592000s"},
        },
        "content": {"overview": {"resource": thing, "location": place}},
        "stateInfo": {"state": "ACTIVE"},
        "priority": "P4",
    }


def series(project: str, aligner: str, hours: Iterable[str]) -> list[Document]:
    """CPU utilisation of every running machine, one point an hour; a stopped one has none."""
    ends = tuple(hours)
    return [
        {
            "metric": {"type": "compute.googleapis.com/instance/cpu/utilization", "labels": {}},
            "resource": {
                "type": "gce_instance",
                "labels": {"project_id": project, "zone": machine.zone, "instance_id": machine.number},
            },
            "metricKind": "GAUGE",
            "valueType": "DOUBLE",
            "points": [
                {
                    "interval": {"startTime": end, "endTime": end},
                    "value": {"doubleValue": _busy(machine.name, aligner, place)},
                }
                for place, end in enumerate(ends)
            ],
        }
        for machine in MACHINES_RUNNING
        if machine.project == project and not machine.stopped_days
    ]


def _busy(name: str, aligner: str, place: int) -> float:
    average, highest = BUSY[name.partition("-")[0]]
    swing = 1 if place % 24 in range(8, 20) else 0.6
    return round((highest if aligner == "ALIGN_MAX" else average) * swing, 6)
