"""The sandbox's Prometheus: its HTTP API over simulated request counters, and a path that says how services do."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox import promql
from sandbox.traffic import LIFECYCLES, Traffic, UnknownServiceError

METRIC = "http_requests_total"
MAX_POINTS = 11_000
POLL_SECONDS = 0.25


class BadRequestError(ValueError):
    """A parameter that Prometheus refuses, in its words."""


def build(traffic: Traffic) -> Starlette:
    """The HTTP API as an ASGI application."""
    api = Api(traffic)
    return Starlette(
        routes=[
            Route("/api/v1/query", api.query, methods=["GET", "POST"]),
            Route("/api/v1/query_range", api.query_range, methods=["GET", "POST"]),
            Route("/api/v1/status/buildinfo", api.build_info),
            Route("/-/ready", api.ready),
            Route("/-/healthy", api.ready),
            Route("/sandbox/health", api.health, methods=["GET", "POST"]),
            Route("/sandbox/lifecycle", api.lifecycle, methods=["POST"]),
            Route("/sandbox/reset", api.reset, methods=["POST"]),
        ]
    )


class Api:
    """The routes."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic

    async def query(self, request: Request) -> Response:
        """An instant query."""
        try:
            asked = await _parameters(request)
            moment = _moment(asked, "time", self.traffic.clock())
            vector = promql.evaluate(_expression(asked), self.select, moment)
        except (BadRequestError, promql.PromQLError) as problem:
            return _bad(problem)
        result = [{"metric": dict(k), "value": [moment, _number(v)]} for k, v in sorted(vector.items())]
        return _good("vector", result)

    async def query_range(self, request: Request) -> Response:
        """A query at each step of a range."""
        try:
            asked = await _parameters(request)
            moments = _moments(asked)
            expression = _expression(asked)
            found: dict[promql.Labels, list[list[object]]] = {}
            for moment in moments:
                for key, value in promql.evaluate(expression, self.select, moment).items():
                    found.setdefault(key, []).append([moment, _number(value)])
        except (BadRequestError, promql.PromQLError) as problem:
            return _bad(problem)
        return _good("matrix", [{"metric": dict(key), "values": points} for key, points in sorted(found.items())])

    def select(self, selector: promql.Selector) -> list[Any]:
        """The series a selector names."""
        if selector.name and selector.name != METRIC:
            return []
        named = [({"__name__": METRIC} | labels, labels, value) for labels, value in self.traffic.series()]
        return [(labels, value) for full, labels, value in named if all(m.accepts(full) for m in selector.matchers)]

    async def build_info(self, _: Request) -> Response:
        data = {"version": "3.5.0", "revision": "sandbox", "branch": "HEAD", "goVersion": "none"}
        return JSONResponse({"status": "success", "data": data})

    async def ready(self, _: Request) -> Response:
        return PlainTextResponse("Prometheus Server is Ready.\n")

    async def health(self, request: Request) -> Response:
        """GET: how each service does. POST {service, lifecycle?, error_rate?, requests_per_second?, dark?}."""
        if request.method == "GET":
            return JSONResponse({"services": {name: _shown(s) for name, s in self.traffic.services.items()}})
        try:
            asked = await _json(request)
            service = self.traffic.happens(str(asked.pop("service", "")), **_happening(asked))
        except (BadRequestError, UnknownServiceError) as problem:
            return JSONResponse({"error": str(problem)}, status_code=400)
        return JSONResponse({"service": service.name} | _shown(service))

    async def reset(self, _: Request) -> Response:
        """POST: all services as at the start."""
        self.traffic.start()
        return JSONResponse({"ok": True})

    async def lifecycle(self, request: Request) -> Response:
        """POST {service, on_demand, spot}: so many instances serve, where no AWS tells it."""
        try:
            asked = await _json(request)
            counts = [asked.get(name, 0) for name in LIFECYCLES]
            if any(isinstance(c, bool) or not isinstance(c, int) or c < 0 for c in counts):
                raise BadRequestError("on_demand and spot are whole numbers from 0.")
            if asked.get("service") not in self.traffic.services:
                raise BadRequestError(f"There is no service {asked.get('service')}.")
        except BadRequestError as problem:
            return JSONResponse({"error": str(problem)}, status_code=400)
        self.traffic.counted(str(asked["service"]), *counts)
        return JSONResponse({"ok": True})


