"""What exists in the organisation's AWS accounts: one list that the sandbox's AWS and its bills are both made from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal

from sandbox.organisation import AWS_DATA, AWS_PRODUCTION, AWS_STAGING, FLEETS, Fleet

REGION = "eu-west-1"
ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")

# List prices in USD per hour, Linux, eu-west-1.
ON_DEMAND = {
    "m5.2xlarge": Decimal("0.428"),
    "m5a.2xlarge": Decimal("0.384"),
    "m6i.2xlarge": Decimal("0.428"),
    "m5.xlarge": Decimal("0.214"),
    "m5.large": Decimal("0.107"),
    "c5.2xlarge": Decimal("0.384"),
    "c5.xlarge": Decimal("0.192"),
    "c5a.xlarge": Decimal("0.173"),
    "c6i.xlarge": Decimal("0.1918"),
    "c5.large": Decimal("0.096"),
    "c5a.large": Decimal("0.087"),
    "c6i.large": Decimal("0.0959"),
    "r6i.xlarge": Decimal("0.2816"),
    "t3.large": Decimal("0.0912"),
}
# What spot capacity costs in the story's market, per zone a little apart (see `spot_price`).
SPOT = {
    "m5.2xlarge": Decimal("0.1588"),
    "m5a.2xlarge": Decimal("0.1501"),
    "m6i.2xlarge": Decimal("0.1694"),
    "m5.xlarge": Decimal("0.0812"),
    "m5.large": Decimal("0.0409"),
    "c5.2xlarge": Decimal("0.1571"),
    "c5.xlarge": Decimal("0.0776"),
    "c5a.xlarge": Decimal("0.0702"),
    "c6i.xlarge": Decimal("0.0781"),
    "c5.large": Decimal("0.0381"),
    "c5a.large": Decimal("0.0352"),
    "c6i.large": Decimal("0.0388"),
    "r6i.xlarge": Decimal("0.1140"),
    "t3.large": Decimal("0.0310"),
}
# Types that a group of the first may also run: the overrides of its mixed instances policy.
ALTERNATIVES = {
    "m5.2xlarge": ("m5.2xlarge", "m5a.2xlarge", "m6i.2xlarge"),
    "c5.xlarge": ("c5.xlarge", "c5a.xlarge", "c6i.xlarge"),
    "c5.large": ("c5.large", "c5a.large", "c6i.large"),
}
# USD per GB and month.
VOLUME_PRICE = {"gp3": Decimal("0.088"), "gp2": Decimal("0.11"), "io1": Decimal("0.138"), "st1": Decimal("0.05")}
SNAPSHOT_PRICE = Decimal("0.05")
ADDRESS_PRICE = Decimal("0.005")
LOAD_BALANCER_PRICE = Decimal("0.0252")


def resource_id(prefix: str, key: str) -> str:
    """The id of the thing called `key`: the same in the inventory and on the bill, always."""
    return f"{prefix}-0{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def spot_price(instance_type: str, zone: str) -> Decimal:
    """USD per hour of spot capacity in a zone."""
    step = Decimal("0.01") * ZONES.index(zone) if zone in ZONES else Decimal(0)
    return (SPOT[instance_type] * (1 + step)).quantize(Decimal("0.0001"))


@dataclass(frozen=True, slots=True)
class Instance:
    """A virtual machine. `fleet` is the Auto Scaling group it belongs to, or empty."""

    key: str
    name: str
    account_id: str
    instance_type: str
    zone: str
    tags: tuple[tuple[str, str], ...]
    fleet: str = ""
    spot: bool = False
    idle: bool = False

    @property
    def id(self) -> str:
        return resource_id("i", self.key)


@dataclass(frozen=True, slots=True)
class Volume:
    """A block volume; one without `instance` is attached to nothing."""

    key: str
    name: str
    account_id: str
    kind: str
    gigabytes: int
    age_days: int
    tags: tuple[tuple[str, str], ...]
    instance: str = ""

    @property
    def id(self) -> str:
        return resource_id("vol", self.key)

    @property
    def monthly_cost(self) -> Decimal:
        """USD a month at list price."""
        return VOLUME_PRICE[self.kind] * self.gigabytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of a volume of `gigabytes`."""

    key: str
    name: str
    account_id: str
    gigabytes: int
    age_days: int
    tags: tuple[tuple[str, str], ...]

    @property
    def id(self) -> str:
        return resource_id("snap", self.key)

    @property
    def monthly_cost(self) -> Decimal:
        """USD a month at list price."""
        return SNAPSHOT_PRICE * self.gigabytes


@dataclass(frozen=True, slots=True)
class Address:
    """An Elastic IP; `attached` says whether anything uses it."""

    key: str
    name: str
    account_id: str
    public_ip: str
    attached: bool
    tags: tuple[tuple[str, str], ...]

    @property
    def id(self) -> str:
        return resource_id("eipalloc", self.key)

    @property
    def monthly_cost(self) -> Decimal:
        """USD a month at list price."""
        return ADDRESS_PRICE * 730


