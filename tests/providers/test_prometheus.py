"""Service health, asked of a Prometheus API over HTTP; whatever is not certain is no sample."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from tools.model.errors import DeniedError, InputError, ProviderError, ThrottledError, TransientError
from tools.providers.base import Sample
from tools.providers.prometheus.health import PrometheusHealth, fill

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
AT = NOW.timestamp()


class Prometheus:
    """A server that answers queries with what a test puts into it."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {"requests": [], "errors": []}
        self.status = 200
        self.body: Any = None
        self.asked: list[dict[str, str]] = []
        self.url = ""

    def answer(self, path: str, query: dict[str, str]) -> Any:
        self.asked.append(query | {"path": path})
        if self.body is not None:
            return self.body
        if path == "/api/v1/status/buildinfo":
            return {"status": "success", "data": {"version": "3.5.0"}}
        result = self.answers["errors" if query["query"].startswith("errors") else "requests"]
        return {"status": "success", "data": {"resultType": "vector", "result": result}}


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    story = Prometheus()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlparse(self.path)
            document = story.answer(parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()})
            text = document.encode() if isinstance(document, str) else json.dumps(document).encode()
            self.send_response(story.status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    story.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield story
    server.shutdown()
    server.server_close()


@pytest.fixture
def health(prometheus: Prometheus) -> PrometheusHealth:
    return PrometheusHealth(prometheus.url, 'requests{service="{service}"}[{window}s]', 'errors{service="{service}"}')


def series(lifecycle: str, value: str, at: float = AT) -> dict[str, Any]:
    return {"metric": {"lifecycle": lifecycle}, "value": [at, value]}


def test_requests_and_failures_of_each_kind_of_instance(prometheus: Prometheus, health: PrometheusHealth) -> None:
    """The service and the window are in the question, and the time is the one that was asked for."""
    prometheus.answers = {
        "requests": [series("spot", "1000"), series("on_demand", "9000")],
        "errors": [series("spot", "12"), series("on_demand", "9")],
    }
    reading = health.read("checkout", 300, NOW)
    assert reading.samples == (
        Sample("spot", Decimal(1000), Decimal(12)),
        Sample("on_demand", Decimal(9000), Decimal(9)),
    )
    assert prometheus.asked[0]["query"] == 'requests{service="checkout"}[300s]'
    assert float(prometheus.asked[0]["time"]) == AT


def test_a_service_that_never_failed_has_no_failure_series(prometheus: Prometheus, health: PrometheusHealth) -> None:
    """Prometheus has no series for what never happened: zero failures of counted requests."""
    prometheus.answers = {"requests": [series("spot", "500")], "errors": []}
    assert health.read("checkout", 300, NOW).samples == (Sample("spot", Decimal(500), Decimal(0)),)


def test_failures_told_for_some_only_leave_the_others_unknown(prometheus: Prometheus, health: PrometheusHealth) -> None:
    """Half an answer is no answer for the other half."""
    prometheus.answers = {
        "requests": [series("spot", "500"), series("on_demand", "500")],
        "errors": [series("on_demand", "1")],
    }
    assert [s.group for s in health.read("checkout", 300, NOW).samples] == ["on_demand"]


@pytest.mark.parametrize(
    "unusable",
    [
        series("spot", "500", AT - 600),
        series("spot", "NaN"),
        series("spot", "-3"),
        series("spot", "many"),
        series("canary", "500"),
        {"metric": {"lifecycle": "spot"}},
        {"metric": {"lifecycle": "spot"}, "value": ["when", "5"]},
        {"value": [AT, "5"]},
        "nonsense",
    ],
)
def test_stale_odd_or_foreign_series_are_no_samples(
    prometheus: Prometheus, health: PrometheusHealth, unusable: Any
) -> None:
    """No sample means that nothing is known, and nothing known never means healthy."""
    prometheus.answers = {"requests": [unusable], "errors": []}
    assert health.read("checkout", 300, NOW).samples == ()


def test_an_answer_with_warnings_is_partial_and_proves_nothing(
    prometheus: Prometheus, health: PrometheusHealth
) -> None:
    """Prometheus says that a part of its data was not there."""
    data = {"resultType": "vector", "result": [series("spot", "500")]}
    prometheus.body = {"status": "success", "warnings": ["partial response"], "data": data}
    assert health.read("checkout", 300, NOW).samples == ()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, None, ThrottledError),
        (401, None, DeniedError),
        (403, None, DeniedError),
        (503, None, TransientError),
        (400, {"status": "error", "error": "secret words"}, ProviderError),
        (200, "<html>", ProviderError),
        (200, {"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}, ProviderError),
        (200, {"status": "success", "data": None}, ProviderError),
    ],
)
def test_a_prometheus_that_does_not_answer_is_said_so(
    prometheus: Prometheus, health: PrometheusHealth, status: int, body: Any, kind: type[ProviderError]
) -> None:
    """Never an empty reading, and never its own words."""
    prometheus.status, prometheus.body = status, body
    with pytest.raises(kind) as told:
        health.read("checkout", 300, NOW)
    assert type(told.value) is kind
    assert "secret" not in str(told.value)


def test_nobody_there(health: PrometheusHealth) -> None:
    """The address is in the sentence, and what to check."""
    with pytest.raises(TransientError, match="does not answer"):
        PrometheusHealth("http://127.0.0.1:1", "{service}", "{service}").check()


def test_check_says_who_answers(prometheus: Prometheus, health: PrometheusHealth) -> None:
    """For doctor: the version where it tells one."""
    assert health.check() == f"Prometheus 3.5.0 at {prometheus.url}"
    prometheus.body = {"status": "success", "data": {}}
    assert health.check() == f"A Prometheus API at {prometheus.url}"


@pytest.mark.parametrize("name", ["", 'x"} or up{a="', "a b", "x" * 200, "naïve"])
def test_a_service_name_cannot_change_the_question(name: str) -> None:
    """Names come from tags that anybody may write."""
    with pytest.raises(InputError, match="not a service name"):
        fill('requests{service="{service}"}', name, 60)
