"""What exists at the sandbox's Vultr, as its API describes it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from sandbox.inventory import resource_id
from sandbox.story.lines import Line

Lines = Callable[[str], list[Line]]
# monthly price in USD, vCPUs, memory and disk.
PLANS = {
    "vhf-4c-16gb": (96, 4, 16384, 384),
    "vc2-2c-4gb": (20, 2, 4096, 80),
    "vc2-4c-8gb": (40, 4, 8192, 160),
    "voc-m-2c-16gb-400s": (80, 2, 16384, 400),
}


def instances(lines: Lines, today: date) -> list[dict[str, Any]]:
    """Machines, by the name that the bill has for them."""
    return [
        {
            "id": line.resource_id,
            "os": "Debian 13 x64 (trixie)",
            "ram": PLANS[line.sku][2],
            "disk": PLANS[line.sku][3],
            "main_ip": address_of(number),
            "vcpu_count": PLANS[line.sku][1],
            "region": line.region,
            "plan": line.sku,
            "date_created": f"{created(today)}T09:30:00+00:00",
            "status": "active",
            "allowed_bandwidth": 5000,
            "netmask_v4": "255.255.254.0",
            "gateway_v4": "203.0.113.1",
            "power_status": "stopped" if "halted" in line.resource_name else "running",
            "server_status": "ok",
            "v6_network": "",
            "v6_main_ip": "",
            "v6_network_size": 0,
            "label": line.resource_name,
            "hostname": line.resource_name,
            "internal_ip": "",
            "kvm": "",
            "tags": [f"{key}:{value}" for key, value in line.tags],
            "os_id": 2625,
            "app_id": 0,
            "image_id": "",
            "firewall_group_id": "",
            "features": [],
            "user_scheme": "root",
        }
        for number, line in enumerate(lines("Instance"), start=11)
    ]


def blocks(lines: Lines, today: date) -> list[dict[str, Any]]:
    """Disks; an old one hangs on nothing."""
    host = resource_id("vultr", "edge-fra-1")
    return [
        {
            "id": line.resource_id,
            "cost": 50,
            "status": "active",
            "size_gb": int(line.quantity / 24),
            "region": line.region,
            "attached_to_instance": "" if "old" in line.resource_name else host,
            "date_created": f"{created(today)}T10:00:00+00:00",
            "label": line.resource_name,
            "mount_id": f"{line.region}-{line.resource_id[-12:]}",
            "block_type": "high_perf" if line.sku.startswith("NVMe") else "storage_opt",
        }
        for line in lines("Block storage")
    ]


def addresses(lines: Lines, today: date) -> list[dict[str, Any]]:
    """Reserved addresses, unused."""
    return [
        {
            "id": line.resource_id,
            "region": line.region,
            "ip_type": "v4",
            "subnet": "203.0.113.201",
            "subnet_size": 32,
            "label": line.resource_name,
            "instance_id": "",
        }
        for line in lines("Reserved IP")
    ]


def snapshots(lines: Lines, today: date) -> list[dict[str, Any]]:
    """Snapshots, older than a year."""
    return [
        {
            "id": line.resource_id,
            "date_created": f"{today - timedelta(days=512)}T04:10:00+00:00",
            "description": line.resource_name,
            "size": 384 << 30,
            "compressed_size": 240 << 30,
            "status": "complete",
            "os_id": 2625,
            "app_id": 0,
        }
        for line in lines("Snapshot")
    ]


def balancers(lines: Lines, today: date) -> list[dict[str, Any]]:
    """Load balancers in front of machines that run."""
    hosts = [line.resource_id for line in lines("Instance") if "halted" not in line.resource_name]
    return [
        {
            "id": line.resource_id,
            "date_created": f"{created(today)}T11:00:00+00:00",
            "region": line.region,
            "label": line.resource_name,
            "status": "active",
            "ipv4": "203.0.113.202",
            "ipv6": "",
            "generic_info": {"balancing_algorithm": "roundrobin", "ssl_redirect": True},
            "has_ssl": True,
            "http2": True,
            "nodes": 1,
            "forward_rules": [],
            "instances": hosts[:2],
            "firewall_rules": [],
        }
        for line in lines("Load balancer")
    ]


def plans() -> list[dict[str, Any]]:
    """Vultr's public price list, as far as the organisation uses it."""
    return [
        {
            "id": name,
            "vcpu_count": vcpus,
            "ram": memory,
            "disk": disk,
            "disk_count": 1,
            "bandwidth": 5120,
            "monthly_cost": price,
            "type": name.partition("-")[0],
            "locations": ["fra", "ams", "waw"],
        }
        for name, (price, vcpus, memory, disk) in PLANS.items()
    ]


def address_of(number: int) -> str:
    """The public address of the machine with this number."""
    return f"203.0.113.{number}"


def created(today: date) -> date:
    """When things were made that are old."""
    return today - timedelta(days=470)