def tagged(team: str = "", env: str = "production", service: str = "", **more: str) -> tuple[tuple[str, str], ...]:
    """Tags as pairs, without the empty ones."""
    pairs = {"team": team, "env": env, "service": service, **more}
    return tuple((key, value) for key, value in pairs.items() if value)


def on_demand_count(size: int, percent: int, base: int = 0) -> int:
    """How many of `size` instances AWS keeps on demand: the base, and the percentage above it rounded up."""
    base = min(base, size)
    return base + -(-(size - base) * percent // 100)


def fleet_tags(fleet: Fleet) -> tuple[tuple[str, str], ...]:
    """The tags that a fleet gives its instances."""
    env = "staging" if fleet.account_id == AWS_STAGING else "production"
    tags = tagged(fleet.team, env, fleet.service, Name=fleet.name)
    return tags if fleet.stateless else (*tags, ("optiinfra:exclude", "true"))


def fleet_instances(fleet: Fleet) -> tuple[Instance, ...]:
    """The instances a fleet runs at the start of the story, on-demand ones first."""
    on_demand = on_demand_count(fleet.size, fleet.on_demand_percent)
    spread = ALTERNATIVES.get(fleet.instance_type, (fleet.instance_type,))
    return tuple(
        Instance(
            key=f"{fleet.name}/{number}",
            name=fleet.name,
            account_id=fleet.account_id,
            instance_type=fleet.instance_type if number < on_demand else spread[number % len(spread)],
            zone=ZONES[number % len(ZONES)],
            tags=fleet_tags(fleet),
            fleet=fleet.name,
            spot=number >= on_demand,
        )
        for number in range(fleet.size)
    )


def _hosts(name: str, count: int, account_id: str, kind: str, **tags: str) -> tuple[Instance, ...]:
    return tuple(
        Instance(
            key=f"{name}/{number}",
            name=f"{name}-{number + 1}",
            account_id=account_id,
            instance_type=kind,
            zone=ZONES[number % len(ZONES)],
            tags=tagged(**tags, Name=f"{name}-{number + 1}"),
        )
        for number in range(count)
    )


CATALOG_HOSTS = _hosts("catalog-cache", 10, AWS_PRODUCTION, "r6i.xlarge", team="catalog", service="catalog")
STAGING_HOSTS = _hosts("staging", 8, AWS_STAGING, "m5.xlarge", team="platform", env="staging", service="staging")
IDLE_HOST = Instance(
    key="legacy-importer",
    name="legacy-importer",
    account_id=AWS_PRODUCTION,
    instance_type="m5.xlarge",
    zone=ZONES[0],
    tags=tagged("", "production", "", Name="legacy-importer"),
    idle=True,
)
STANDALONE = (*CATALOG_HOSTS, *STAGING_HOSTS, IDLE_HOST)
INSTANCES = tuple(i for fleet in FLEETS for i in fleet_instances(fleet)) + STANDALONE


def _volume(
    name: str, account_id: str, kind: str, gigabytes: int, age_days: int, tags: tuple[tuple[str, str], ...]
) -> Volume:
    return Volume(f"volume/{name}", name, account_id, kind, gigabytes, age_days, tags)


UNATTACHED_VOLUMES = (
    _volume("search-reindex-2025", AWS_PRODUCTION, "gp2", 1000, 212, tagged("search", service="search")),
    _volume("search-reindex-scratch", AWS_PRODUCTION, "gp3", 1500, 148, tagged("search", service="search")),
    _volume("checkout-loadtest", AWS_PRODUCTION, "io1", 400, 96, tagged("checkout", service="checkout")),
    _volume("old-catalog-db", AWS_PRODUCTION, "gp2", 800, 331, tagged("catalog")),
    _volume("restore-test", AWS_PRODUCTION, "gp3", 250, 61, ()),
    _volume("legacy-importer-data", AWS_PRODUCTION, "st1", 2000, 402, ()),
    _volume("staging-old-root", AWS_STAGING, "gp2", 120, 187, tagged("platform", "staging")),
    _volume("staging-copy-of-prod", AWS_STAGING, "gp3", 900, 73, tagged("platform", "staging")),
)
ATTACHED_VOLUMES = tuple(
    Volume(f"volume/{host.name}", f"{host.name}-data", host.account_id, "gp3", 200, 420, host.tags, host.key)
    for host in (*CATALOG_HOSTS[:4], *STAGING_HOSTS[:2])
)
VOLUMES = UNATTACHED_VOLUMES + ATTACHED_VOLUMES

SNAPSHOTS = tuple(
    Snapshot(f"snapshot/{name}", name, account_id, gigabytes, age, tags)
    for name, account_id, gigabytes, age, tags in (
        ("before-postgres-13", AWS_PRODUCTION, 800, 611, tagged("catalog")),
        ("before-postgres-14", AWS_PRODUCTION, 850, 402, tagged("catalog")),
        ("search-index-2024", AWS_PRODUCTION, 1200, 689, tagged("search", service="search")),
        ("unknown-copy", AWS_PRODUCTION, 300, 518, ()),
        ("nightly-payments", AWS_PRODUCTION, 200, 3, tagged("payments", service="payments")),
        ("staging-golden", AWS_STAGING, 150, 455, tagged("platform", "staging")),
    )
)
OLD_SNAPSHOT_DAYS = 180

ADDRESSES = (
    Address("eip/old-vpn", "old-vpn", AWS_PRODUCTION, "198.51.100.11", False, tagged("platform")),
    Address("eip/promo-2024", "promo-2024", AWS_PRODUCTION, "198.51.100.12", False, ()),
    Address("eip/nat-a", "nat-a", AWS_PRODUCTION, "198.51.100.21", True, tagged("platform")),
    Address(
        "eip/staging-bastion", "staging-bastion", AWS_STAGING, "198.51.100.31", False, tagged("platform", "staging")
    ),
)
CLICKSTREAM_BUCKET = "lumen-clickstream"
BUCKETS = (
    (CLICKSTREAM_BUCKET, AWS_DATA, tagged("data", service="clickstream")),
    ("lumen-warehouse", AWS_DATA, tagged("data", service="warehouse")),
    ("lumen-product-images", AWS_PRODUCTION, tagged("catalog", service="catalog")),
    ("lumen-access-logs", AWS_PRODUCTION, ()),
)


@dataclass(frozen=True, slots=True)
class Database:
    """An RDS instance, and its usual CPU use in percent."""

    name: str
    account_id: str
    kind: str
    gigabytes: int
    tags: tuple[tuple[str, str], ...]
    busy: float
    standby: bool = False

    @property
    def arn(self) -> str:
        return f"arn:aws:rds:{REGION}:{self.account_id}:db:{self.name}"


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """An application load balancer in front of so many targets; `requests` a day, none without targets."""

    name: str
    account_id: str
    key: str
    tags: tuple[tuple[str, str], ...]
    targets: int = 0
    requests: int = 0

    @property
    def arn(self) -> str:
        return f"arn:aws:elasticloadbalancing:{REGION}:{self.account_id}:loadbalancer/app/{self.name}/{self.key}"


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function."""

    name: str
    account_id: str
    memory: int
    architecture: str
    tags: tuple[tuple[str, str], ...]
    invocations: int

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{self.account_id}:function:{self.name}"


@dataclass(frozen=True, slots=True)
class NatGateway:
    """A NAT gateway, and how many GB a day go out through it."""

    name: str
    account_id: str
    tags: tuple[tuple[str, str], ...]
    gigabytes: int

    @property
    def id(self) -> str:
        return resource_id("nat", f"nat/{self.name}")


DATABASES = (
    Database("orders", AWS_PRODUCTION, "db.r6g.2xlarge", 1250, tagged("checkout", service="orders"), 41, standby=True),
    Database("catalog", AWS_PRODUCTION, "db.r6g.2xlarge", 1250, tagged("catalog", service="catalog"), 12),
    Database("payments", AWS_PRODUCTION, "db.r6g.xlarge", 1250, tagged("payments", service="payments"), 38),
    Database("staging", AWS_STAGING, "db.t4g.large", 100, tagged("platform", "staging", "staging"), 6),
)
LOAD_BALANCERS = (
    *(
        LoadBalancer(name, AWS_PRODUCTION, "50dc6c495c0c9188", tagged(team, service=name), targets, requests)
        for name, team, targets, requests in (
            ("checkout", "checkout", 4, 2_400_000),
            ("search", "search", 4, 5_100_000),
            ("web", "web", 6, 9_800_000),
        )
    ),
    # Its campaign is long over; nothing stands behind it.
    LoadBalancer("promo-2024", AWS_PRODUCTION, "9f2d7a11c0ffee00", ()),
)
FUNCTIONS = tuple(
    Function(name, AWS_PRODUCTION, memory, architecture, tagged(team, service=name), invocations)
    for name, team, memory, architecture, invocations in (
        ("order-events", "checkout", 1024, "x86_64", 1_900_000),
        ("image-resize", "catalog", 3008, "x86_64", 240_000),
        ("notify", "web", 256, "arm64", 700_000),
    )
)
NAT_GATEWAYS = (
    *(NatGateway(f"nat-{zone}", AWS_PRODUCTION, tagged("platform"), 640) for zone in ("a", "b", "c")),
    NatGateway("nat-staging", AWS_STAGING, tagged("platform", "staging", "staging"), 90),
)
# GiB by storage class, as CloudWatch calls the classes; and whether rules move or delete anything there.
BUCKET_CLASSES: dict[str, dict[str, int]] = {
    CLICKSTREAM_BUCKET: {"StandardStorage": 45_000},
    "lumen-warehouse": {"StandardStorage": 31_000, "StandardIAStorage": 2_000},
    "lumen-product-images": {"StandardStorage": 18_000},
    "lumen-access-logs": {"StandardStorage": 14_000},
}
UNFINISHED_UPLOADS = {"lumen-warehouse": 3}
EXPIRING = {"lumen-warehouse": ("stage/", 30)}
