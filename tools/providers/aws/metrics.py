"""Metrics: how busy things were, from CloudWatch; no datapoints means unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tools.providers.aws.refusals import our_words

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

DAYS = 14
HOUR_SECONDS, DAY_SECONDS = 3600, 86400
_QUERIES_PER_CALL = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """One series: metric of a namespace, of what the dimensions name, as Average, Maximum or Sum per period."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    stat: str
    period: int = DAY_SECONDS

    def query(self, id_: str) -> MetricDataQueryTypeDef:
        return {
            "Id": id_,
            "MetricStat": {
                "Metric": {
                    "Namespace": self.namespace,
                    "MetricName": self.metric,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in self.dimensions],
                },
                "Period": self.period,
                "Stat": self.stat,
            },
            "ReturnData": True,
        }


def utilisation(
    client: CloudWatchClient,
    ids: Sequence[str],
    now: datetime,
    *,
    namespace: str = "AWS/EC2",
    dimension: str = "InstanceId",
) -> dict[str, dict[str, object]]:
    """Id -> {"cpu_average", "cpu_maximum" (percent), "hours" (with data), "days"}; unknown ones are absent."""
    wanted = [
        Wanted(namespace, "CPUUtilization", ((dimension, id_),), stat, HOUR_SECONDS)
        for id_ in ids
        for stat in ("Average", "Maximum")
    ]
    values = read(client, wanted, now.replace(minute=0, second=0, microsecond=0), days=DAYS)
    found: dict[str, dict[str, object]] = {}
    for id_, averages, maxima in zip(ids, values[::2], values[1::2], strict=True):
        if averages and maxima:
            found[id_] = {
                "cpu_average": round(sum(averages) / len(averages), 2),
                "cpu_maximum": round(max(maxima), 2),
                "hours": len(averages),
                "days": DAYS,
            }
    return found


def totals(client: CloudWatchClient, wanted: Sequence[Wanted], now: datetime) -> list[int | None]:
    """What each series added up to in two weeks; None where nothing was measured."""
    values = read(client, wanted, now.replace(hour=0, minute=0, second=0, microsecond=0), days=DAYS)
    return [round(sum(points)) if points else None for points in values]


def latest(client: CloudWatchClient, wanted: Sequence[Wanted], now: datetime) -> list[float | None]:
    """The newest value of each daily series of the last days; None where nothing was measured."""
    return [points[0] if points else None for points in read(client, wanted, now, days=4)]


def read(client: CloudWatchClient, wanted: Sequence[Wanted], end: datetime, *, days: int) -> list[list[float]]:
    """The values of each series in the days before `end`, newest first, all pages."""
    found: list[list[float]] = [[] for _ in wanted]
    start = end - timedelta(days=days)
    for first in range(0, len(wanted), _QUERIES_PER_CALL):
        some = wanted[first : first + _QUERIES_PER_CALL]
        queries = [one.query(f"q{first + number}") for number, one in enumerate(some)]
        with our_words("reading metrics"):
            pages = client.get_paginator("get_metric_data").paginate(
                MetricDataQueries=queries, StartTime=start, EndTime=end, ScanBy="TimestampDescending"
            )
            for page in pages:
                for result in page["MetricDataResults"]:
                    found[int(result["Id"][1:])].extend(result["Values"])
    return found


def probe(client: CloudWatchClient, now: datetime) -> object:
    """The smallest call that needs the permission."""
    one = Wanted("AWS/EC2", "CPUUtilization", (("InstanceId", "i-00000000000000000"),), "Average", HOUR_SECONDS)
    return client.get_metric_data(MetricDataQueries=[one.query("q0")], StartTime=now - timedelta(hours=1), EndTime=now)
