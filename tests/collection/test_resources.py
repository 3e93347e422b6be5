"""Collecting inventories: whole accounts or none, and nobody's failure hides anybody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.conftest import NOW, TENANT
from tools.collection.resources import collect
from tools.model.errors import DeniedError, ProviderError, ThrottledError
from tools.model.price import Price
from tools.model.resource import Resource
from tools.providers.base import Access
from tools.store import resources
from tools.store.database import Database

PRICE = Price(
    "Cloud", "r", "small", "spot", "hour", Decimal(1), Decimal(2), Decimal(3), "USD", NOW, "a week of history"
)


def thing(account: str, id_: str) -> Resource:
    return Resource("Cloud", account, "r", "volume", id_, id_, (), {}, "f", NOW)


def whole(account: str) -> Access:
    return Access("Cloud", account, f"role/{account}", True)


@dataclass
class Cloud:
    """A cloud whose accounts answer or fail as a test says."""

    accounts: dict[str, tuple[Resource, ...] | ProviderError]
    provider: str = "Cloud"
    accesses: tuple[Access, ...] | ProviderError | None = None
    asked: list[str] = field(default_factory=list)

    def check_access(self) -> tuple[Access, ...]:
        if isinstance(self.accesses, ProviderError):
            raise self.accesses
        return self.accesses or tuple(whole(account) for account in self.accounts)

    def resources(self, account_id: str) -> tuple[Resource, ...]:
        self.asked.append(account_id)
        found = self.accounts[account_id]
        if isinstance(found, ProviderError):
            raise found
        return found


@dataclass
class PricedCloud(Cloud):
    """A cloud that tells prices, or not."""

    told: tuple[Price, ...] | ProviderError = (PRICE,)

    def prices(self, resources: object) -> tuple[Price, ...]:
        if isinstance(self.told, ProviderError):
            raise self.told
        return self.told


Collect = Callable[..., tuple[Access, ...]]


@pytest.fixture
def run(database: Database) -> Collect:
    def run(*clouds: Cloud, days: int = 0, **more: object) -> tuple[Access, ...]:
        return collect(database, TENANT, clouds, now=lambda: NOW + timedelta(days=days), **more)  # type: ignore[arg-type]

    return run


def ids(database: Database) -> list[str]:
    with database.read() as tx:
        return [r.id for r in resources.all_of(tx, TENANT)]


def test_every_account_is_read_and_progress_is_told(run: Collect, database: Database) -> None:
    """Many accounts, side by side, in a fixed order."""
    told: list[tuple[str, int, int]] = []
    many = {f"a{n}": (thing(f"a{n}", f"v{n}"),) for n in range(9)}
    found = run(Cloud(many), progress=lambda *step: told.append(step))
    assert [a.account_id for a in found] == sorted(many)
    assert all(a.ok for a in found)
    assert told[-1] == ("Cloud a8", 9, 9)
    assert len(ids(database)) == 9


def test_one_account_that_fails_hides_no_other_and_keeps_its_last_inventory(run: Collect, database: Database) -> None:
    """Partial is told as partial; yesterday's inventory of the failed one stays."""
    run(Cloud({"a": (thing("a", "old"),), "b": (thing("b", "kept"),)}))
    refused = DeniedError("The cloud forbids it.", permission="volumes:list")
    first, second = run(Cloud({"a": (thing("a", "new"),), "b": refused}), days=1)
    assert first.ok
    assert (second.ok, second.problem, second.missing) == (False, "The cloud forbids it.", ("volumes:list",))
    assert ids(database) == ["new", "kept"]
    with database.read() as tx:
        looks = resources.last_looks(tx, TENANT)
    assert [(look.ok, look.complete_at) for look in looks] == [(True, NOW + timedelta(days=1)), (False, NOW)]


def test_an_account_that_does_not_know_us_is_not_even_asked(run: Collect) -> None:
    """No identity, no calls."""
    stranger = Access("Cloud", "b", "", False, "The credentials expired.")
    cloud = Cloud({"a": (), "b": ()}, accesses=(whole("a"), stranger))
    assert run(cloud)[1] == stranger
    assert cloud.asked == ["a"]


def test_a_cloud_that_cannot_be_reached_at_all_hides_no_other_cloud(run: Collect, database: Database) -> None:
    """It is named, and the next cloud is read."""
    broken = Cloud({}, provider="Broken", accesses=ThrottledError("Too many calls."))
    told = run(broken, Cloud({"a": (thing("a", "v"),)}))
    assert [(a.provider, a.ok, a.problem) for a in told] == [
        ("Broken", False, "Too many calls."),
        ("Cloud", True, ""),
    ]
    assert ids(database) == ["v"]


def test_prices_are_kept_and_their_absence_hides_no_resource(run: Collect, database: Database) -> None:
    """Savings fall back to the bill; the missing permission is told."""
    run(PricedCloud({"a": (thing("a", "v"),)}))
    with database.read() as tx:
        assert resources.all_prices(tx, TENANT) == (PRICE,)
    refused = DeniedError("The cloud forbids prices.", permission="prices:list")
    (access,) = run(PricedCloud({"a": (thing("a", "v"), thing("a", "w"))}, told=refused))
    assert (access.ok, access.missing) == (False, ("prices:list",))
    assert ids(database) == ["v", "w"]


def test_only_the_asked_provider(run: Collect) -> None:
    """Names are compared without case."""
    one, other = Cloud({"a": ()}), Cloud({"x": ()}, provider="Other")
    assert [a.provider for a in run(one, other, provider="OTHER")] == ["Cloud"]
    assert one.asked == []
