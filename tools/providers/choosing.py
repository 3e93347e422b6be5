"""Choosing: which metrics source tells the health of which service - one of its own, or the one for all others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from tools.model.errors import ProviderError, SettingsError
from tools.providers.base import HealthReading, HealthSource
from tools.settings import SERVICE_VARIABLES

Where = TypeVar("Where")


@dataclass(frozen=True, slots=True)
class ChosenHealth:
    """A HealthSource that asks the source of each service; `other` tells of all that have none of their own."""

    own: Mapping[str, HealthSource]
    other: HealthSource | None = None

    def read(self, service: str, window_seconds: int, now: datetime) -> HealthReading:
        """What the service's own source tells; raises a ProviderError where there is none at all."""
        source = self.own.get(service, self.other)
        if source is None:
            raise ProviderError(
                f"No metrics source is named for the service {service or '(none)'}.",
                fix=f"Name one: {SERVICE_VARIABLES}, or OPTIINFRA_PROMETHEUS_URL for all others.",
            )
        return source.read(service, window_seconds, now)

    def check(self) -> str:
        """Who answers; raises a ProviderError when one of them does not."""
        sources = list({id(source): source for source in (*self.own.values(), self.other) if source}.values())
        return "; ".join(source.check() for source in sources)


def named(pairs: Iterable[str], setting: str, where: Callable[[str], Where]) -> dict[str, Where]:
    """Service -> where its requests are counted, from SERVICE=PLACE; raises SettingsError as `where` does."""
    found: dict[str, Where] = {}
    for pair in pairs:
        service, _, place = (part.strip() for part in pair.partition("="))
        if service in found or not service:
            raise SettingsError(f"{setting} names the service {service or '(none)'} twice or not at all.")
        found[service] = where(place)
    return found


def of_service(places: Mapping[str, Where], service: str, setting: str) -> Where:
    """Where the service's requests are counted; raises ProviderError when nobody named it."""
    if service not in places:
        raise ProviderError(
            f"No load balancer is named for the service {service or '(none)'}.",
            fix=f"Add it to {setting} as SERVICE=BALANCER.",
        )
    return places[service]


def one_each(sources: Iterable[tuple[str, Mapping[str, object], HealthSource]]) -> dict[str, HealthSource]:
    """Service -> its source, from (setting, its services, the source); raises SettingsError when two tell of one."""
    found: dict[str, HealthSource] = {}
    for setting, services, source in sources:
        if both := sorted(found.keys() & services.keys()):
            raise SettingsError(
                f"{setting} names {', '.join(both)}, whose health another source tells already.",
                fix="Name each service in one of the settings only.",
            )
        found |= dict.fromkeys(services, source)
    return found
