"""Bigquery: runs one statement over BigQuery's REST API - priced first, capped, all pages, every row accounted for."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tools.model.errors import DeniedError, ProviderError, TransientError
from tools.providers.gcp.connection import PROVIDER, Connection, granted, items
from tools.providers.gcp.describing import whole
from tools.providers.gcp.mapping import Cells
from tools.providers.gcp.statements import Export, Statement, TableName
from tools.providers.rest import Asking, Document, not_as_described

RUN, LOOK, READ = "bigquery.jobs.create", "bigquery.tables.get", "bigquery.tables.getData"
ROWS = 5000
WAIT_MILLISECONDS = 10_000
# So often is a query waited for: with the wait above, five minutes.
MOST_WAITS = 30
_GIGABYTE = 1_000_000_000
_DAILY = {"DAY", "MONTH", "HOUR", "YEAR"}


@dataclass(frozen=True, slots=True)
class BigQuery:
    """Runs statements for one project, which pays for them; none reads more than `most_gigabytes`."""

    connection: Connection
    project: str
    most_gigabytes: int
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex

    def describe(self, name: TableName) -> Export:
        """What a table holds. Raises ProviderError for one that is no billing export."""
        asking = Asking(f"looking at the billing table {name}", LOOK)
        told = self.connection.get("bigquery", name.path, asking)
        schema = told.get("schema")
        fields = items(schema, "fields", asking) if isinstance(schema, dict) else []
        export = Export(
            name,
            {str(field.get("name")): _type(field) for field in fields},
            _partition(told.get("timePartitioning")),
            str(told.get("location") or ""),
        )
        export.check()
        return export

    def missing(self, name: TableName) -> tuple[str, ...]:
        """Which permissions we lack to run queries and to read the table."""
        asking = Asking("asking what may be read in BigQuery")
        may_run = self.connection.permitted(self.project, (RUN,), asking)
        body = {"permissions": [LOOK, READ]}
        may_read = granted(self.connection.post("bigquery", f"{name.path}:testIamPermissions", body, asking), asking)
        return tuple(sorted({RUN, LOOK, READ} - may_run - may_read))

    def rows(self, export: Export, statement: Statement, doing: str) -> Iterator[Cells]:
        """Every row of the answer. Raises a ProviderError rather than give part of them, or read too much."""
        asking = Asking(doing, READ)
        self._price(export, statement, asking)
        body = self._body(export, statement) | {
            "maximumBytesBilled": str(self.most_gigabytes * _GIGABYTE),
            "maxResults": ROWS,
            "timeoutMs": WAIT_MILLISECONDS,
            # The same for every attempt: an answer that got lost does not pay for the query twice.
            "requestId": self.new_id(),
        }
        first = self.connection.post("bigquery", f"bigquery/v2/projects/{self.project}/queries", body, asking)
        first = self._finished(first, asking)
        names = [str(field.get("name")) for field in items(first.get("schema", {}), "fields", asking)]
        count = 0
        for page in self._pages(first, asking):
            for row in items(page, "rows", asking):
                count += 1
                yield _cells(names, row, asking)
        if count != whole(first.get("totalRows")):
            raise TransientError(
                f"BigQuery told {whole(first.get('totalRows'))} rows but gave {count} while {doing}; none is used.",
                fix="It is read again at the next collection.",
            )

    def _body(self, export: Export, statement: Statement) -> Document:
        return {
            "query": statement.sql,
            "useLegacySql": False,
            "parameterMode": "NAMED",
            "queryParameters": [
                {"name": name, "parameterType": {"type": kind}, "parameterValue": {"value": value}}
                for name, (kind, value) in statement.parameters.items()
            ],
            "labels": {"app": "optiinfra"},
            **({"location": export.location} if export.location else {}),
        }

    def _price(self, export: Export, statement: Statement, asking: Asking) -> None:
        """Ask first how much it would read; asking costs nothing."""
        body = self._body(export, statement) | {"dryRun": True}
        told = self.connection.post("bigquery", f"bigquery/v2/projects/{self.project}/queries", body, asking)
        gigabytes = -(-whole(told.get("totalBytesProcessed")) // _GIGABYTE)
        if gigabytes > self.most_gigabytes:
            raise ProviderError(
                f"BigQuery would read {gigabytes} GB while {asking.doing}; at most {self.most_gigabytes} GB are allowed.",
                fix="Raise OPTIINFRA_GCP_QUERY_GIGABYTES if that is what it should cost.",
            )

    def _finished(self, told: Document, asking: Asking) -> Document:
        """The first page of a finished query, waited for in bounded time."""
        for _ in range(MOST_WAITS):
            _refuse_failed(told, asking)
            if told.get("jobComplete") is True:
                return told
            told = self._results(told, asking, timeoutMs=str(WAIT_MILLISECONDS))
        raise TransientError(
            f"BigQuery did not finish its work while {asking.doing}.", fix="It is tried again at the next collection."
        )

    def _pages(self, first: Document, asking: Asking) -> Iterator[Document]:
        def ask(token: str) -> tuple[Document, str]:
            page = first if not token else self._results(first, asking, pageToken=token)
            _refuse_failed(page, asking)
            return page, str(page.get("pageToken") or "")

        return self.connection.services["bigquery"].pages(ask, asking)

    def _results(self, of: Document, asking: Asking, **more: str) -> Document:
        job = of.get("jobReference")
        if not isinstance(job, dict) or not job.get("jobId"):
            raise not_as_described(PROVIDER, asking.doing)
        place = {"location": str(job["location"])} if job.get("location") else {}
        path = f"bigquery/v2/projects/{self.project}/queries/{job['jobId']}"
        # An answer that does not name its job is of the same one; nothing else of the page before may shine through.
        page = self.connection.get("bigquery", path, asking, maxResults=str(ROWS), **place, **more)
        return {"jobReference": job} | page


def _refuse_failed(told: Mapping[str, object], asking: Asking) -> None:
    errors = told.get("errors")
    if isinstance(errors, list) and errors and told.get("jobComplete") is not True:
        raise ProviderError(f"BigQuery could not do it: {asking.doing}.", fix="Check the billing table's settings.")


def _cells(names: list[str], row: Document, asking: Asking) -> Cells:
    values = items(row, "f", asking)
    if len(values) != len(names):
        raise not_as_described(PROVIDER, asking.doing)
    return {
        name: None if value.get("v") is None else str(value["v"]) for name, value in zip(names, values, strict=True)
    }


def _type(field: Document) -> str:
    kind = str(field.get("type", ""))
    return f"{kind} {field['mode']}" if field.get("mode") == "REPEATED" else kind


def _partition(told: object) -> str:
    """The column that cuts the table by load time; other partitions do not tell when a row came."""
    if not isinstance(told, dict) or told.get("type") not in _DAILY:
        return ""
    field = str(told.get("field") or "_PARTITIONTIME")
    return field if field in {"_PARTITIONTIME", "export_time", "x_ExportTime"} else ""


def lacking(error: ProviderError) -> tuple[str, ...]:
    """The permission that an error names, if any."""
    return (error.permission,) if isinstance(error, DeniedError) and error.permission else ()
