"""The sandbox's Prometheus: the queries that are asked of it, and what it says to others."""

from __future__ import annotations

import json
import urllib.request
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

from sandbox import promql
from sandbox.pytest_plugin import SandboxPrometheus
from sandbox.traffic import ORDINARY_ERROR_RATE, PER_INSTANCE, Traffic, UnknownServiceError

REQUESTS = 'sum by (lifecycle) (increase(http_requests_total{service="checkout"}[60s]))'
ERRORS = 'sum by (lifecycle) (increase(http_requests_total{service="checkout",code=~"5.."}[60s]))'


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def traffic(clock: Clock) -> Traffic:
    return Traffic(clock).start()


def value(traffic: Traffic, query: str, at: float) -> dict[str, float]:
    """A query's answer per lifecycle."""

    def select(selector: promql.Selector) -> list[Any]:
        return [(ls, v) for ls, v in traffic.series() if all(m.accepts(ls) for m in selector.matchers)]

    found = promql.evaluate(promql.parse(query), select, at)
    return {dict(labels).get("lifecycle", ""): number for labels, number in found.items()}


def test_a_service_answers_as_many_requests_as_its_instances(traffic: Traffic, clock: Clock) -> None:
    """Twenty instances at thirty a second, all on demand; a small part fails, as always."""
    requests = value(traffic, REQUESTS, clock())
    assert requests == pytest.approx({"on_demand": 20 * PER_INSTANCE * 60}, rel=0.06)
    assert value(traffic, ERRORS, clock())["on_demand"] == pytest.approx(
        requests["on_demand"] * ORDINARY_ERROR_RATE, rel=0.001
    )


def test_traffic_follows_the_instances(traffic: Traffic, clock: Clock) -> None:
    """Two of twenty on spot take a tenth of the requests, from the moment on in which they serve."""
    traffic.counted("checkout", 18, 2)
    clock.seconds += 30
    half = value(traffic, REQUESTS, clock())
    clock.seconds += 30
    full = value(traffic, REQUESTS, clock())
    assert full["spot"] / sum(full.values()) == pytest.approx(0.1)
    assert half["spot"] == pytest.approx(full["spot"] / 2, rel=0.1)


def test_errors_of_one_lifecycle_rise_from_now_on(traffic: Traffic, clock: Clock) -> None:
    """A bad spot image fails a fifth of its own requests and leaves the others alone."""
    traffic.counted("checkout", 10, 10)
    traffic.happens("checkout", lifecycle="spot", error_rate=0.2)
    clock.seconds += 60
    requests, errors = value(traffic, REQUESTS, clock()), value(traffic, ERRORS, clock())
    assert errors["spot"] / requests["spot"] == pytest.approx(0.2)
    assert errors["on_demand"] / requests["on_demand"] == pytest.approx(ORDINARY_ERROR_RATE)
    traffic.happens("checkout", error_rate=0.0)
    clock.seconds += 60
    assert sum(value(traffic, ERRORS, clock()).values()) == pytest.approx(0, abs=1e-6)


def test_a_dark_service_tells_nothing_and_comes_back(traffic: Traffic, clock: Clock) -> None:
    """While nobody measures there is no series at all, never a zero; afterwards the gap is a gap."""
    traffic.happens("checkout", dark=True)
    clock.seconds += 30
    assert value(traffic, REQUESTS, clock()) == {}
    traffic.happens("checkout", dark=False, requests_per_second=100)
    clock.seconds += 30
    assert value(traffic, REQUESTS, clock()) == pytest.approx({"on_demand": 30 * 100}, rel=0.1)


def test_a_service_without_instances_answers_nothing(traffic: Traffic, clock: Clock) -> None:
    """Nobody serves: the counters stand still."""
    traffic.counted("checkout", 0, 0)
    traffic.counted("nobody-knows-this", 1, 1)
    clock.seconds += 120
    assert value(traffic, REQUESTS, clock()) == pytest.approx({"on_demand": 0.0})


