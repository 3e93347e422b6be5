"""What the sandbox's REST clouds share: routes, small pages, exact numbers, faults on request and control paths."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl

from sandbox.clouds.bills import Bills, month_asked
from sandbox.faults import Fault, FaultKind, Faults, UnknownFaultError, fault_of

CONTROL = "/sandbox/"
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
_EXACT = re.compile(rb'"@(-?[0-9.]+)@"')


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `parts` are the variable pieces of its path; `base` is where the cloud answers."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    base: str
    parts: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The body as a JSON object. Raises RefusalError."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise RefusalError(400, "BadRequest", "The request body is not a JSON object.")
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a JSON document (Decimals are written as exact numbers) and headers."""

    status: int
    document: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusalError(Exception):
    """The cloud refuses; each cloud words it in its own way."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a pattern of paths with {names}, the permission it needs, and who answers.

    `paged` names where an answer holds its items and its next page, for the faults that touch pages.
    """

    method: str
    pattern: str
    action: str
    answer: Callable[[Ask], Answer]
    public: bool = False

    def parts(self, method: str, path: str) -> dict[str, str] | None:
        if method != self.method:
            return None
        # "{resource:path}" may hold slashes.
        expression = re.sub(r"\\{(\w+):path\\}", r"(?P<\1>.+)", re.escape(self.pattern))
        expression = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", expression)
        found = re.fullmatch(expression, path, re.IGNORECASE)
        return found.groupdict() if found else None


class Cloud(Protocol):
    """What a cloud says in its own words."""

    @property
    def routes(self) -> Sequence[Route]: ...

    def let_in(self, ask: Ask) -> None:
        """Raise RefusalError when the credentials are not accepted."""
        ...

    def refuse(self, refusal: RefusalError) -> Answer:
        """The error as this cloud writes it."""
        ...

    def fault(self, kind: FaultKind, route: Route) -> RefusalError:
        """What a fault on request looks like."""
        ...

    def page_fault(self, kind: FaultKind, ask: Ask, document: dict[str, Any]) -> None:
        """Change an answer's page: without items (EMPTY_PAGE) or naming itself as the next one (REPEATED_PAGE)."""
        ...


