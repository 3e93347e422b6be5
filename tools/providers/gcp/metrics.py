"""Metrics: how busy instances were, from Cloud Monitoring; no points means unknown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from tools.providers.gcp.connection import PROVIDER, Connection, items
from tools.providers.rest import Asking, Document, not_as_described

DAYS = 14
PERIOD_SECONDS = 3600
METRIC = "compute.googleapis.com/instance/cpu/utilization"
PERMISSION = "monitoring.timeSeries.list"
PER_PAGE = "100000"
# Monitoring tells a share of one; we speak of percent.
_PERCENT = 100


def utilisation(connection: Connection, project: str, now: datetime) -> dict[str, dict[str, object]]:
    """Instance id (Google's number) -> {"cpu_average", "cpu_maximum" (percent), "hours" (with data), "days"}.

    What Monitoring has no points of is absent: unknown, never idle.
    """
    averages = _values(connection, project, now, "ALIGN_MEAN")
    maxima = _values(connection, project, now, "ALIGN_MAX")
    return {
        instance: {
            "cpu_average": round(sum(values) / len(values), 2),
            "cpu_maximum": round(max(maxima[instance]), 2),
            "hours": len(values),
            "days": DAYS,
        }
        for instance, values in averages.items()
        if values and maxima.get(instance)
    }


def _values(connection: Connection, project: str, now: datetime, aligner: str) -> dict[str, list[float]]:
    asking = Asking(f"reading how busy instances of {project} are", PERMISSION)
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    found: dict[str, list[float]] = {}
    for series in connection.listing(
        "monitoring",
        f"v3/projects/{project}/timeSeries",
        "timeSeries",
        asking,
        **{
            "filter": f'metric.type = "{METRIC}"',
            "interval.startTime": _text(end - timedelta(days=DAYS)),
            "interval.endTime": _text(end),
            "aggregation.alignmentPeriod": f"{PERIOD_SECONDS}s",
            "aggregation.perSeriesAligner": aligner,
            "pageSize": PER_PAGE,
        },
    ):
        found.setdefault(instance_of(series), []).extend(points(series, asking))
    return found


def instance_of(series: Document) -> str:
    """The instance's number; older agents name it in the metric instead."""
    for part, label in (("resource", "instance_id"), ("metric", "instance_name")):
        labels = series.get(part, {}).get("labels", {})
        if labels.get(label):
            return str(labels[label])
    return ""


def points(series: Document, asking: Asking) -> Iterator[float]:
    """The values in percent; a point without a value is missing, not zero."""
    for point in items(series, "points", asking):
        value = point.get("value", {})
        told = value.get("doubleValue", value.get("int64Value"))
        if told is None:
            continue
        try:
            yield float(Decimal(str(told)) * _PERCENT)
        except InvalidOperation:
            raise not_as_described(PROVIDER, asking.doing) from None


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
