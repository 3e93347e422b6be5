"""Faults on request: what a cloud shall answer instead, or after, doing what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from threading import Lock


class FaultKind(StrEnum):
    """What goes wrong."""

    THROTTLE = "throttle"  # refused: too many requests; nothing was done
    ERROR = "error"  # an internal error; nothing was done
    DENY = "deny"  # a permission is missing; nothing was done
    EXPIRED = "expired"  # the credentials are too old; nothing was done
    TIMEOUT = "timeout"  # no answer; nothing was done
    TIMEOUT_AFTER_SUCCESS = "timeout_after_success"  # done, but the answer never arrives
    CUT = "cut"  # the connection breaks at once; nothing was done
    # Of the clouds that speak JSON over REST only:
    BROKEN_ANSWER = "broken_answer"  # the answer ends in the middle, the connection stays
    EMPTY_PAGE = "empty_page"  # a page without items that names the same next page
    REPEATED_PAGE = "repeated_page"  # the next page is named as this one, again and again
    CLOCK_SKEW = "clock_skew"  # the answer is dated `seconds` wrong
    ABSENT = "absent"  # the API has no such call (404)


REST_ONLY = frozenset(
    {
        FaultKind.BROKEN_ANSWER,
        FaultKind.EMPTY_PAGE,
        FaultKind.REPEATED_PAGE,
        FaultKind.CLOCK_SKEW,
        FaultKind.ABSENT,
    }
)


class UnknownFaultError(ValueError):
    """The request for a fault makes no sense; the text says why."""


@dataclass(slots=True)
class Fault:
    """One fault: which actions it hits ("*" and other shell patterns allowed), how often, how long silence lasts.

    `header` names the header in which a REST cloud that throttles tells for how many `seconds`; empty: it does not.
    """

    kind: FaultKind
    action: str = "*"
    times: int | None = None
    seconds: float = 5.0
    header: str = ""
    hits: int = 0

    @property
    def spent(self) -> bool:
        return self.times is not None and self.hits >= self.times

    def as_json(self) -> dict[str, object]:
        return {
            "kind": self.kind.value,
            "action": self.action,
            "times": self.times,
            "seconds": self.seconds,
            "hits": self.hits,
        }


def fault_of(document: Mapping[str, object], *, rest: bool = False) -> Fault:
    """Read {kind, action?, times?, seconds?}, of a REST cloud header? too; raises UnknownFaultError."""
    known = {"kind", "action", "times", "seconds"} | ({"header"} if rest else set())
    kinds = [kind for kind in FaultKind if rest or kind not in REST_ONLY]
    if strange := set(document) - known:
        raise UnknownFaultError(f"Unknown fields {', '.join(sorted(strange))}; a fault has {', '.join(sorted(known))}.")
    try:
        kind = FaultKind(str(document.get("kind", "")))
    except ValueError:
        kind = None
    if kind not in kinds:
        raise UnknownFaultError(f"kind must be one of {', '.join(k.value for k in kinds)}.")
    times, seconds = document.get("times"), document.get("seconds", 5.0)
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
        raise UnknownFaultError("times must be a whole number from 1, or absent for ever.")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise UnknownFaultError("seconds must be a number from 0.")
    header = str(document.get("header", ""))
    return Fault(kind, str(document.get("action", "*")), times, float(seconds), header)


@dataclass
class Faults:
    """The faults that are set; the first one that matches an action and is not spent hits it."""

    faults: list[Fault] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self.faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self.faults.clear()

    def hit(self, action: str) -> Fault | None:
        """The fault that this call of `action` meets, counted, or None."""
        with self._lock:
            for fault in self.faults:
                if not fault.spent and fnmatchcase(action, fault.action):
                    fault.hits += 1
                    return fault
        return None

    def as_json(self) -> list[dict[str, object]]:
        with self._lock:
            return [fault.as_json() for fault in self.faults]