@dataclass
class RestCloud:
    """An ASGI application around a cloud: control paths, then faults, then the cloud."""

    cloud: Cloud
    faults: Faults = field(default_factory=Faults)
    calls: dict[str, int] = field(default_factory=dict)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    # What it charges, where it charges anything.
    bills: Bills | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.concurrency import run_in_threadpool

        ask = await _ask(scope, receive)
        if ask.path.startswith(CONTROL):
            await _respond(send, self.control(ask), self.now())
            return
        route, ask = self._route(ask)
        fault = None
        if route is not None:
            self.calls[route.action] = self.calls.get(route.action, 0) + 1
            fault = self.faults.hit(route.action) or self.faults.hit(f"{route.method} {ask.path}")
        if fault is None or fault.kind in _AFTER:
            answer = await run_in_threadpool(self._answer, route, ask)
        else:
            assert route is not None
            answer = self._refused(fault, route)
        if fault is not None and fault.kind in {FaultKind.TIMEOUT, FaultKind.TIMEOUT_AFTER_SUCCESS}:
            await run_in_threadpool(time.sleep, fault.seconds)
        if fault is not None and fault.kind in _PAGES and answer.status == 200 and isinstance(answer.document, dict):
            self.cloud.page_fault(fault.kind, ask, answer.document)
        await self._send(send, answer, fault)

    def _route(self, ask: Ask) -> tuple[Route | None, Ask]:
        for route in self.cloud.routes:
            if (parts := route.parts(ask.method, ask.path)) is not None:
                return route, Ask(ask.method, ask.path, ask.query, ask.headers, ask.body, ask.base, parts)
        return None, ask

    def _answer(self, route: Route | None, ask: Ask) -> Answer:
        try:
            if route is None:
                raise RefusalError(404, "NotFound", f"There is no {ask.method} {ask.path} here.")
            if not route.public:
                self.cloud.let_in(ask)
            return route.answer(ask)
        except RefusalError as refusal:
            return self.cloud.refuse(refusal)

    def _refused(self, fault: Fault, route: Route) -> Answer:
        if fault.kind in {FaultKind.TIMEOUT, FaultKind.CUT}:
            return Answer(200, {})
        answer = self.cloud.refuse(self.cloud.fault(fault.kind, route))
        if fault.kind is FaultKind.THROTTLE and fault.header:
            until = format_datetime(self.now().astimezone(UTC) + timedelta(seconds=fault.seconds), usegmt=True)
            told = until if fault.dated else f"{fault.seconds:g}"
            return Answer(answer.status, answer.document, {fault.header: told})
        return answer

    async def _send(self, send: Send, answer: Answer, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        moment = self.now()
        if fault is not None and kind is FaultKind.CLOCK_SKEW:
            moment += timedelta(seconds=fault.seconds)
        if kind in {FaultKind.CUT, FaultKind.TIMEOUT, FaultKind.TIMEOUT_AFTER_SUCCESS}:
            # More is promised than is sent, so that the server breaks the connection.
            await _start(send, answer.status, 1 << 20, {}, moment)
            return
        await _respond(send, answer, moment, broken=kind is FaultKind.BROKEN_ANSWER)

    def control(self, ask: Ask) -> Answer:
        """Answer a control request: what is asked of the sandbox itself."""
        path = ask.path.removeprefix(CONTROL)
        if (ask.method, path) == ("GET", "ready"):
            return Answer(200, {"ready": True})
        if (ask.method, path) == ("GET", "calls"):
            return Answer(200, dict(sorted(self.calls.items())))
        if (ask.method, path) == ("POST", "reset"):
            self.faults.clear()
            self.calls.clear()
            if self.bills is not None and self.bills.restated:
                self.bills.restate(None)
            return Answer(200, {"ok": True})
        if (ask.method, path) == ("POST", "restate"):
            return self._restate(ask)
        if path != "fault":
            return Answer(404, {"error": f"There is no {ask.method} {CONTROL}{path}."})
        try:
            if ask.method == "POST":
                self.faults.add(fault_of(ask.document(), rest=True))
            elif ask.method == "DELETE":
                self.faults.clear()
        except (UnknownFaultError, RefusalError) as problem:
            return Answer(400, {"error": str(problem)})
        return Answer(200, {"faults": self.faults.as_json()})

    def _restate(self, ask: Ask) -> Answer:
        """From now on one month (YYYY-MM) is told as the provider corrected it; nothing: as first billed."""
        try:
            month = month_asked(ask.document().get("month"))
        except (ValueError, RefusalError):
            return Answer(400, {"error": "month must be written as YYYY-MM."})
        if self.bills is None:
            return Answer(404, {"error": "This cloud charges nothing."})
        self.bills.restate(month)
        return Answer(200, {"restated": month.isoformat()[:7] if month else None})


_PAGES = frozenset({FaultKind.EMPTY_PAGE, FaultKind.REPEATED_PAGE})
_AFTER = _PAGES | {FaultKind.TIMEOUT_AFTER_SUCCESS, FaultKind.BROKEN_ANSWER, FaultKind.CLOCK_SKEW}


@dataclass
class Side:
    """Several clouds in one process, each beneath its own first piece of the path."""

    clouds: Mapping[str, RestCloud]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        name, _, rest = scope["path"].lstrip("/").partition("/")
        cloud = self.clouds.get(name)
        if cloud is None:
            known = ", ".join(f"/{known}/" for known in self.clouds)
            await _respond(send, Answer(404, {"error": f"Here are {known} only."}), datetime.now(UTC))
            return
        await cloud({**scope, "path": f"/{rest}", "root_path": f"/{name}"}, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _ask(scope: Scope, receive: Receive) -> Ask:
    headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    base = f"{scope.get('scheme', 'http')}://{headers.get('host', '')}{scope.get('root_path', '')}"
    query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
    return Ask(scope["method"], scope["path"], query, headers, body, base)


async def _start(send: Send, status: int, length: int, headers: Mapping[str, str], moment: datetime) -> None:
    pairs = {
        "content-type": "application/json",
        "content-length": str(length),
        "date": format_datetime(moment.astimezone(UTC), usegmt=True),
        **headers,
    }
    coded = [(name.encode(), value.encode()) for name, value in pairs.items()]
    await send({"type": "http.response.start", "status": status, "headers": coded})


async def _respond(send: Send, answer: Answer, moment: datetime, *, broken: bool = False) -> None:
    text = written(answer.document)
    text = text[: len(text) // 2] if broken else text
    await _start(send, answer.status, len(text), answer.headers, moment)
    await send({"type": "http.response.body", "body": text})


def written(document: object) -> bytes:
    """JSON whose Decimals are numbers with all their digits; nothing for None, and bytes as they are."""
    if document is None:
        return b""
    if isinstance(document, bytes):
        return document
    return _EXACT.sub(rb"\1", json.dumps(document, default=_number).encode())


def _number(value: object) -> str:
    if isinstance(value, Decimal):
        text = format(value, "f")
        return f"@{text.rstrip('0').rstrip('.') if '.' in text else text}@"
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def page(items: Sequence[Any], token: str, most: int) -> tuple[list[Any], str]:
    """One page of a list, and the token of the next one, empty on the last. Raises RefusalError for a token of nobody."""
    start = 0
    if token:
        try:
            start = int(base64.urlsafe_b64decode(token.encode()).decode().removeprefix("from-"))
        except ValueError:
            raise RefusalError(400, "BadRequest", "The page token is not valid.") from None
    following = start + most
    more = base64.urlsafe_b64encode(f"from-{following}".encode()).decode() if following < len(items) else ""
    return list(items[start:following]), more
