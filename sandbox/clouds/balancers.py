"""What the sandbox's load balancers counted: requests by minute and class of answer, as the sandbox's Prometheus has them."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.clouds.rest import RefusalError

MINUTE = timedelta(minutes=1)
REQUESTS = "loadbalancing.googleapis.com/https/request_count"
Document = dict[str, Any]
# Service, first and last minute's end -> (minute's end, class of answer by its first digit, requests).
Counts = Callable[[str, datetime, datetime], list[tuple[datetime, str, int]]]


def nothing(service: str, first: datetime, last: datetime) -> list[tuple[datetime, str, int]]:
    """Where there is no Prometheus nobody counted anything."""
    return []


@dataclass(frozen=True, slots=True)
class Counted:
    """Asks a Prometheus at `url`; it may be gone, and then nothing was counted."""

    url: str

    def __call__(self, service: str, first: datetime, last: datetime) -> list[tuple[datetime, str, int]]:
        query = f'sum by (code) (increase(http_requests_total{{service="{service}"}}[1m]))'
        asked = {"query": query, "start": first.timestamp(), "end": last.timestamp(), "step": "60"}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/api/v1/query_range?{urllib.parse.urlencode(asked)}", timeout=5) as answer:
                told = json.loads(answer.read())
        except OSError:
            return []
        return [
            (datetime.fromtimestamp(at, UTC), series["metric"]["code"][0], round(float(value)))
            for series in told["data"]["result"]
            for at, value in series["values"]
        ]


def url_map_asked(question: str) -> str:
    """The URL map whose requests a filter of Monitoring asks for; empty when it asks for something else."""
    found = re.search(r'resource\.labels?\.url_map_name = "([^"]*)"', question)
    return found[1] if found and f'"{REQUESTS}"' in question else ""


def google_series(counts: Counts, project: str, url_map: str, start: datetime, end: datetime) -> list[Document]:
    """The requests of a URL map, a series for each class of answers, newest point first."""
    found: dict[str, list[Document]] = {}
    for at, digit, number in counts(url_map, start + MINUTE, end):
        if number:
            span = {"startTime": f"{at - MINUTE:%Y-%m-%dT%H:%M:%SZ}", "endTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
            point = {"interval": span, "value": {"int64Value": f"{number}"}}
            found.setdefault(f"{digit}00", []).insert(0, point)
    return [
        {
            "metric": {
                "type": REQUESTS,
                "labels": {"response_code_class": name},
            },
            "resource": {"type": "https_lb_rule", "labels": {"project_id": project, "url_map_name": url_map}},
            "metricKind": "DELTA",
            "valueType": "INT64",
            "unit": "1",
            "points": points,
        }
        for name, points in sorted(found.items())
    ]


def azure_metric(counts: Counts, resource: str, span: str) -> Document:
    """ResponseStatus of an application gateway whose name is its service's, a series for each class of answers."""
    try:
        first, last = (datetime.fromisoformat(part) for part in span.split("/"))
    except ValueError:
        raise RefusalError(400, "BadRequest", "The timespan is not valid.") from None
    found: dict[str, list[Document]] = {}
    # Azure names a minute by its beginning.
    for at, digit, number in counts(resource.rpartition("/")[2], first + MINUTE, last):
        minute = {"timeStamp": f"{at - MINUTE:%Y-%m-%dT%H:%M:%SZ}", "total": number}
        found.setdefault(f"{digit}xx", []).append(minute)
    return {
        "id": f"/{resource}/providers/Microsoft.Insights/metrics/ResponseStatus",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": "ResponseStatus", "localizedValue": "Response Status"},
        "unit": "Count",
        "errorCode": "Success",
        "timeseries": [
            {
                "metadatavalues": [
                    {"name": {"value": "httpstatusgroup", "localizedValue": "httpstatusgroup"}, "value": name}
                ],
                "data": data,
            }
            for name, data in sorted(found.items())
        ],
    }
