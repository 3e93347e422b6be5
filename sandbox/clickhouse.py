"""The sandbox's ClickHouse: the real engine (chDB) in this process, behind the HTTP interface that clients speak."""

from __future__ import annotations

import base64
import re
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

# An INSERT whose rows follow in the body: what to do, the format, and one end of line.
_WITH_ROWS = re.compile(
    rb"\s*(?P<what>INSERT\s+INTO\s.*?)\s+FORMAT\s+(?P<format>\w+)[ \t]*\r?\n", re.IGNORECASE | re.DOTALL
)
_INPUT = re.compile(r"\binput\(\s*('(?:[^'\\]|\\.)*')\s*\)", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)\.")
_HEAD = 1 << 16
# What belongs to the transport, not to the query.
_OF_HTTP = frozenset(
    {
        "client_protocol_version", "compress", "database", "decompress", "default_format", "enable_http_compression",
        "http_headers_progress_interval_ms", "password", "query", "query_id", "role", "send_progress_in_http_headers",
        "session_id", "session_timeout", "user", "wait_end_of_query",
    }
)  # fmt: skip
_REFUSED = 516


class RefusedError(Exception):
    """The engine refused a query; the text is ClickHouse's own."""


class Engine:
    """One chDB session: queries come one after the other, each in the database and with the settings it names."""

    def __init__(self, folder: Path) -> None:
        from chdb.session import Session

        self._session = Session(str(folder))
        self._lock = threading.Lock()
        self._database = "default"
        self._settings: dict[str, str] = {}

    def run(
        self, query: str, form: str, database: str, settings: Mapping[str, str], parameters: Mapping[str, str]
    ) -> bytes:
        """The answer in the format of the query, else in `form`. Raises RefusedError."""
        with self._lock:
            if database != self._database:
                self._ask(f"USE {_identifier(database or 'default')}")
                self._database = database
            # Only what differs from the query before: each of these takes as long as a small question.
            for name in self._settings.keys() - settings.keys():
                self._ask(f"SET {_identifier(name)} = DEFAULT")
                del self._settings[name]
            for name, value in settings.items():
                if self._settings.get(name) != value:
                    self._ask(f"SET {_identifier(name)} = {_text(value)}")
                    self._settings[name] = value
            return self._ask(query, form, dict(parameters))

    def _ask(self, query: str, form: str = "TabSeparated", parameters: Mapping[str, str] | None = None) -> bytes:
        try:
            answer: bytes = self._session.query(query, form, params=parameters or None).bytes()
        except RuntimeError as problem:
            raise RefusedError(str(problem)) from None
        return answer or b""

    def close(self) -> None:
        self._session.close()


def build(folder: Path, password: str = "") -> tuple[Starlette, Engine]:
    """The HTTP interface as an ASGI application. With a password only the user `default` who knows it is let in."""
    engine = Engine(folder)
    door = _Door(engine, password)
    routes = [
        Route("/", door.query, methods=["GET", "POST"]),
        Route("/ping", door.ping),
        Route("/sandbox/down", door.down, methods=["POST"]),
    ]
    return Starlette(routes=routes), engine


class _Door:
    def __init__(self, engine: Engine, password: str) -> None:
        self._engine = engine
        self._password = password
        self._down = 0

    async def ping(self, request: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    async def down(self, request: Request) -> Response:
        """The next so many queries find a server that cannot answer."""
        self._down = int((await request.json())["queries"])
        return Response("{}", media_type="application/json")

    async def query(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if not self._known(request, asked):
            return _refusal(f"Code: {_REFUSED}. DB::Exception: default: Authentication failed. (AUTHENTICATION_FAILED)")
        if self._down:
            self._down -= 1
            return PlainTextResponse("Service Unavailable", status_code=503)
        with tempfile.NamedTemporaryFile(prefix="clickhouse-body-") as body:
            if asked.get("query"):
                body.write(asked["query"].encode() + b"\n")
            async for block in request.stream():
                body.write(block)
            body.flush()
            try:
                answer = await run_in_threadpool(self._answer, Path(body.name), asked)
            except RefusedError as problem:
                return _refusal(str(problem))
        return Response(answer, headers=_told(asked), media_type="application/octet-stream")

    def _answer(self, body: Path, asked: Mapping[str, str]) -> bytes:
        settings = {k: v for k, v in asked.items() if k not in _OF_HTTP and not k.startswith("param_")}
        parameters = {k.removeprefix("param_"): v for k, v in asked.items() if k.startswith("param_")}
        form, database = asked.get("default_format") or "TabSeparated", asked.get("database", "")
        with body.open("rb") as file:
            head = _WITH_ROWS.match(file.read(_HEAD))
            if head is None:
                file.seek(0)
                return self._engine.run(file.read().decode(), form, database, settings, parameters)
            file.seek(head.end())
            with tempfile.NamedTemporaryFile(prefix="clickhouse-rows-") as rows:
                while block := file.read(1 << 20):
                    rows.write(block)
                rows.flush()
                query = _from_file(head["what"].decode(), head["format"].decode(), rows.name)
                return self._engine.run(query, form, database, settings, parameters)

    def _known(self, request: Request, asked: Mapping[str, str]) -> bool:
        if not self._password:
            return True
        given = request.headers.get("Authorization", "")
        wanted = base64.b64encode(f"default:{self._password}".encode()).decode()
        return given == f"Basic {wanted}" or asked.get("password") == self._password


def _from_file(what: str, form: str, path: str) -> str:
    """The same INSERT with its rows in a file, as an engine without a network takes it."""
    if _INPUT.search(what):
        return _INPUT.sub(lambda found: f"file({_text(path)}, {_text(form)}, {found[1]})", what)
    return f"{what} FROM INFILE {_text(path)} FORMAT {form}"


def _refusal(words: str) -> Response:
    code = _CODE.search(words)
    number = code[1] if code else "1000"
    status = 401 if number == str(_REFUSED) else 500
    return PlainTextResponse(words, status_code=status, headers={"X-ClickHouse-Exception-Code": number})


def _told(asked: Mapping[str, str]) -> dict[str, str]:
    return {
        "X-ClickHouse-Summary": "{}",
        "X-ClickHouse-Query-Id": asked.get("query_id", ""),
        "X-ClickHouse-Timezone": "UTC",
        "X-ClickHouse-Format": asked.get("default_format") or "TabSeparated",
    }


def _identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _text(value: Any) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
