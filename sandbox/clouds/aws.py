"""The sandbox's AWS: a moto server with the organisation's accounts, groups that act by themselves, and faults."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from sandbox.clouds import aws_acting, aws_managed, aws_moto, aws_seed
from sandbox.clouds.aws_groups import GroupKeeper, wanted_on_demand
from sandbox.clouds.aws_told import Told
from sandbox.clouds.aws_wire import Call, RefusedError, call_of, error, key_of, worded
from sandbox.clouds.bills import Bills, month_asked
from sandbox.faults import Fault, FaultKind, Faults, UnknownFaultError, fault_of

if TYPE_CHECKING:
    from sandbox.story.lines import Line

CONTROL = "/sandbox/"
TICK_SECONDS = 0.1

Answer = tuple[int, object]
StartResponse = Callable[..., Any]


# Faults of pages can only hit the calls that the sandbox answers itself.
_PAGES = frozenset({FaultKind.EMPTY_PAGE, FaultKind.REPEATED_PAGE})
KINDS = frozenset(FaultKind) - {FaultKind.BROKEN_ANSWER, FaultKind.ABSENT}


class ControlError(ValueError):
    """A request to a control path that makes no sense; the text says why."""


@dataclass
class Aws:
    """The WSGI application: control paths, then faults, then moto. One lock orders calls and what AWS does alone."""

    moto: Any
    keeper: GroupKeeper
    told: Told
    acts: aws_acting.Acts
    faults: Faults = field(default_factory=Faults)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    lock: threading.RLock = field(default_factory=threading.RLock)
    calls: dict[str, int] = field(default_factory=dict)
    account_of: Callable[[str], str] = aws_moto.account_of
    # What moto was filled with so far: services are filled when they are first asked, if they are to be at all.
    filled: set[Callable[[datetime], None]] = field(default_factory=set)
    fills: bool = True

    def __post_init__(self) -> None:
        self.told.denied = self.faults.denies

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        body = _body(environ)
        if path.startswith(CONTROL):
            return self._control(environ["REQUEST_METHOD"], path.removeprefix(CONTROL), body, start_response)
        call = call_of(environ["REQUEST_METHOD"], path, _headers(environ), body, environ.get("QUERY_STRING", ""))
        self.calls[call.name] = self.calls.get(call.name, 0) + 1
        account = self.account_of(key_of(environ.get("HTTP_AUTHORIZATION", "")))
        # "100000000004/*" is everything that is asked in that account.
        names = (call.name, call.permission, call.action, f"{account}/{call.permission}")
        fault = self.faults.hit(*dict.fromkeys(names))
        if fault is not None and fault.kind not in _PAGES:
            return self._fail(fault, call, environ, start_response)
        try:
            answer = self.told.answer(call, account, body)
        except RefusedError as refused:
            return _say(start_response, *worded(call.protocol, refused.code, refused.text, refused.status))
        if answer is None:
            return self._ask_moto(call, account, environ, start_response)
        if isinstance(answer, str):
            return _say(start_response, 200, "text/xml", answer.encode())
        if fault is not None:
            answer = _turned(answer, fault.kind)
        return _say(start_response, 200, "application/x-amz-json-1.1", json.dumps(answer).encode())

    def _ask_moto(
        self, call: Call, account: str, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
        with self.lock:
            self._fill(call)
            if self.fills and (size := aws_managed.PER_PAGE.get((call.service, call.action))):
                _add_to_body(environ, size)
            if self.fills and call.name == "lambda:ListFunctions":
                return self._page(environ, start_response)
            # Joined inside the lock: a lazily made answer must not see what happens after it.
            return [b"".join(self.moto(environ, start_response))]

    def _fill(self, call: Call) -> None:
        wanted = (*aws_managed.SEEDS.get(call.service, ()), *aws_managed.SEEDS_OF_CALLS.get(call.name, ()))
        for fill in wanted if self.fills else ():
            if fill not in self.filled:
                fill(self.now())
                self.filled.add(fill)

    def _page(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        said: list[str] = []
        text = b"".join(self.moto(environ, lambda status, *_: said.append(status)))
        if said[0].startswith("200"):
            text = aws_managed.page_of_functions(text, environ.get("QUERY_STRING", ""))
        return _say(start_response, int(said[0].split()[0]), "application/json", text)

    def _fail(
        self, fault: Fault, call: Call, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        account = self.account_of(key_of(environ.get("HTTP_AUTHORIZATION", "")))
        if fault.kind is FaultKind.TIMEOUT_AFTER_SUCCESS:
            self._ask_moto(call, account, environ, lambda *_: None)
        if fault.kind in {FaultKind.TIMEOUT, FaultKind.TIMEOUT_AFTER_SUCCESS}:
            time.sleep(fault.seconds)
        if fault.kind in {FaultKind.TIMEOUT, FaultKind.TIMEOUT_AFTER_SUCCESS, FaultKind.CUT}:
            _hang_up(environ)
            start_response("500 Cut", [("Content-Length", "0")])
            return [b""]
        return _say(start_response, *error(call, fault.kind, account))

    def _control(self, method: str, path: str, body: bytes, start_response: StartResponse) -> Iterable[bytes]:
        try:
            status, answer = self.control(method, path, _document(body))
        except (ControlError, UnknownFaultError) as problem:
            status, answer = 400, {"error": str(problem)}
        text = json.dumps(answer).encode()
        start_response(f"{status} -", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    def control(self, method: str, path: str, asked: dict[str, Any]) -> Answer:
        """Answer a control request: what is asked of the sandbox itself, not of AWS."""
        if (method, path) == ("GET", "ready"):
            return 200, {"ready": True}
        if (method, path) == ("GET", "fleets"):
            return 200, self.fleets()
        if (method, path) == ("GET", "calls"):
            return 200, dict(sorted(self.calls.items()))
        if path == "fault":
            return self._faults(method, asked)
        if (method, path) == ("POST", "spot"):
            return 200, self._spot(asked)
        if (method, path) == ("POST", "interrupt"):
            return 200, self._interrupt(asked)
        if (method, path) == ("POST", "speed"):
            return 200, self._speed(asked)
        if (method, path) == ("POST", "acts"):
            return 200, self.acts.control(asked)
        if (method, path) == ("POST", "restate"):
            return 200, self._restate(asked)
        if (method, path) == ("POST", "reset"):
            self.reset()
            return 200, {"ok": True}
        return 404, {"error": f"There is no {method} {CONTROL}{path}."}

    def fleets(self) -> dict[str, dict[str, object]]:
        """Each group with its counted instances, and what its policy asks for."""
        with self.lock:
            return {group.name: self._fleet(group) for group in self.keeper.groups()}

    def _fleet(self, group: Any) -> dict[str, object]:
        census = self.keeper.census(group)
        tags = {tag["Key"]: tag["Value"] for tag in group.tags}
        return {
            "service": tags.get("service", ""),
            "account_id": group.account_id,
            "desired": census.desired,
            "on_demand": census.on_demand,
            "spot": census.spot,
            "terminating": sum(state.lifecycle_state == "Terminating" for state in group.instance_states),
            "pending": census.pending_on_demand + census.pending_spot,
            "wanted_on_demand": wanted_on_demand(group, census.desired),
            "wanted_spot": census.wanted_spot,
        }

    def _faults(self, method: str, asked: dict[str, Any]) -> Answer:
        if method == "POST":
            self.faults.add(fault_of(asked, kinds=KINDS))
        elif method == "DELETE":
            self.faults.clear()
        return 200, {"faults": self.faults.as_json()}

    def _spot(self, asked: dict[str, Any]) -> dict[str, object]:
        available = asked.get("available")
        if not isinstance(available, bool):
            raise ControlError("Say whether spot capacity is available: true or false.")
        with self.lock:
            if fleet := asked.get("fleet"):
                name = self._group(fleet).name
                (self.keeper.without_spot.discard if available else self.keeper.without_spot.add)(name)
            else:
                self.keeper.spot_available = available
                self.keeper.without_spot.clear()
            return {"available": self.keeper.spot_available, "without_spot": sorted(self.keeper.without_spot)}

    def _interrupt(self, asked: dict[str, Any]) -> dict[str, object]:
        count = asked.get("count", 1)
        if not isinstance(count, int) or count < 1:
            raise ControlError("count must be a whole number from 1.")
        with self.lock:
            return {"interrupted": self.keeper.interrupt(self._group(asked.get("fleet")), count)}

    def _speed(self, asked: dict[str, Any]) -> dict[str, object]:
        speed = asked.get("speed")
        if isinstance(speed, bool) or not isinstance(speed, int | float) or speed <= 0:
            raise ControlError("speed must be a number above 0.")
        self.keeper.speed = float(speed)
        return {"speed": self.keeper.speed}

    def _restate(self, asked: dict[str, Any]) -> dict[str, object]:
        """From now on Cost Explorer tells one month (YYYY-MM) as Amazon corrected it; nothing: as first billed."""
        try:
            month = month_asked(asked.get("month"))
        except ValueError:
            raise ControlError("month must be written as YYYY-MM.") from None
        self.told.bills.restate(month)
        return {"restated": month.isoformat()[:7] if month else None}

    def _group(self, name: object) -> Any:
        found = [group for group in self.keeper.groups() if group.name == name]
        if not found:
            names = ", ".join(sorted(group.name for group in self.keeper.groups()))
            raise ControlError(f"There is no fleet {name}; there are {names}.")
        return found[0]

    def reset(self) -> None:
        """Everything as at the start: no faults, the organisation's things, untouched."""
        with self.lock:
            self.faults.clear()
            self.calls.clear()
            aws_moto.forget()
            aws_managed.forget()
            self.filled.clear()
            self.keeper.forget()
            self.acts.forget()
            self.told.bills.restate(None)
            aws_seed.seed(self.keeper, self.now())

    def act(self, stop: threading.Event) -> None:
        """Let AWS act by itself until `stop` is set."""
        while not stop.wait(TICK_SECONDS):
            with self.lock:
                self.keeper.step(time.monotonic())
                self.acts.step(time.monotonic())


