"""Flats: what the conformance suite must know of a cloud to walk through its rooms - one file per cloud, all of them found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sandbox.clouds.bills import Bills
from tools.model.period import Period
from tools.providers import registry
from tools.providers.base import Billing, Inventory
from tools.providers.rest import Rest
from tools.settings import Settings

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))
NOVEMBER = Period(date(2026, 11, 1), date(2026, 12, 1))
Totals = tuple[Decimal, Decimal]


@dataclass
class World:
    """One cloud of the sandbox, and how the product is told where it is."""

    settings: Settings
    fail: Callable[[dict[str, object]], None]
    heal: Callable[[], None]
    calls: Callable[[], Mapping[str, int]]
    # What the sandbox charges in a month, billed and effective: told by its own books, not over the wire.
    owed: Callable[[Period], Totals]
    waits: list[float] = field(default_factory=list)

    def fails(self, kind: str, action: str, times: int | None = None, **more: object) -> None:
        """From now on, what `action` matches goes wrong."""
        self.fail({"kind": kind, "action": action, "times": times, **more})

    def inventory(self, patience: float = 5.0, **more: Any) -> Inventory:
        """The product's own, which notes its waits instead of waiting."""
        (found,) = registry.inventories(self._settings(more), now=lambda: NOW)
        self._hasten(found, patience)
        return found

    def billing(self, patience: float = 5.0, **more: Any) -> Billing:
        """The same for bills; requests that cost money are counted anew."""
        (found,) = registry.billings(self._settings(more), now=lambda: NOW, paid=Purse())
        self._hasten(found, patience)
        return found

    def _settings(self, more: Mapping[str, Any]) -> Settings:
        return self.settings.model_copy(update=dict(more)) if more else self.settings

    def _hasten(self, room: object, patience: float) -> None:
        for door in doors(room):
            door.sleep, door.read_seconds = self.waits.append, patience
            door.pace.sleep = lambda _: None


@dataclass(frozen=True)
class Flat:
    """One cloud. Questions are named as the sandbox's faults name them; patterns are allowed.

    `listing` is a list of several pages of the account `troubled`, `costs` the question about a month's costs of
    the billing account `payer`, `refused` stands for every question about the last of `accounts`.
    """

    name: str
    provider: str
    accounts: tuple[str, ...]
    payer: str
    secret: str
    listing: str
    costs: str
    refused: str
    # Each can be taken away alone, and is then named.
    permissions: tuple[str, ...]
    # The ways in which the cloud says that it is asked too often: what a fault needs to say so.
    throttles: tuple[Mapping[str, object], ...]
    start: Callable[[pytest.FixtureRequest], World]
    # A kind of which the first account has more than one page, with how many there are.
    many: tuple[str, int]
    # Other questions that are throttled in words of their own.
    throttled: tuple[str, ...] = ()
    # The question whose answer's date is wrong, or that is refused for it.
    clock: str = "*"
    # Seconds within which it answers in any case, however busy the machine.
    patience: float = 0.5
    # Settings by which only a small account is looked at while things go wrong, and that account.
    only: Mapping[str, object] = field(default_factory=dict)
    small: str = ""

    @property
    def troubled(self) -> str:
        """The account that is looked at while things go wrong."""
        return self.small or self.accounts[0]


@dataclass
class Purse:
    """Counts requests that cost money, and remembers their answers, for one test."""

    made: int = 0
    answers: dict[str, str] = field(default_factory=dict)

    def take(self, provider: str, account_id: str, day: date, most: int) -> int | None:
        self.made += 1
        return self.made if self.made <= most else None

    def recall(self, provider: str, account_id: str, key: str, now: datetime) -> str | None:
        return self.answers.get(key)

    def keep(self, provider: str, account_id: str, key: str, answer: str, until: datetime) -> None:
        self.answers[key] = answer

    def forget(self, provider: str, account_id: str) -> None:
        self.answers.clear()


def doors(thing: object) -> Iterator[Rest]:
    """Every REST door that a room has, wherever it keeps it."""
    if isinstance(thing, Rest):
        yield thing
    elif isinstance(thing, Mapping):
        for value in thing.values():
            yield from doors(value)
    elif is_dataclass(thing):
        for one in fields(thing):
            yield from doors(getattr(thing, one.name))


def sums(rows: Iterable[Mapping[str, str]]) -> Totals:
    """Billed and effective cost of FOCUS rows."""
    billed = effective = Decimal(0)
    for row in rows:
        billed += Decimal(row["BilledCost"])
        effective += Decimal(row["EffectiveCost"])
    return billed, effective


def owed(bills: Callable[[], Bills]) -> Callable[[Period], Totals]:
    """What the story's books say of a month."""

    def of(period: Period) -> Totals:
        mine = [charge for charge in bills().charges() if charge.month == period.start]
        return sum((c.billed for c in mine), Decimal(0)), sum((c.effective for c in mine), Decimal(0))

    return of


def rest_world(cloud: Any, settings: Settings, bills: Callable[[], Bills]) -> World:
    """The world of a cloud that speaks JSON over REST in this process."""
    from sandbox.faults import fault_of

    return World(
        settings,
        lambda fault: cloud.faults.add(fault_of(fault, rest=True)),
        cloud.faults.clear,
        lambda: cloud.calls,
        owed(bills),
    )


def every_flat() -> tuple[Flat, ...]:
    """The FLAT of each module of this package."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}").FLAT for name in names)
