"""Requests that the organisation's services answer, and how many fail: counters that can be told what happens."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sandbox.organisation import FLEETS

LIFECYCLES = ("on_demand", "spot")
# Services that run at Google Cloud and Azure, and their machines; only load balancers there tell of them.
ELSEWHERE = {"recommendations": 3, "loyalty": 6}
PER_INSTANCE = 30.0
ORDINARY_ERROR_RATE = 0.004
# Traffic swings a little, so that two windows are never quite alike.
_SWING, _PERIOD = 0.04, 47.0


class UnknownServiceError(ValueError):
    """Nobody here runs that service; the text says which there are."""


@dataclass(frozen=True, slots=True)
class Segment:
    """From `start` on: requests per second and share of failures of each lifecycle; dark: nobody measures."""

    start: float
    rates: tuple[tuple[str, float], ...]
    error_rates: tuple[tuple[str, float], ...]
    dark: bool = False


@dataclass
class Service:
    """One service: its traffic, how it is split, and what happened when."""

    name: str
    requests_per_second: float
    counts: dict[str, int]
    error_rates: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LIFECYCLES, ORDINARY_ERROR_RATE))
    dark: bool = False
    history: list[Segment] = field(default_factory=list)

    def now_on(self, moment: float) -> None:
        """Write down what holds from `moment` on."""
        segment = replace(self._segment(), start=moment)
        if not self.history:
            self.history.append(replace(segment, start=-math.inf))
        elif replace(self.history[-1], start=moment) != segment:
            self.history.append(segment)

    def _segment(self) -> Segment:
        total = sum(self.counts.values())
        shares = {name: self.counts.get(name, 0) / total if total else 0.0 for name in LIFECYCLES}
        rates = tuple((name, self.requests_per_second * shares[name]) for name in LIFECYCLES)
        return Segment(0.0, rates, tuple(sorted(self.error_rates.items())), self.dark)

    def requests(self, lifecycle: str, failed: bool, moment: float) -> float:
        """The counter of (failed or successful) requests at a moment, from an arbitrary zero."""
        total = 0.0
        for index, segment in enumerate(self.history):
            end = self.history[index + 1].start if index + 1 < len(self.history) else math.inf
            rate = dict(segment.rates)[lifecycle] * _part(dict(segment.error_rates)[lifecycle], failed)
            if segment.dark or not rate:
                continue
            start = max(segment.start, 0.0)
            total += rate * (_elapsed(min(moment, end)) - _elapsed(start)) if moment > start else 0.0
        return total

    def exists(self, lifecycle: str, failed: bool) -> bool:
        """Whether such a request was ever counted."""
        return any(
            dict(segment.rates)[lifecycle] * _part(dict(segment.error_rates)[lifecycle], failed) > 0
            and not segment.dark
            for segment in self.history
        )


def _part(error_rate: float, failed: bool) -> float:
    return error_rate if failed else 1 - error_rate


def _elapsed(moment: float) -> float:
    """Seconds of ordinary traffic up to a moment: the integral of 1 + swing * sin."""
    turn = 2 * math.pi / _PERIOD
    return moment - _SWING / turn * math.cos(turn * moment)


@dataclass
class Traffic:
    """All services. `clock` gives seconds since 1970."""

    clock: Callable[[], float]
    services: dict[str, Service] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> Traffic:
        """The organisation's services, on demand, well; whatever happened before is forgotten."""
        with self.lock:
            self._start()
        return self

    def _start(self) -> None:
        self.services.clear()
        for name, size in ({fleet.service: fleet.size for fleet in FLEETS} | ELSEWHERE).items():
            service = Service(name, PER_INSTANCE * size, {"on_demand": size, "spot": 0})
            service.now_on(self.clock())
            self.services[name] = service

    def counted(self, service: str, on_demand: int, spot: int) -> None:
        """So many instances serve now; traffic splits evenly among them."""
        with self.lock:
            found = self.services.get(service)
            if found is not None:
                found.counts = {"on_demand": on_demand, "spot": spot}
                found.now_on(self.clock())

    def happens(
        self,
        service: str,
        *,
        lifecycle: str = "",
        error_rate: float | None = None,
        requests_per_second: float | None = None,
        dark: bool | None = None,
    ) -> Service:
        """From now on: another share of failures (of one lifecycle or both), other traffic, or no measuring."""
        with self.lock:
            if service not in self.services:
                known = ", ".join(sorted(self.services))
                raise UnknownServiceError(f"There is no service {service}; there are {known}.")
            found = self.services[service]
            if error_rate is not None:
                found.error_rates |= dict.fromkeys([lifecycle] if lifecycle else LIFECYCLES, error_rate)
            if requests_per_second is not None:
                found.requests_per_second = requests_per_second
            if dark is not None:
                found.dark = dark
            found.now_on(self.clock())
            return found

    def series(self) -> list[tuple[dict[str, str], Callable[[float], float]]]:
        """All counters: labels and value over time. What is dark now is not there."""
        with self.lock:
            return [
                (
                    {"service": s.name, "lifecycle": lifecycle, "code": "503" if failed else "200"},
                    _counter(s, lifecycle, failed),
                )
                for s in self.services.values()
                if not s.dark
                for lifecycle in LIFECYCLES
                for failed in (False, True)
                if s.exists(lifecycle, failed)
            ]


def _counter(service: Service, lifecycle: str, failed: bool) -> Callable[[float], float]:
    return lambda moment: service.requests(lifecycle, failed, moment)
