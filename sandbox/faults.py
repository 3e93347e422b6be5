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
    EMPTY_PAGE = "empty_page"  # a page without items that names the same next page
    REPEATED_PAGE = "repeated_page"  # the next page is named as this one, again and again
    CLOCK_SKEW = "clock_skew"  # the clocks differ: the answer is dated `seconds` wrong, or AWS refuses the signature
    # Of the clouds that speak JSON over REST only:
    BROKEN_ANSWER = "broken_answer"  # the answer ends in the middle, the connection stays
    ABSENT = "absent"  # the API has no such call (404)


class UnknownFaultError(ValueError):
    """The request for a fault makes no sense; the text says why."""


@dataclass(slots=True)
class Fault:
    """One fault: which actions it hits ("*" and other shell patterns allowed), how often, how long silence lasts.

    `header` names the header in which a REST cloud that throttles tells for how many `seconds`; empty: it does not.
    With `dated` it tells the moment until which, as HTTP writes moments.
    """

    kind: FaultKind
    action: str = "*"
    times: int | None = None
    seconds: float = 5.0
    header: str = ""
    dated: bool = False
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


def fault_of(
    document: Mapping[str, object], *, rest: bool = False, kinds: frozenset[FaultKind] = frozenset(FaultKind)
) -> Fault:
    """Read {kind, action?, times?, seconds?}, of a REST cloud header? and dated? too; raises UnknownFaultError.

    `kinds` are those that the cloud knows.
    """
    known = {"kind", "action", "times", "seconds"} | ({"header", "dated"} if rest else set())
    if strange := set(document) - known:
        raise UnknownFaultError(f"Unknown fields {', '.join(sorted(strange))}; a fault has {', '.join(sorted(known))}.")
    try:
        kind = FaultKind(str(document.get("kind", "")))
    except ValueError:
        kind = None
    if kind not in kinds:
        raise UnknownFaultError(f"kind must be one of {', '.join(k.value for k in FaultKind if k in kinds)}.")
    times, seconds = document.get("times"), document.get("seconds", 5.0)
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
        raise UnknownFaultError("times must be a whole number from 1, or absent for ever.")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise UnknownFaultError("seconds must be a number from 0.")
    header, dated = str(document.get("header", "")), document.get("dated", False) is True
    return Fault(kind, str(document.get("action", "*")), times, float(seconds), header, dated)


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

    def hit(self, *names: str) -> Fault | None:
        """The fault that this call meets by one of its names, counted, or None."""
        with self._lock:
            for fault in self.faults:
                if not fault.spent and any(fnmatchcase(name, fault.action) for name in names):
                    fault.hits += 1
                    return fault
        return None

    def denies(self, action: str) -> bool:
        """Whether the permission is missing now; asking does not count as a hit."""
        with self._lock:
            return any(f.kind is FaultKind.DENY and not f.spent and fnmatchcase(action, f.action) for f in self.faults)

    def as_json(self) -> list[dict[str, object]]:
        with self._lock:
            return [fault.as_json() for fault in self.faults]
