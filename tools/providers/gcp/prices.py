"""Prices: what an hour of a machine type costs on demand and on spot, from Google's public Billing Catalog."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tools.model.money import EXACT
from tools.model.price import Price
from tools.providers.gcp.connection import PROVIDER, Connection, items
from tools.providers.gcp.describing import whole
from tools.providers.rest import Asking, Document

COMPUTE_ENGINE = "6F81-5844-456A"
CATALOG = Asking("reading the price list of Compute Engine")
_PURCHASES = {"OnDemand": "on_demand", "Preemptible": "spot"}
# "N2 Instance Core running in Belgium", "Spot Preemptible N2D AMD Instance Ram running in Finland": the family, and
# whether it prices a core or memory. Custom, sole-tenant, extended and committed SKUs have other words between.
_SKU = re.compile(r"(?:Spot Preemptible )?([A-Z]\d+[A-Z]?)(?: AMD| Arm| Predefined)? Instance (Core|Ram) running in .+")
_NANO = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine type: "n2-standard-4" with its cores and memory."""

    name: str
    cores: int
    gib: Decimal

    @property
    def family(self) -> str:
        return self.name.partition("-")[0].upper()


@dataclass(frozen=True, slots=True)
class Rate:
    """What one hour of a core or of a GiB costs."""

    amount: Decimal
    currency: str


Rates = dict[tuple[str, str, str, str], Rate]
FRESH = timedelta(hours=24)


@dataclass
class Catalog:
    """Google's price list of Compute Engine, read once a day: it is long, and the same for every project."""

    connection: Connection
    _rates: Rates = field(default_factory=dict, repr=False)
    _read_at: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def rates(self, now: datetime) -> Rates:
        with self._lock:
            if self._read_at is None or now - self._read_at >= FRESH:
                self._rates, self._read_at = rates(self.connection), now
            return self._rates


def machine(connection: Connection, project: str, zone: str, name: str) -> Machine:
    """Cores and memory of a machine type, as Google tells them."""
    asking = Asking(f"reading what a {name} is", "compute.machineTypes.get")
    told = connection.get("compute", f"compute/v1/projects/{project}/zones/{zone}/machineTypes/{name}", asking)
    return Machine(
        name, whole(told.get("guestCpus")), EXACT.divide(Decimal(whole(told.get("memoryMb"))), Decimal(1024))
    )


def rates(connection: Connection) -> Rates:
    """(region, family, purchase, "Core" or "Ram") -> its rate, for every region of the catalog."""
    found: Rates = {}
    for page in connection.pages("cloudbilling", f"v1/services/{COMPUTE_ENGINE}/skus", CATALOG, pageSize="5000"):
        for sku in items(page, "skus", CATALOG):
            category = sku.get("category", {})
            named = _SKU.fullmatch(str(sku.get("description", "")))
            purchase = _PURCHASES.get(str(category.get("usageType")))
            rate = unit_price(sku)
            if named is None or purchase is None or rate is None or category.get("resourceFamily") != "Compute":
                continue
            for region in sku.get("serviceRegions", []):
                found[str(region), named[1], purchase, named[2]] = rate
    return found


def unit_price(sku: Document) -> Rate | None:
    """The price of the first tier; None when the SKU has none or it is free to begin with."""
    for info in sku.get("pricingInfo", []):
        for tier in info.get("pricingExpression", {}).get("tieredRates", []):
            price = money(tier.get("unitPrice", {}))
            if price is not None and price.amount > 0:
                return price
    return None


def money(told: Document) -> Rate | None:
    """Google's Money: whole units as text and billionths, both signed; either may be absent."""
    if not told.get("currencyCode"):
        return None
    nanos = EXACT.multiply(Decimal(int(told.get("nanos", 0))), _NANO)
    return Rate(EXACT.add(Decimal(str(told.get("units", 0))), nanos), str(told["currencyCode"]))


def hourly(machine: Machine, region: str, purchase: str, known: Rates) -> Rate | None:
    """What an hour of a machine costs: its cores and its memory; None when the catalog does not tell both."""
    core = known.get((region, machine.family, purchase, "Core"))
    ram = known.get((region, machine.family, purchase, "Ram"))
    if core is None or ram is None or core.currency != ram.currency or not machine.cores:
        return None
    cores = EXACT.multiply(core.amount, Decimal(machine.cores))
    return Rate(EXACT.add(cores, EXACT.multiply(ram.amount, machine.gib)), core.currency)


def prices(machines: Iterable[tuple[str, Machine]], known: Rates, now: datetime) -> Sequence[Price]:
    """On-demand and spot price of each (region, machine) that the catalog prices whole."""
    found = []
    for region, kind in machines:
        for purchase in ("on_demand", "spot"):
            rate = hourly(kind, region, purchase, known)
            if rate is not None:
                source = f"Google Cloud price list: cores and memory of {kind.name} in {region}"
                found.append(
                    Price(
                        PROVIDER, region, kind.name, purchase, "hour", rate.amount, rate.amount, rate.amount,
                        rate.currency, now, source,
                    )
                )  # fmt: skip
    return found
