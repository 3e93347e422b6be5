"""An Athena of the tests: the AWS API on loopback, whose statements DuckDB runs after sqlglot has read them as Athena's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import sqlglot

_AMOUNTS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
_TIMES = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
_WHO = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::123456789012:role/reader</Arn><UserId>x</UserId><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""


@dataclass
class AthenaEngine:
    """One table of a FOCUS export. `statements` are what was asked; `page` is how many rows a page has.

    `states` are told one after the other before SUCCEEDED; `lost` is how many rows of the next roll-up get lost.
    """

    db: duckdb.DuckDBPyConnection
    tags: str
    url: str = ""
    page: int = 50
    states: list[str] = field(default_factory=lambda: ["QUEUED", "RUNNING"])
    statements: list[str] = field(default_factory=list)
    lost: int = 0
    partition: bool = True
    refused: str = ""
    _answers: dict[str, list[list[str | None]]] = field(default_factory=dict)
    _waiting: dict[str, list[str]] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)

    def answer(self, action: str, asked: dict[str, Any]) -> dict[str, Any]:
        if action == "GetTableMetadata":
            return {"TableMetadata": {"Name": asked["TableName"], **self._columns()}}
        if action == "StartQueryExecution":
            return {"QueryExecutionId": self._start(asked)}
        number = asked["QueryExecutionId"]
        if action == "StopQueryExecution":
            self.stopped.append(number)
            return {}
        if action == "GetQueryExecution":
            waiting = self._waiting[number]
            state = waiting.pop(0) if waiting else "SUCCEEDED"
            status = {"State": state}
            return {"QueryExecution": {"Status": status, "Statistics": {"DataScannedInBytes": 1234}}}
        rows = self._answers[number]
        first = int(asked.get("NextToken", 0))
        last = first + min(self.page, asked["MaxResults"])
        shown = [{"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in rows[first:last]]
        more = {"NextToken": str(last)} if last < len(rows) else {}
        return {"ResultSet": {"Rows": shown}} | more

    def _columns(self) -> dict[str, Any]:
        found = self.db.execute('DESCRIBE "AwsDataCatalog".costs.focus').fetchall()
        columns = [{"Name": name.lower(), "Type": "string"} for name, *_ in found if name != "billing_period"]
        columns = [{**c, "Type": self.tags} if c["Name"] == "tags" else c for c in columns]
        return {
            "Columns": columns,
            "PartitionKeys": [{"Name": "billing_period", "Type": "string"}] if self.partition else [],
        }

    def _start(self, asked: dict[str, Any]) -> str:
        if asked["ClientRequestToken"] in self._tokens:
            return self._tokens[asked["ClientRequestToken"]]
        self.statements.append(asked["QueryString"])
        (sql,) = sqlglot.transpile(asked["QueryString"], read="athena", write="duckdb")
        found = self.db.execute(sql)
        names: list[str | None] = [column[0] for column in found.description]
        rows = [[None if cell is None else _text(cell) for cell in row] for row in found.fetchall()]
        if len(names) > 12 and self.lost:
            rows = rows[self.lost :]
        number = f"query-{len(self.statements)}"
        self._answers[number] = [names, *rows]
        self._waiting[number] = list(self.states)
        self._tokens[asked["ClientRequestToken"]] = number
        return number


def _text(cell: object) -> str:
    return format(cell, "f") if hasattr(cell, "as_tuple") else str(cell)


@contextmanager
def athena(bill: Path, tags: str = "map<string,string>") -> Iterator[AthenaEngine]:
    """A FOCUS csv file as the table costs.focus, cut by billing period; Tags are a map, or JSON text ("string")."""
    db = duckdb.connect()
    db.execute("ATTACH ':memory:' AS \"AwsDataCatalog\"")
    db.execute('CREATE SCHEMA "AwsDataCatalog".costs')
    typed = [f"CAST(nullif({name}, '') AS DECIMAL(38, 18)) AS {name}" for name in _AMOUNTS]
    typed += [f"CAST({name} AS TIMESTAMP) AS {name}" for name in _TIMES]
    if tags.startswith("map"):
        typed.append("CAST(CAST(nullif(Tags, '') AS JSON) AS MAP(VARCHAR, VARCHAR)) AS Tags")
    db.execute(
        f'CREATE TABLE "AwsDataCatalog".costs.focus AS SELECT * REPLACE ({", ".join(typed)}), '
        f"left(BillingPeriodStart, 7) AS billing_period FROM read_csv('{bill}', all_varchar = true, header = true, "
        "delim = ',', quote = '\"', nullstr = '\x01')"
    )
    engine = AthenaEngine(db, tags)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(engine))
    engine.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield engine
    server.shutdown()
    server.server_close()
    thread.join(5)
    db.close()


def _handler(engine: AthenaEngine) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            if not action:
                self._send(200, _WHO.encode(), "text/xml")
                return
            if action == engine.refused:
                words = f"User: x is not authorized to perform: athena:{action} on resource: y"
                document = {"__type": "AccessDeniedException", "Message": words}
                self._send(400, json.dumps(document).encode(), "application/x-amz-json-1.1")
                return
            with lock:
                answer = engine.answer(action, json.loads(body))
            self._send(200, json.dumps(answer).encode(), "application/x-amz-json-1.1")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    return Handler
