"""Athena: runs one statement over the AWS API - waited for in bounded time, all pages, what was read is told."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.model.errors import ProviderError, SettingsError, TransientError
from tools.providers.aws.connection import Connection
from tools.providers.aws.refusals import our_words
from tools.telemetry.logs import get_logger

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient

PAGE = 1000
# Ten minutes in all: a month's roll-up takes seconds, a queue may take longer.
WAITS = 200
WAIT_SECONDS = 3.0
_NAME = re.compile(r"(?:([A-Za-z0-9_-]{1,127})\.)?([A-Za-z0-9_]{1,255})\.([A-Za-z0-9_]{1,255})")
_RUNNING = {"QUEUED", "RUNNING"}
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TableName:
    """A table by its names in the Glue data catalog."""

    catalog: str
    database: str
    table: str

    @classmethod
    def of(cls, text: str) -> TableName:
        """From DATABASE.TABLE or CATALOG.DATABASE.TABLE; raises SettingsError for anything else."""
        found = _NAME.fullmatch(text.strip())
        if found is None:
            raise SettingsError(
                "OPTIINFRA_AWS_BILLING_TABLE is not the name of an Athena table.",
                fix="Write it as DATABASE.TABLE, or CATALOG.DATABASE.TABLE.",
            )
        return cls(found[1] or "AwsDataCatalog", found[2], found[3])

    @property
    def sql(self) -> str:
        return f'"{self.catalog}"."{self.database}"."{self.table}"'

    def __str__(self) -> str:
        return f"{self.database}.{self.table}"


@dataclass(frozen=True, slots=True)
class Athena:
    """Runs statements in one workgroup, which sets the limit of what one may read and where results are kept."""

    connection: Connection
    workgroup: str
    output: str = ""
    sleep: Callable[[float], None] = time.sleep
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex

    def columns(self, name: TableName) -> dict[str, str]:
        """Column name in small letters -> type, partition keys included."""
        with our_words(f"looking at the table {name}"):
            told = self._client().get_table_metadata(
                CatalogName=name.catalog, DatabaseName=name.database, TableName=name.table, WorkGroup=self.workgroup
            )["TableMetadata"]
        found = (*told.get("Columns", ()), *told.get("PartitionKeys", ()))
        return {column["Name"].lower(): column.get("Type", "").lower() for column in found}

    def rows(self, sql: str, doing: str) -> Iterator[list[str | None]]:
        """Every row of the answer. Raises a ProviderError rather than give part of them."""
        with our_words(doing):
            # The token makes it one query, however often the call is repeated.
            how: dict[str, Any] = {"ResultConfiguration": {"OutputLocation": self.output}} if self.output else {}
            started = self._client().start_query_execution(
                QueryString=sql, WorkGroup=self.workgroup, ClientRequestToken=self.new_id(), **how
            )["QueryExecutionId"]
            self._wait(started, doing)
            yield from self._pages(started)

    def _wait(self, query: str, doing: str) -> None:
        for _ in range(WAITS):
            told = self._client().get_query_execution(QueryExecutionId=query)["QueryExecution"]
            state = told["Status"]["State"]
            if state == "SUCCEEDED":
                scanned = told.get("Statistics", {}).get("DataScannedInBytes", 0)
                _log.info("athena_read", doing=doing, bytes_scanned=scanned, workgroup=self.workgroup)
                return
            if state not in _RUNNING:
                raise ProviderError(
                    f"Athena could not do it while {doing} (query {query} {state.lower()}).",
                    fix="Look the query up in Athena's history: the workgroup's limit of bytes, or missing rights to S3 or Glue.",
                )
            self.sleep(WAIT_SECONDS)
        self._client().stop_query_execution(QueryExecutionId=query)
        raise TransientError(
            f"Athena did not finish its work while {doing}; the query was stopped.",
            fix="It is tried again at the next collection.",
        )

    def _pages(self, query: str) -> Iterator[list[str | None]]:
        token: dict[str, Any] = {}
        first, seen = True, set[str]()
        while True:
            page = self._client().get_query_results(QueryExecutionId=query, MaxResults=PAGE, **token)
            rows = page["ResultSet"]["Rows"]
            # The first row of the first page names the columns.
            for row in rows[1:] if first else rows:
                yield [cell.get("VarCharValue") for cell in row["Data"]]
            first = False
            following = page.get("NextToken", "")
            if not following:
                return
            if following in seen:
                raise TransientError("Athena's pages go in circles; none of them is used.", fix="It is tried again.")
            seen.add(following)
            token = {"NextToken": following}

    def _client(self) -> AthenaClient:
        client: AthenaClient = self.connection.client("athena", "", self.connection.home)
        return client
