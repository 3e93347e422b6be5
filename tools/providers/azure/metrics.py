"""Metrics: how busy a virtual machine was, from Azure Monitor; a point without a value is missing, never zero."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tools.providers.azure.connection import Connection
from tools.providers.rest import Asking

DAYS = 14
VERSION = "2018-01-01"
READ = "Microsoft.Insights/metrics/read"
ASKING = Asking("reading how busy machines are", READ)


def utilisation(connection: Connection, resource_id: str, now: datetime) -> dict[str, object] | None:
    """{"cpu_average", "cpu_maximum" (percent), "hours" (with data), "days"}; None when nothing is known."""
    end = now.replace(minute=0, second=0, microsecond=0)
    told = connection.rest.get(
        f"{resource_id}/providers/Microsoft.Insights/metrics",
        ASKING,
        **{
            "api-version": VERSION,
            "metricnames": "Percentage CPU",
            "timespan": f"{_written(end - timedelta(days=DAYS))}/{_written(end)}",
            "interval": "PT1H",
            "aggregation": "Average,Maximum",
        },
    )
    points = list(_points(told))
    averages, maxima = _numbers(points, "average"), _numbers(points, "maximum")
    if not averages or not maxima:
        return None
    return {
        "cpu_average": round(float(sum(averages) / len(averages)), 2),
        "cpu_maximum": round(float(max(maxima)), 2),
        "hours": len(averages),
        "days": DAYS,
    }


def _points(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        point
        for metric in told.get("value") or []
        for series in metric.get("timeseries") or []
        for point in series.get("data") or []
    ]


def _numbers(points: list[dict[str, Any]], name: str) -> list[Decimal]:
    return [Decimal(p[name]) for p in points if isinstance(p.get(name), int | Decimal)]


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