def test_an_unknown_service_is_told(traffic: Traffic) -> None:
    """A typo does not become a new service."""
    with pytest.raises(UnknownServiceError, match=r"There is no service chekout; there are checkout, .*search"):
        traffic.happens("chekout", dark=True)


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ('sum(increase(m{a="1"}[1m]))', 60.0),
        ('sum(rate(m{a=~"1|2"}[1m]))', 3.0),
        ('sum by (a) (rate(m{a!="2"}[30s]))', 1.0),
        ('sum without (b) (rate(m{a!~"2"}[1m]))', 1.0),
        ("max(rate(m[1h30m])) by (c)", 2.0),
        ("min(rate(m[1m]))", 1.0),
        ("avg(rate(m[1m]))", 1.5),
        ("count(m)", 2.0),
        ("(sum(rate({a='2',}[500ms])))", 2.0),
    ],
)
def test_queries_are_understood(query: str, number: float) -> None:
    """Aggregations, groupings on either side, all four matchers, durations and parentheses."""
    series = [({"a": "1", "b": "x"}, lambda t: t), ({"a": "2", "b": "y"}, lambda t: 2 * t)]

    def select(selector: promql.Selector) -> list[Any]:
        return [(labels, v) for labels, v in series if all(m.accepts(labels) for m in selector.matchers)]

    assert list(promql.evaluate(promql.parse(query), select, 7200.0).values()) == pytest.approx([number])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "1:1: parse error: unexpected end of input"),
        ("sum(", "1:5: parse error: unexpected end of input"),
        ("sum by lifecycle (m)", 'unexpected "lifecycle"'),
        ("m{a=1}", 'unexpected "1"'),
        ("m{a[1]}", 'unexpected "["'),
        ('m{a=~"("}', "error parsing regexp"),
        ("m{a='1'", "unexpected end of input"),
        ("m[5m]", "range vector"),
        ("rate(m)", "expected type range vector"),
        ("histogram_quantile(0.9)", 'unknown function with name "histogram_quantile"'),
        ("m m", 'unexpected "m"'),
        ("m + 1", 'unexpected character: "+"'),
        ("m[x]", 'unexpected "x"'),
    ],
)
def test_what_is_not_understood_is_an_error(query: str, words: str) -> None:
    """A query that is wrong, or beyond this subset, is refused with its place, never answered emptily."""
    with pytest.raises(promql.PromQLError) as refused:
        promql.parse(query)
    assert words in str(refused.value)


def ask(prometheus: SandboxPrometheus, path: str, *, post: bool = False, **parameters: object) -> Any:
    """A request of its HTTP API; the JSON of the answer, refusals too."""
    encoded = urlencode(parameters)
    url = f"{prometheus.url}{path}" + ("" if post else f"?{encoded}")
    try:
        with urllib.request.urlopen(url, encoded.encode() if post else None, timeout=10) as answer:
            return json.loads(answer.read())
    except HTTPError as refused:
        return json.loads(refused.read())


def by_lifecycle(answer: Any) -> dict[str, float]:
    return {r["metric"]["lifecycle"]: float(r["value"][1]) for r in answer["data"]["result"]}


@pytest.mark.parametrize("post", [False, True])
def test_an_instant_query_over_http(sandbox_prometheus: SandboxPrometheus, post: bool) -> None:
    """GET and POST give a vector with one sample per lifecycle."""
    sandbox_prometheus.instances("checkout", on_demand=10, spot=10)
    answer = ask(sandbox_prometheus, "/api/v1/query", post=post, query=REQUESTS)
    assert (answer["status"], answer["data"]["resultType"]) == ("success", "vector")
    assert set(by_lifecycle(answer)) == {"on_demand", "spot"}


