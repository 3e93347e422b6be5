"""Health: requests and failures of a service per lifecycle, asked of Prometheus; what is stale or partial is no sample."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import requests

from tools.model.errors import DeniedError, InputError, ProviderError, ThrottledError, TransientError
from tools.providers.base import HealthReading, Sample

TIMEOUT_SECONDS = 10
# An instant query answers with its own evaluation time; one that is this much older than asked is stale.
STALE_SECONDS = 90
GROUPS = ("spot", "on_demand")
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}")


@dataclass(frozen=True, slots=True)
class PrometheusHealth:
    """The HealthSource of a Prometheus-compatible HTTP API; the two queries come from the settings."""

    url: str
    requests_query: str
    errors_query: str

    def read(self, service: str, window_seconds: int, now: datetime) -> HealthReading:
        """Requests and failures per lifecycle in the window before `now`.

        A lifecycle whose requests are not told has no sample; one whose failures are not told has none either,
        unless the failures query answered for nobody (no failure ever happened, so the series does not exist).
        """
        counted = self._by_lifecycle(self.requests_query, service, window_seconds, now)
        failures = self._by_lifecycle(self.errors_query, service, window_seconds, now)
        samples = tuple(
            Sample(group, counted[group], min(failures[group] if failures else Decimal(0), counted[group]))
            for group in GROUPS
            if group in counted and (group in failures or not failures)
        )
        return HealthReading(now, window_seconds, samples)

    def check(self) -> str:
        """Which Prometheus answers."""
        answer = self._get("/api/v1/status/buildinfo", {})
        data = answer.get("data")
        version = data.get("version") if isinstance(data, dict) else None
        return f"Prometheus {version} at {self.url}" if version else f"A Prometheus API at {self.url}"

    def _by_lifecycle(self, template: str, service: str, window: int, now: datetime) -> dict[str, Decimal]:
        answer = self._get(
            "/api/v1/query", {"query": fill(template, service, window), "time": f"{now.timestamp():.3f}"}
        )
        data = answer.get("data")
        result = data.get("result") if isinstance(data, dict) and data.get("resultType") == "vector" else None
        if not isinstance(result, list):
            raise ProviderError(
                "Prometheus did not answer with one number per lifecycle.",
                fix="OPTIINFRA_PROMETHEUS_REQUESTS_QUERY and ..._ERRORS_QUERY must give an instant vector.",
            )
        if answer.get("warnings"):
            # Prometheus says that it could not see everything: partial knowledge is none.
            return {}
        return dict(pair for series in result if (pair := _pair(series, now)) is not None)

    def _get(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        try:
            reply = requests.get(self.url.rstrip("/") + path, params=parameters, timeout=TIMEOUT_SECONDS)
        except requests.RequestException:
            raise TransientError(
                f"Prometheus at {self.url} does not answer.", fix="Check OPTIINFRA_PROMETHEUS_URL and that it runs."
            ) from None
        if reply.status_code == 429:
            raise ThrottledError("Prometheus asks to be called less often.", fix="It is asked again later.")
        if reply.status_code in {401, 403}:
            raise DeniedError("Prometheus does not let us in.", fix="Allow OptiInfra to query it.")
        if reply.status_code >= 500:
            raise TransientError(f"Prometheus had a failure of its own (HTTP {reply.status_code}).")
        try:
            answer = reply.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise ProviderError(
                f"Prometheus refused the question (HTTP {reply.status_code}).",
                fix="Check OPTIINFRA_PROMETHEUS_URL and the two OPTIINFRA_PROMETHEUS_*_QUERY settings.",
            )
        return answer


def fill(template: str, service: str, window_seconds: int) -> str:
    """Put service and window into a query; a service name that could break out of its quotes is refused."""
    if not _SERVICE.fullmatch(service):
        raise InputError(
            f"{service!r} is not a service name that Prometheus can be asked for.",
            fix="Tag the resource with service = a name of letters, digits, '-', '_' or '.'.",
        )
    return template.replace("{service}", service).replace("{window}", str(window_seconds))


def _pair(series: object, now: datetime) -> tuple[str, Decimal] | None:
    """(lifecycle, value) of one series; None for what is no lifecycle of ours, stale, or no number."""
    if not isinstance(series, dict) or not isinstance(series.get("metric"), dict):
        return None
    group = series["metric"].get("lifecycle")
    value = series.get("value")
    if group not in GROUPS or not isinstance(value, list) or len(value) != 2:
        return None
    try:
        at, number = float(value[0]), Decimal(str(value[1]))
    except (TypeError, ValueError, InvalidOperation):
        return None
    if not math.isfinite(at) or now.timestamp() - at > STALE_SECONDS or not number.is_finite() or number < 0:
        return None
    return group, number
