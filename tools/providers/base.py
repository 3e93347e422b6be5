"""Ports: what a cloud, a metrics source and a bill must be able to do; each implementation is a room of a flat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

from tools.model.invoice import Invoice
from tools.model.period import Period
from tools.model.price import Price
from tools.model.resource import Resource
from tools.model.rollout import Plan, Stage


@dataclass(frozen=True, slots=True)
class Access:
    """Whether one account can be read. `missing` names the permissions it lacks; `problem` is a sentence or empty."""

    provider: str
    account_id: str
    identity: str
    ok: bool
    problem: str = ""
    missing: tuple[str, ...] = ()


class Inventory(Protocol):
    """The things that exist in one cloud's accounts."""

    @property
    def provider(self) -> str:
        """The provider's name as in the bill: "AWS"."""
        ...

    def check_access(self) -> tuple[Access, ...]:
        """One Access per configured account; a refused account is told here, never raised."""
        ...

    def resources(self, account_id: str) -> Iterable[Resource]:
        """Every resource of an account, all pages. Raises a ProviderError rather than give part of them."""
        ...


class Billing(Protocol):
    """What a cloud's own billing API charges: for who has no FOCUS export, or a cloud that offers none."""

    @property
    def provider(self) -> str:
        """The provider's name as in the bill: "Vultr"."""
        ...

    def check_access(self) -> tuple[Access, ...]:
        """One Access per billing account (`account_id` as in the bill); a refused one is told here, never raised."""
        ...

    def charges(self, account_id: str, period: Period) -> Iterable[Mapping[str, str]]:
        """All charges of one billing period (a calendar month) as FOCUS rows: column name -> exact text.

        Days that have not come yet are not told. Raises a ProviderError rather than give part of them.
        """
        ...


@runtime_checkable
class Restating(Protocol):
    """A Billing that can tell, without reading them, which earlier months it would tell differently now."""

    def restated(self, account_id: str, known: Mapping[date, tuple[Decimal, Decimal]]) -> frozenset[date]:
        """Of the months in `known` (first day -> billed and effective total), those whose totals are others now."""
        ...


class PaidRequests(Protocol):
    """What all processes remember together of requests that cost money: how many were made, and their answers."""

    def take(self, provider: str, account_id: str, day: date, most: int) -> int | None:
        """Count one more request and give the day's number with it; None, with nothing counted, when it would be
        above `most`.
        """
        ...

    def recall(self, provider: str, account_id: str, key: str, now: datetime) -> str | None:
        """The answer kept under `key`, while it holds."""
        ...

    def keep(self, provider: str, account_id: str, key: str, answer: str, until: datetime) -> None:
        """Keep an answer until it is too old."""
        ...

    def forget(self, provider: str, account_id: str) -> None:
        """Drop the answers of one account; what was counted stays counted."""
        ...


@dataclass(frozen=True, slots=True)
class Unread:
    """Kinds of resources that could not be read in one account: why, and the permission that is missing if one is."""

    kinds: tuple[str, ...]
    problem: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """An inventory by parts: every kind but the `unread` ones is whole."""

    resources: tuple[Resource, ...]
    unread: tuple[Unread, ...] = ()

    @property
    def unread_kinds(self) -> frozenset[str]:
        return frozenset(kind for part in self.unread for kind in part.kinds)


@runtime_checkable
class PartialInventory(Protocol):
    """An Inventory in which a service that refuses costs only the kinds of resources that it lists."""

    def look(self, account_id: str) -> Seen:
        """What can be read, all pages of it, and what cannot. Raises a ProviderError when nothing can."""
        ...


@runtime_checkable
class Invoicing(Protocol):
    """A Billing that can also tell the invoices behind its charges."""

    def invoices(self, account_id: str, period: Period) -> tuple[Invoice, ...]:
        """The invoices of one billing period; none while it is open. Raises a ProviderError like `charges`."""
        ...


@runtime_checkable
class PriceSource(Protocol):
    """An inventory that can also tell prices."""

    def prices(self, resources: Iterable[Resource]) -> tuple[Price, ...]:
        """Prices that savings on these resources need; a price that is not told is absent, never guessed."""
        ...


@dataclass(frozen=True, slots=True)
class Observation:
    """What the cloud shows at one moment of a resource that a rollout changes.

    `setting` is the present setting in the shape of `Stage.desired`. `counts` are counted units by kind, for
    people. `changed` of `total` units are in the new form, counted one by one, never derived from the setting.
    `settled` says that nothing is on its way. `fingerprint` covers what a rollout does not set itself.
    """

    at: datetime
    setting: dict[str, object]
    counts: dict[str, int]
    changed: int
    total: int
    settled: bool
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """What planning a change of one resource gives: stages by whole units, the state before, and how to undo."""

    unit_name: str
    units: int
    stages: tuple[Stage, ...]
    before: dict[str, object]
    fingerprint: str
    undo: str
    repeatable: bool = True


class Change(Protocol):
    """One kind of executable change, "aws.asg_spot". Settings are absolute, so setting one twice is setting it once."""

    @property
    def name(self) -> str: ...

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        """Plan from what inventory saw; pure. Raises InputError when the resource does not allow this change."""
        ...

    def observe(self, plan: Plan) -> Observation:
        """Look at the cloud now. Raises a ProviderError when it cannot be seen."""
        ...

    def check(self, plan: Plan, desired: dict[str, object]) -> None:
        """Ask, changing nothing, whether the desired state could be set: protection, quota, capacity, permissions.

        Raises what forbids it as a ProviderError or InputError; UnderWayError, ThrottledError and TransientError
        mean that it can be asked again.
        """
        ...

    def apply(self, plan: Plan, desired: dict[str, object], token: str) -> None:
        """Set the desired state (a stage's, or `plan.before` to roll back). `token` is the same for every retry."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """Requests of one group of a service in the window, and how many of them failed."""

    group: str
    requests: Decimal
    errors: Decimal


@dataclass(frozen=True, slots=True)
class HealthReading:
    """What a metrics source knows of a service. No samples means that nothing is known, never that all is well."""

    at: datetime
    window_seconds: int
    samples: tuple[Sample, ...] = field(default=())


class HealthSource(Protocol):
    """Tells how a service does, split by "spot" and "on_demand" where the service says so."""

    def read(self, service: str, window_seconds: int, now: datetime) -> HealthReading:
        """The last `window_seconds` before `now`. Raises a ProviderError when the source does not answer."""
        ...

    def check(self) -> str:
        """Who answers, in words, for `doctor`. Raises a ProviderError when nobody does."""
        ...
