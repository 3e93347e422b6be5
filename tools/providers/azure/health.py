"""Health: requests and failures of a service as its application gateway answers them, asked of Azure Monitor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tools.model.errors import SettingsError
from tools.providers.azure.connection import Connection
from tools.providers.azure.metrics import READ, VERSION
from tools.providers.base import HealthReading, Sample
from tools.providers.choosing import named, of_service
from tools.providers.rest import Asking, Document, not_as_described
from tools.settings import Settings

SETTING = "OPTIINFRA_AZURE_MONITOR_SERVICES"
# What the gateway answered, whether a server behind it failed or none could be reached; by class, "5xx".
METRIC, CLASS, FAILED = "ResponseStatus", "httpstatusgroup", "5xx"
PERIOD_SECONDS = 60
GROUP = "all"
_GATEWAY = re.compile(
    r"/subscriptions/[0-9a-z-]{1,64}/resourceGroups/[\w().-]{1,90}"
    r"/providers/Microsoft\.Network/applicationGateways/[\w.-]{1,80}",
    re.IGNORECASE,
)


def gateway(text: str) -> str:
    """The resource id of an application gateway; raises SettingsError for anything else."""
    if not _GATEWAY.fullmatch(text):
        raise SettingsError(
            f"{text or 'Nothing'} is not the resource id of an application gateway.",
            fix=f"Write {SETTING} as SERVICE=/subscriptions/.../applicationGateways/NAME, separated by commas.",
        )
    return text


@dataclass(frozen=True, slots=True)
class AzureMonitorHealth:
    """The HealthSource of services behind application gateways; a gateway does not tell spot from on-demand."""

    connection: Connection
    balancers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> AzureMonitorHealth:
        """The services and their gateways as the settings name them; raises SettingsError."""
        from tools.providers.azure import flat

        return cls(flat.connected(settings), named(settings.azure_monitor_services, SETTING, gateway))

    def read(self, service: str, window_seconds: int, now: datetime) -> HealthReading:
        """Requests and failures in the whole minutes of the window before `now`, as far as Monitor shows them.

        A class of answers that there were none of has no series. No requests are no sample.
        """
        told = self._counts(of_service(self.balancers, service, SETTING), window_seconds, now, service)
        requests = sum(told.values(), Decimal(0))
        samples = (Sample(GROUP, requests, told.get(FAILED, Decimal(0))),) if requests else ()
        return HealthReading(now, window_seconds, samples)

    def check(self) -> str:
        """Which gateways' metrics may be read."""
        for service, resource in self.balancers.items():
            self._counts(resource, PERIOD_SECONDS, datetime.now(UTC), service)
        return f"Azure Monitor for {', '.join(sorted(self.balancers))}"

    def _counts(self, resource: str, seconds: int, now: datetime, service: str) -> dict[str, Decimal]:
        """Class of answers -> how many."""
        asking = Asking(f"reading how {service} does", READ)
        end = now.astimezone(UTC).replace(second=0, microsecond=0)
        start = end - timedelta(minutes=max(1, -(-seconds // PERIOD_SECONDS)))
        told = self.connection.rest.get(
            f"{resource}/providers/Microsoft.Insights/metrics",
            asking,
            **{
                "api-version": VERSION,
                "metricnames": METRIC,
                "timespan": f"{start:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}",
                "interval": "PT1M",
                "aggregation": "Total",
                "$filter": "HttpStatusGroup eq '*'",
            },
        )
        found: dict[str, Decimal] = {}
        for series in _series(told, asking):
            name = _class(series)
            if not name:
                # Without its class an answer may be a failure or not.
                raise not_as_described("Azure", asking.doing)
            found[name] = found.get(name, Decimal(0)) + _total(series)
        return found


def _series(told: Document, asking: Asking) -> Iterator[Document]:
    for metric in told.get("value") or []:
        if str(metric.get("errorCode") or "Success") != "Success":
            raise not_as_described("Azure", asking.doing)
        yield from metric.get("timeseries") or []


def _class(series: Document) -> str:
    pairs = series.get("metadatavalues") or []
    return next((str(p.get("value", "")) for p in pairs if str(p["name"]["value"]).lower() == CLASS), "").lower()


def _total(series: Document) -> Decimal:
    """A minute without a total is not known yet."""
    totals = (point.get("total") for point in series.get("data") or [])
    return sum((Decimal(n) for n in totals if isinstance(n, int | Decimal)), Decimal(0))