def build(
    speed: float,
    *,
    today: date | None = None,
    seed: int = 7,
    months: int = 13,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Aws:
    """An AWS with the organisation's things in it, and its bills of so many months up to `today`.

    Call once per process: moto's memory is the process's.
    """
    application = aws_moto.load()
    keeper = GroupKeeper(aws_moto.autoscaling, speed)
    aws_moto.teach(keeper, now)
    acts = aws_acting.teach(keeper, now)
    aws_seed.seed(keeper, now())
    return Aws(application, keeper, Told(Bills(_lines, seed, today or now().date(), months)), acts, now=now)


def _lines() -> Iterable[Line]:
    from sandbox.story.aws_lines import lines

    return lines()


def serve(listener: socket.socket, aws: Aws, stop: threading.Event) -> None:
    """Answer on an already bound socket until `stop` is set."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):
        def log(self, *_: Any) -> None:
            """A sandbox that logs every call would hide what matters."""

    host, port = listener.getsockname()[:2]
    server = make_server(host, port, aws, threaded=True, request_handler=Quiet, fd=listener.fileno())
    server.daemon_threads = True  # type: ignore[attr-defined]  # of the threading mix-in
    actor = threading.Thread(target=aws.act, args=(stop,), name="aws-acts", daemon=True)
    actor.start()
    threading.Thread(target=server.serve_forever, args=(0.05,), name="aws-serves", daemon=True).start()
    stop.wait()
    server.shutdown()
    actor.join(2)


def _say(start_response: StartResponse, status: int, content_type: str, text: bytes) -> Iterable[bytes]:
    start_response(f"{status} -", [("Content-Type", content_type), ("Content-Length", str(len(text)))])
    return [text]


def _turned(answer: dict[str, Any], kind: FaultKind) -> dict[str, Any]:
    """A page that names itself as the next one; an empty one has nothing else."""
    names = [name for name in ("NextPageToken", "NextToken", "nextToken") if name in answer] or ["NextPageToken"]
    lists: dict[str, list[Any]] = {name: [] for name, value in answer.items() if isinstance(value, list)}
    return answer | (lists if kind is FaultKind.EMPTY_PAGE else {}) | {names[0]: "lumen-0"}


def _body(environ: dict[str, Any]) -> bytes:
    """The request's body, read, and put back for moto."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    if length:
        environ["wsgi.input"] = io.BytesIO(body)
    return body


def _add_to_body(environ: dict[str, Any], more: bytes) -> None:
    body = environ["wsgi.input"].read() + more
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        raise ControlError("The body is not JSON.") from None
    if not isinstance(document, dict):
        raise ControlError("The body must be a JSON object.")
    return document


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    headers = {k[5:].replace("_", "-").lower(): str(v) for k, v in environ.items() if k.startswith("HTTP_")}
    return headers | {"content-type": str(environ.get("CONTENT_TYPE", ""))}


def _hang_up(environ: dict[str, Any]) -> None:
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
