"""Changing: what every executable change is made of - look before acting, refuse drift, act once, and back the same way."""

from __future__ import annotations

import hashlib
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tools.model.errors import DeniedError, DriftError, InputError, ProtectedError, UnderWayError
from tools.model.resource import Resource
from tools.model.rollout import Plan, Stage, whole_units
from tools.providers.base import ChangePlan, Observation

# Whoever tags a resource so wants it left alone.
EXCLUDE = "optiinfra:exclude"
# What changes write on resources themselves; no part of what a resource is.
OURS = "optiinfra"
# What owners tell us on a resource is theirs all the same.
_TOLD_US = frozenset(f"{OURS}{mark}{word}" for mark in ":-_" for word in ("managed", "exclude"))
_NO = {"", "false", "no", "0", "off"}
Basis = Mapping[str, object]
Setting = dict[str, object]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a change sees of its resource now. `basis` is what drift is told by: nothing that the change sets itself."""

    setting: Setting
    basis: Basis
    changed: int
    total: int = 1
    settled: bool = True
    counts: Mapping[str, int] = field(default_factory=dict)


class Acting(ABC):
    """A Change whose effects look first: what stands already is not done again, and what drifted is not touched.

    A change of several steps does the one that is due and raises UnderWayError until the last one is sent.
    `needs` are the permissions of its effects, forward and back, `reads` those of its looks (deploy/ lists both for the
    executor); `argument` is what follows its name, "gp3".
    """

    __slots__ = ()
    name: str
    needs: tuple[str, ...]
    reads: tuple[str, ...] = ()
    now: Callable[[], datetime]
    argument: str = ""

    @abstractmethod
    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        """Stages by whole units, the state before and how to undo; raises InputError with the reason."""

    @abstractmethod
    def look(self, plan: Plan) -> Sighting:
        """See the resource now; raises a ProviderError when it cannot be seen."""

    @abstractmethod
    def check(self, plan: Plan, desired: Setting) -> None:
        """What must hold before a forward effect - protection, quota, capacity, permissions - or a ProviderError."""

    @abstractmethod
    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        """Do the next step towards `desired`, or raise UnderWayError when it has to wait."""

    @abstractmethod
    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        """Do the next step towards `plan.before`, from wherever a forward effect stopped."""

    def done(self, seen: Sighting, desired: Setting) -> bool:
        """Whether nothing is left to be sent."""
        return same(seen.setting, desired)

    def observe(self, plan: Plan) -> Observation:
        """Look at the cloud now and count."""
        seen = self.look(plan)
        counts = dict(seen.counts) or {"changed": seen.changed, "unchanged": seen.total - seen.changed}
        return Observation(
            self.now(), seen.setting, counts, seen.changed, seen.total, seen.settled, fingerprint(seen.basis)
        )

    def apply(self, plan: Plan, desired: Setting, token: str) -> None:
        """Set the desired state; doing it twice is doing it once, and a half-done one is finished.

        Raises DriftError when the resource is not the approved one any more; a way back is never refused.
        """
        seen = self.look(plan)
        if same(desired, plan.before):
            self.back(plan, token, seen)
            return
        if self.done(seen, desired):
            return
        if fingerprint(seen.basis) != plan.fingerprint:
            raise DriftError(
                f"{plan.resource_id} is not what was approved any more.",
                fix="Abort this rollout, collect again and propose it anew.",
            )
        self.check(plan, desired)
        self.forward(plan, desired, token, seen)


def planned(
    before: Setting, stages: Iterable[Stage], basis: Basis, undo: str, unit: str, *, repeatable: bool = True
) -> ChangePlan:
    """A plan whose units are those of its last stage."""
    steps = tuple(stages)
    return ChangePlan(unit, steps[-1].units, steps, before, fingerprint(basis), undo, repeatable)


def in_one_step(desired: Setting) -> tuple[Stage, ...]:
    """One unit is one atomic step; a percentage of it would be a pretence."""
    return (Stage(0, 100, 1, desired),)


def in_steps(units: int, percents: tuple[int, ...], desired: Callable[[int], Setting]) -> tuple[Stage, ...]:
    """Whole units, each step larger than the one before; `desired` tells the setting for so many changed units."""
    return tuple(
        Stage(index, percent, count, desired(count))
        for index, (percent, count) in enumerate(whole_units(units, percents))
    )


def refuse_plan(resource: Resource, obstacles: Iterable[str], doing: str) -> None:
    """Raise InputError with the first obstacle, a clause such as "something uses it"."""
    if first := next(iter((*kept(resource.tags), *obstacles)), ""):
        raise InputError(f"{resource.name} cannot be {doing}: {first}.", fix="Leave it, or remove the obstacle first.")


def kept(tags: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The obstacle that a tag is, if there is one."""
    # Clouds whose tags are single words or know no colon write it their way.
    known = dict(tags)
    said = (
        known.get(EXCLUDE) or known.get(EXCLUDE.replace(":", "-")) or ("true" if known.get(OURS) == "exclude" else "")
    )
    return (f"its tag {EXCLUDE} says to leave it alone",) if said.strip().lower() not in _NO else ()


def protected(what: str, by: str) -> ProtectedError:
    """Somebody protected it; taking the protection away is not ours."""
    return ProtectedError(f"{what} is protected: {by}.", fix="Whoever protected it can take that away; then retry.")


def waits(what: str) -> UnderWayError:
    """The next step of a change has to wait: `what` is a full sentence."""
    return UnderWayError(what)


def lacking(provider: str, permission: str, where: str) -> DeniedError:
    """The executor lacks a permission that the change or its way back needs."""
    return DeniedError(
        f"{provider} would not allow {permission} in {where}.",
        permission=permission,
        fix=f"Grant {permission} to the executor's identity.",
    )


def argument_of(name: str, argument: str, example: str) -> str:
    """The argument of a change, or InputError when there is none."""
    if not argument:
        raise InputError(f"{name} needs to know what to change to.", fix=f"Name it as {name}:{example}.")
    return argument


def rule_of(argument: str, classes: tuple[str, ...]) -> tuple[str, int]:
    """CLASS@DAYS as both; raises InputError for anything else."""
    storage_class, _, days = argument.partition("@")
    if storage_class not in classes or not days.isdigit():
        raise InputError(
            f"{argument} is no lifecycle rule.", fix=f"Write it as CLASS@DAYS with one of {', '.join(classes)}."
        )
    return storage_class, int(days)


def fingerprint(basis: Basis) -> str:
    """The hash by which drift is told."""
    return hashlib.sha256(json.dumps(basis, sort_keys=True, default=str).encode()).hexdigest()


def own_tags(tags: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, str]:
    """The owner's tags: without what a cloud or a change of ours wrote there."""
    pairs = sorted(tags.items() if isinstance(tags, Mapping) else tags)
    return {k: v for k, v in pairs if k.lower() in _TOLD_US or not k.lower().startswith((OURS, "aws:"))}


def step_token(token: str, step: str) -> str:
    """The token of one call among several of an effect, the same for every retry of it."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{token}/{step}"))


def same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Equal as JSON."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def text(resource: Resource, attribute: str) -> str:
    """A text attribute, "" when inventory has none."""
    value = resource.attributes.get(attribute)
    return value if isinstance(value, str) else ""


def number(resource: Resource, attribute: str) -> int:
    """A whole-number attribute; raises InputError when inventory does not know it."""
    value = resource.attributes.get(attribute)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"Inventory does not know {attribute} of {resource.name}.", fix="Collect again.")
    return value


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