def _shown(service: Any) -> dict[str, object]:
    return {
        "requests_per_second": service.requests_per_second,
        "error_rates": service.error_rates,
        "counts": service.counts,
        "dark": service.dark,
    }


def _happening(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `Traffic.happens`, checked."""
    known = {"lifecycle", "error_rate", "requests_per_second", "dark"}
    if strange := set(asked) - known:
        raise BadRequestError(f"Unknown fields {', '.join(sorted(strange))}; known are {', '.join(sorted(known))}.")
    if asked.get("lifecycle") not in (None, "", *LIFECYCLES):
        raise BadRequestError(f"lifecycle must be one of {', '.join(LIFECYCLES)}.")
    for name, highest in (("error_rate", 1.0), ("requests_per_second", 1e9)):
        value = asked.get(name)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= highest
        ):
            raise BadRequestError(f"{name} must be a number between 0 and {highest:g}.")
    if asked.get("dark") not in (None, True, False):
        raise BadRequestError("dark must be true or false.")
    return {"lifecycle": asked.get("lifecycle") or ""} | {k: asked.get(k) for k in known - {"lifecycle"}}


async def _parameters(request: Request) -> dict[str, str]:
    asked = dict(request.query_params)
    if request.method == "POST":
        from urllib.parse import parse_qsl

        asked |= dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
    return asked


async def _json(request: Request) -> dict[str, Any]:
    try:
        document = json.loads(await request.body() or b"{}")
    except ValueError:
        raise BadRequestError("The body is not JSON.") from None
    if not isinstance(document, dict):
        raise BadRequestError("The body must be a JSON object.")
    return document


def _expression(asked: Mapping[str, str]) -> promql.Expression:
    return promql.parse(asked.get("query", ""))


def _moment(asked: Mapping[str, str], name: str, default: float | None = None) -> float:
    text = asked.get(name, "")
    if not text and default is not None:
        return default
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise BadRequestError(f'cannot parse "{text}" to a valid timestamp') from None


def _moments(asked: Mapping[str, str]) -> list[float]:
    start, end = _moment(asked, "start"), _moment(asked, "end")
    text = asked.get("step", "")
    try:
        step = float(text.removesuffix("s"))
    except ValueError:
        raise BadRequestError(f'cannot parse "{text}" to a valid duration') from None
    if step <= 0:
        raise BadRequestError("zero or negative query resolution step widths are not accepted. Try a positive integer")
    if end < start:
        raise BadRequestError("end timestamp must not be before start time")
    points = int((end - start) / step) + 1
    if points > MAX_POINTS:
        raise BadRequestError(f"exceeded maximum resolution of {MAX_POINTS:,} points per timeseries.")
    return [start + step * index for index in range(points)]


def _number(value: float) -> str:
    return repr(round(value, 9))


def _good(kind: str, result: list[Any]) -> Response:
    return JSONResponse({"status": "success", "data": {"resultType": kind, "result": result}})


def _bad(problem: Exception) -> Response:
    text = f'invalid parameter "query": {problem}' if isinstance(problem, promql.PromQLError) else str(problem)
    return JSONResponse({"status": "error", "errorType": "bad_data", "error": text}, status_code=400)


def follow_aws(traffic: Traffic, aws_url: str, stop: threading.Event) -> None:
    """Learn from the sandbox's AWS how each fleet is made up, until `stop` is set."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while not stop.wait(POLL_SECONDS):
        try:
            with opener.open(f"{aws_url}/sandbox/fleets", timeout=2) as answer:
                fleets = json.loads(answer.read())
        except OSError:
            continue  # AWS is starting, or gone: the last known split holds
        for fleet in fleets.values():
            traffic.counted(fleet["service"], fleet["on_demand"], fleet["spot"])