def test_a_range_query_over_http(sandbox_prometheus: SandboxPrometheus) -> None:
    """A matrix with a point per step; times may be written as text."""
    answer = ask(
        sandbox_prometheus, "/api/v1/query_range", query=REQUESTS,
        start="2026-11-25T08:00:00Z", end="2026-11-25T08:01:00Z", step="15s",
    )  # fmt: skip
    assert answer["data"]["resultType"] == "matrix"
    assert len(answer["data"]["result"][0]["values"]) == 5


@pytest.mark.parametrize(
    ("path", "parameters", "words"),
    [
        ("query", {"query": "sum("}, 'invalid parameter "query": 1:5: parse error'),
        ("query", {"query": "m", "time": "noon"}, 'cannot parse "noon"'),
        ("query_range", {"query": "m", "start": 1, "end": 2, "step": "x"}, "valid duration"),
        ("query_range", {"query": "m", "start": 1, "end": 2, "step": 0}, "zero or negative"),
        ("query_range", {"query": "m", "start": 2, "end": 1, "step": 1}, "must not be before"),
        ("query_range", {"query": "m", "start": 0, "end": 1e6, "step": 1}, "maximum resolution"),
        ("query_range", {"query": "m", "end": 1, "step": 1}, "valid timestamp"),
    ],
)
def test_a_bad_request_is_answered_as_prometheus_does(
    sandbox_prometheus: SandboxPrometheus, path: str, parameters: dict[str, object], words: str
) -> None:
    """status error, errorType bad_data, and the sentence."""
    answer = ask(sandbox_prometheus, f"/api/v1/{path}", **parameters)
    assert (answer["status"], answer["errorType"]) == ("error", "bad_data")
    assert words in answer["error"]


def test_another_metric_has_no_series(sandbox_prometheus: SandboxPrometheus) -> None:
    """What nobody measures is an empty vector."""
    assert ask(sandbox_prometheus, "/api/v1/query", query="sum(rate(node_load1[1m]))")["data"]["result"] == []


def test_it_says_who_it_is(sandbox_prometheus: SandboxPrometheus) -> None:
    """Ready, and with a version."""
    assert ask(sandbox_prometheus, "/api/v1/status/buildinfo")["data"]["version"]
    with urllib.request.urlopen(f"{sandbox_prometheus.url}/-/ready", timeout=10) as answer:
        assert answer.status == 200


def test_health_is_set_and_told(sandbox_prometheus: SandboxPrometheus) -> None:
    """The control path changes what is measured, and shows it."""
    sandbox_prometheus.health("search", lifecycle="spot", error_rate=0.5, requests_per_second=10, dark=False)
    told = sandbox_prometheus.control.get("health")["services"]["search"]
    assert told["error_rates"] == {"on_demand": ORDINARY_ERROR_RATE, "spot": 0.5}
    assert told["requests_per_second"] == 10


@pytest.mark.parametrize(
    ("path", "document", "words"),
    [
        ("health", {"service": "nope"}, "There is no service nope"),
        ("health", {"service": "search", "error_rate": 2}, "error_rate must be"),
        ("health", {"service": "search", "error_rate": True}, "error_rate must be"),
        ("health", {"service": "search", "requests_per_second": -1}, "requests_per_second must be"),
        ("health", {"service": "search", "dark": "yes"}, "true or false"),
        ("health", {"service": "search", "lifecycle": "lunar"}, "lifecycle must be"),
        ("health", {"service": "search", "errors": 1}, "Unknown fields errors"),
        ("lifecycle", {"service": "search", "spot": -1}, "whole numbers from 0"),
        ("lifecycle", {"service": "nope", "spot": 1}, "There is no service nope"),
    ],
)
def test_a_control_request_that_makes_no_sense_is_told(
    sandbox_prometheus: SandboxPrometheus, path: str, document: dict[str, object], words: str
) -> None:
    """The control paths refuse with a sentence and change nothing."""
    before = sandbox_prometheus.control.get("health")
    with pytest.raises(HTTPError) as refused:
        sandbox_prometheus.control.post(path, **document)
    assert words in refused.value.read().decode()
    assert sandbox_prometheus.control.get("health") == before
