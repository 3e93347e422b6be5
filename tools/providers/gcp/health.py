"""Health: requests and failures of a service as its load balancer counts them, asked of Cloud Monitoring."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from tools.model.errors import SettingsError
from tools.providers.base import HealthReading, Sample
from tools.providers.choosing import named, of_service
from tools.providers.gcp.connection import PROVIDER, Connection, items
from tools.providers.gcp.metrics import PERMISSION
from tools.providers.rest import Asking, Document, not_as_described
from tools.settings import Settings

SETTING = "OPTIINFRA_CLOUD_MONITORING_SERVICES"
METRIC = "loadbalancing.googleapis.com/https/request_count"
# Which class of answers a request got; "0" is none, because whoever asked did not wait for it.
CLASS, FAILED = "response_code_class", "500"
PERIOD_SECONDS = 60
GROUP = "all"
PER_PAGE = "1000"
_MAP = re.compile(r"([a-z][a-z0-9-]{4,28}[a-z0-9])/([a-z]([a-z0-9-]{0,61}[a-z0-9])?)")


@dataclass(frozen=True, slots=True)
class Balancer:
    """An external Application Load Balancer: its project, and the name of its URL map."""

    project: str
    url_map: str

    @classmethod
    def of(cls, text: str) -> Balancer:
        """From PROJECT/URL_MAP; raises SettingsError for anything else."""
        found = _MAP.fullmatch(text)
        if found is None:
            raise SettingsError(
                f"{text or 'Nothing'} is not the URL map of a load balancer.",
                fix=f"Write {SETTING} as SERVICE=PROJECT/URL_MAP, separated by commas.",
            )
        return cls(found[1], found[2])


@dataclass(frozen=True, slots=True)
class CloudMonitoringHealth:
    """The HealthSource of services behind Google's load balancers; a balancer does not tell spot from on-demand."""

    connection: Connection
    balancers: dict[str, Balancer] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> CloudMonitoringHealth:
        """The services and their balancers as the settings name them; raises SettingsError."""
        from tools.providers.gcp import flat

        return cls(flat.connection(settings), named(settings.cloud_monitoring_services, SETTING, Balancer.of))

    def read(self, service: str, window_seconds: int, now: datetime) -> HealthReading:
        """Requests and failures in the whole minutes of the window before `now`, as far as Monitoring shows them.

        It shows a minute some minutes later, requests and failures of it together. No requests are no sample.
        """
        balancer = of_service(self.balancers, service, SETTING)
        told = self._counts(balancer, window_seconds, now, f"reading how {service} does")
        requests = sum(told.values(), Decimal(0))
        samples = (Sample(GROUP, requests, told.get(FAILED, Decimal(0))),) if requests else ()
        return HealthReading(now, window_seconds, samples)

    def check(self) -> str:
        """Which balancers' metrics may be read."""
        now = datetime.now(UTC)
        for service, balancer in self.balancers.items():
            self._counts(balancer, PERIOD_SECONDS, now, f"asking whether the requests of {service} may be read")
        return f"Cloud Monitoring for {', '.join(sorted(self.balancers))}"

    def _counts(self, balancer: Balancer, seconds: int, now: datetime, doing: str) -> dict[str, Decimal]:
        """Class of answers -> requests; without the classes that there were none of."""
        asking = Asking(doing, PERMISSION)
        end = now.astimezone(UTC).replace(second=0, microsecond=0)
        minutes = max(1, -(-seconds // PERIOD_SECONDS))
        found: dict[str, Decimal] = {}
        for series in self.connection.listing(
            "monitoring",
            f"v3/projects/{balancer.project}/timeSeries",
            "timeSeries",
            asking,
            **{
                "filter": f'metric.type = "{METRIC}" AND resource.labels.url_map_name = "{balancer.url_map}"',
                "interval.startTime": (end - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "interval.endTime": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "aggregation.alignmentPeriod": f"{PERIOD_SECONDS}s",
                "aggregation.perSeriesAligner": "ALIGN_DELTA",
                "aggregation.crossSeriesReducer": "REDUCE_SUM",
                "aggregation.groupByFields": f"metric.labels.{CLASS}",
                "pageSize": PER_PAGE,
            },
        ):
            name = str(series.get("metric", {}).get("labels", {}).get(CLASS, ""))
            if not name:
                # Without its class a request may be a failure or not.
                raise not_as_described(PROVIDER, doing)
            found[name] = found.get(name, Decimal(0)) + _requests(series, asking)
        return found


def _requests(series: Document, asking: Asking) -> Decimal:
    """Google writes whole numbers as text, and added up ones now and then as fractions."""
    total = Decimal(0)
    for point in items(series, "points", asking):
        value = point.get("value", {})
        told = value.get("int64Value", value.get("doubleValue"))
        try:
            number = Decimal(str(told))
        except InvalidOperation:
            raise not_as_described(PROVIDER, asking.doing) from None
        if not number.is_finite() or number < 0:
            raise not_as_described(PROVIDER, asking.doing)
        total += number
    return total
