"""Metrics: how busy instances were, from CloudWatch; no datapoints means unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tools.providers.aws.refusals import our_words

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

DAYS = 14
PERIOD_SECONDS = 3600
# GetMetricData takes 500 queries a call, two per instance.
_INSTANCES_PER_CALL = 250


def utilisation(client: CloudWatchClient, instance_ids: Sequence[str], now: datetime) -> dict[str, dict[str, object]]:
    """Instance id -> {"cpu_average", "cpu_maximum" (percent), "hours" (with data), "days"}; unknown ones are absent."""
    found: dict[str, dict[str, object]] = {}
    end = now.replace(minute=0, second=0, microsecond=0)
    for start in range(0, len(instance_ids), _INSTANCES_PER_CALL):
        some = instance_ids[start : start + _INSTANCES_PER_CALL]
        with our_words("reading how busy instances are"):
            values = _values(client, some, end)
        for number, instance_id in enumerate(some):
            averages, maxima = values.get(f"a{number}", []), values.get(f"m{number}", [])
            if averages and maxima:
                found[instance_id] = {
                    "cpu_average": round(sum(averages) / len(averages), 2),
                    "cpu_maximum": round(max(maxima), 2),
                    "hours": len(averages),
                    "days": DAYS,
                }
    return found


def _values(client: CloudWatchClient, instance_ids: Sequence[str], end: datetime) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=list(_queries(instance_ids)), StartTime=end - timedelta(days=DAYS), EndTime=end
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            values.setdefault(result["Id"], []).extend(result["Values"])
    return values


def _queries(instance_ids: Sequence[str]) -> Iterator[MetricDataQueryTypeDef]:
    for number, instance_id in enumerate(instance_ids):
        for letter, stat in (("a", "Average"), ("m", "Maximum")):
            yield {
                "Id": f"{letter}{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/EC2",
                        "MetricName": "CPUUtilization",
                        "Dimensions": [{"Name": "InstanceId", "Value": instance_id}],
                    },
                    "Period": PERIOD_SECONDS,
                    "Stat": stat,
                },
                "ReturnData": True,
            }


def probe(client: CloudWatchClient, now: datetime) -> object:
    """The smallest call that needs the permission."""
    return client.get_metric_data(
        MetricDataQueries=list(_queries(["i-00000000000000000"]))[:1],
        StartTime=now - timedelta(hours=1),
        EndTime=now,
    )
