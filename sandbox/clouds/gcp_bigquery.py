"""The sandbox's BigQuery: runs the statements it is sent on the story's billing export, with pages and prices."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.clouds.bills import Bills
from sandbox.clouds.gcp_export import TABLES, fill
from sandbox.clouds.rest import Ask, RefusalError, page

if TYPE_CHECKING:
    import duckdb

DATASET = "billing_export"
LOCATION = "EU"
# BigQuery's pages are of megabytes; few rows, so that there is always more than one.
MOST_ROWS = 400
BYTES_A_ROW = 640
_TABLE = re.compile(r"`([^`]+)`")
_PARAMETER = re.compile(r"@(\w+)")
_UNNEST = re.compile(r"UNNEST\((\w+)\) AS (\w+)")
_KINDS = {"DATE": "DATE", "VARCHAR": "STRING", "BIGINT": "INTEGER", "DOUBLE": "FLOAT", "TIMESTAMP": "TIMESTAMP"}
_READ: dict[str, Callable[[str], object]] = {
    "STRING": str,
    "DATE": date.fromisoformat,
    "TIMESTAMP": lambda text: datetime.fromisoformat(text).replace(tzinfo=None),
}


@dataclass
class Job:
    """A query that was run: its columns and rows, and whether it is told to be finished yet."""

    id: str
    fields: list[dict[str, str]]
    rows: list[dict[str, Any]]
    bytes: int
    finished: bool


@dataclass
class BigQuery:
    """The export's tables and the jobs that were run on them."""

    bills: Bills
    project: str
    jobs: dict[str, Job] = field(default_factory=dict)
    by_request: dict[str, str] = field(default_factory=dict)
    _database: duckdb.DuckDBPyConnection | None = None
    # The corrected month of the bills that the tables hold.
    _as_of: date | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def table(self, ask: Ask) -> dict[str, Any]:
        """tables.get: schema, place, and that it is cut by the day of loading."""
        name = self._known(f"{ask.parts['project']}.{ask.parts['dataset']}.{ask.parts['table']}")
        database = self._open()
        described = database.execute(f'DESCRIBE "{name}"').fetchall()
        fields = [_field(column, kind) for column, kind, *_ in described if column != "_PARTITIONTIME"]
        view = name.endswith("_view")
        more = {} if view else {"timePartitioning": {"type": "DAY"}}
        return more | {
            "kind": "bigquery#table",
            "id": f"{self.project}:{DATASET}.{name}",
            "type": "VIEW" if view else "TABLE",
            "location": LOCATION,
            "schema": {"fields": fields},
        }

    def query(self, ask: Ask) -> dict[str, Any]:
        """jobs.query: a price for a dry run, else the first page, or that it takes a while."""
        asked = ask.document()
        if asked.get("useLegacySql") is not False or asked.get("parameterMode") != "NAMED":
            raise RefusalError(400, "invalidQuery", "Only standard SQL with named parameters is spoken here.")
        if asked.get("location") not in {None, LOCATION}:
            raise RefusalError(404, "notFound", f"Not found: Dataset {self.project}:{DATASET} in that location")
        with self._lock:
            return self._run(asked)

    def _run(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        known = self.by_request.get(str(asked.get("requestId", "")))
        if known:
            return self._answer(self.jobs[known], "", asked.get("maxResults"))
        sql, parameters = str(asked.get("query", "")), _parameters(asked)
        size = self._priced(sql)
        if asked.get("dryRun"):
            return {"kind": "bigquery#queryResponse", "totalBytesProcessed": str(size), "jobComplete": True}
        most = asked.get("maximumBytesBilled")
        if most is not None and size > int(most):
            raise RefusalError(400, "bytesBilledLimitExceeded", f"Query exceeded limit for bytes billed: {most}.")
        job = self._job(sql, parameters, size)
        if asked.get("requestId"):
            self.by_request[str(asked["requestId"])] = job.id
        return self._answer(job, "", asked.get("maxResults"))

    def _priced(self, sql: str) -> int:
        name = self._known(_TABLE.findall(sql)[0] if _TABLE.search(sql) else "")
        if not name.endswith("_view") and "_PARTITIONTIME" not in sql:
            text = f"Cannot query over table '{name}' without a filter over column(s) '_PARTITIONTIME'"
            raise RefusalError(400, "invalidQuery", text)
        counted = self._open().execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608 - a name of ours
        return int(counted[0]) * BYTES_A_ROW if counted else 0

    def _job(self, sql: str, parameters: dict[str, Any], size: int) -> Job:
        import duckdb

        try:
            found = self._open().execute(self._translated(sql), parameters)
            rows = found.fetchall()
        except duckdb.Error as problem:
            raise RefusalError(400, "invalidQuery", f"Syntax error: {problem}") from None
        fields = [{"name": name, "type": _kind(str(kind)), "mode": "NULLABLE"} for name, kind, *_ in found.description]
        written = [{"f": [{"v": _value(cell)} for cell in row]} for row in rows]
        # Every other query takes longer than its caller waits at first.
        job = Job(f"job_{len(self.jobs) + 1:08d}", fields, written, size, finished=len(self.jobs) % 2 == 1)
        self.jobs[job.id] = job
        return job

    def results(self, ask: Ask) -> dict[str, Any]:
        """getQueryResults: a page of a job."""
        job = self.jobs.get(ask.parts["job"])
        if job is None or ask.query.get("location") not in {None, LOCATION}:
            raise RefusalError(404, "notFound", f"Not found: Job {ask.parts['job']}")
        job.finished = True
        return self._answer(job, ask.query.get("pageToken", ""), ask.query.get("maxResults"))

    def _answer(self, job: Job, token: str, most: object) -> dict[str, Any]:
        told: dict[str, Any] = {
            "kind": "bigquery#queryResponse",
            "jobReference": {"projectId": self.project, "jobId": job.id, "location": LOCATION},
            "jobComplete": job.finished,
        }
        if not job.finished:
            return told
        asked = int(str(most)) if str(most or "").isdigit() else MOST_ROWS
        rows, more = page(job.rows, token, min(asked, MOST_ROWS))
        told |= {
            "schema": {"fields": job.fields},
            "totalRows": str(len(job.rows)),
            "totalBytesProcessed": str(job.bytes),
            "cacheHit": False,
        }
        return told | ({"rows": rows} if rows else {}) | ({"pageToken": more} if more else {})

    def _known(self, full: str) -> str:
        project, _, rest = full.partition(".")
        dataset, _, name = rest.partition(".")
        if (project, dataset) != (self.project, DATASET) or name not in TABLES:
            raise RefusalError(404, "notFound", f"Not found: Table {full.replace('.', ':', 1)}")
        return name

    def _translated(self, sql: str) -> str:
        """The statement in DuckDB's words, which are nearly BigQuery's own."""
        sql = _TABLE.sub(lambda found: f'"{self._known(found[1])}"', sql)
        sql = _UNNEST.sub(r"(SELECT UNNEST(\1, recursive := true)) AS \2", sql)
        sql = sql.replace("AS NUMERIC)", "AS DECIMAL(38, 9))")
        return _PARAMETER.sub(r"$\1", sql)

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._database is not None and self._as_of != self.bills.restated:
            self._database.close()
            self._database = None
            self.jobs.clear()
            self.by_request.clear()
        if self._database is None:
            self._database, self._as_of = fill(self.bills), self.bills.restated
        return self._database


def _parameters(asked: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    used = set(_PARAMETER.findall(str(asked.get("query", ""))))
    for one in asked.get("queryParameters", []):
        kind, value = one["parameterType"]["type"], one["parameterValue"]["value"]
        if kind not in _READ:
            raise RefusalError(400, "invalid", f"Parameters of type {kind} are not known here.")
        if one["name"] in used:
            found[one["name"]] = _READ[kind](value)
    if missing := used - set(found):
        raise RefusalError(400, "invalidQuery", f"Query parameter '{min(missing)}' not found")
    return found


def _kind(told: str) -> str:
    return "NUMERIC" if told.startswith("DECIMAL") else _KINDS.get(told, "STRING")


def _field(name: str, told: str) -> dict[str, str]:
    if told.endswith("[]"):
        return {"name": name, "type": "RECORD", "mode": "REPEATED"}
    kind = "RECORD" if told.startswith("STRUCT") else _kind(told)
    return {"name": name, "type": kind, "mode": "NULLABLE"}


def _value(cell: object) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, Decimal):
        text = format(cell, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(cell)
