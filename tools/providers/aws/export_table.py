"""Export table: a FOCUS export of AWS that lies in Athena, rolled up there a month at a time."""

# ruff: noqa: S608 - the table's name is checked, values are quoted
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tools.model.errors import DeniedError, ProviderError, SettingsError
from tools.model.period import Period
from tools.providers.aws.athena import Athena, TableName
from tools.providers.aws.connection import PROVIDER, Connection
from tools.providers.aws.refusals import our_words
from tools.providers.base import Access
from tools.providers.focus import pushed
from tools.providers.focus.pushed import quoted
from tools.providers.focus.rows import month_of
from tools.settings import Settings

# AWS keeps changing a month's rows for some days after its end.
CLOSES_AFTER = timedelta(days=7)
_PARTITION = "billing_period"
# A charge without tags may have an empty text there, which is no JSON.
_JSON = "NULLIF(TRIM(Tags), '')"


@dataclass(frozen=True, slots=True)
class AthenaWords:
    """Athena's (Trino's) own words. `tags` is the type of the column Tags: a map, or text with JSON in it."""

    tags: str

    def day(self, column: str) -> str:
        return f"CAST({column} AS DATE)"

    def number(self, column: str) -> str:
        return f"CAST({column} AS DECIMAL(38, 18))"

    def value(self, tag: str) -> str:
        if self.tags.startswith("map"):
            return f"element_at(Tags, {quoted(tag)})"
        path = '$["' + tag.replace("\\", "\\\\").replace('"', '\\"') + '"]'
        return f"json_extract_scalar({_JSON}, {quoted(path)})"

    def keys(self) -> str:
        """The keys of one row's tags, as an array."""
        return (
            "map_keys(Tags)"
            if self.tags.startswith("map")
            else f"map_keys(CAST(json_parse({_JSON}) AS MAP(VARCHAR, JSON)))"
        )

    def no_text(self) -> str:
        return "CAST('' AS VARCHAR)"

    def no_number(self) -> str:
        return "CAST(NULL AS DECIMAL(38, 18))"


@dataclass(frozen=True, slots=True)
class AwsExportTable:
    """The Billing of one export table in Athena. Only rolled rows come over: there is no cost per resource in them."""

    athena: Athena
    table: TableName
    tag_keys: tuple[str, ...]
    now: Callable[[], datetime]
    provider: str = PROVIDER

    @classmethod
    def of(cls, settings: Settings, connection: Connection, now: Callable[[], datetime]) -> AwsExportTable:
        """From the settings; raises SettingsError when no table is named, or not by its names."""
        if not settings.aws_billing_table:
            raise SettingsError("AWS's export table is not connected.", fix="Set OPTIINFRA_AWS_BILLING_TABLE.")
        athena = Athena(connection, settings.aws_athena_workgroup, settings.aws_athena_output)
        return cls(athena, TableName.of(settings.aws_billing_table), settings.tag_keys, now)

    def check_access(self) -> tuple[Access, ...]:
        """Each billing account that the table's newest months hold, and who we are."""
        identity = ""
        connection = self.athena.connection
        try:
            with our_words("asking who we are"):
                identity = connection.client("sts", "", connection.home).get_caller_identity()["Arn"]
            accounts = self._accounts()
        except ProviderError as error:
            missing = (error.permission,) if isinstance(error, DeniedError) and error.permission else ()
            return (Access(PROVIDER, str(self.table), identity, False, error.what, missing),)
        return tuple(Access(PROVIDER, account, identity, True) for account in accounts)

    def _accounts(self) -> tuple[str, ...]:
        has = self._columns()
        today = self.now().date()
        before, _ = month_of(month_of(today)[0] - timedelta(days=1))
        where = self._which(has, Period(before, month_of(today)[1]))
        sql = f"SELECT DISTINCT BillingAccountId FROM {self.table.sql} WHERE {where} ORDER BY 1"
        told = self.athena.rows(sql, "asking which billing accounts the export holds")
        found = tuple(row[0] for row in told if row[0])
        if not found:
            raise ProviderError(
                f"The export table {self.table} has no rows of this month or the one before.",
                fix="Check that the export is delivered, and that its partitions are known to Glue.",
            )
        return found

    def charges(self, account_id: str, period: Period) -> Iterator[Mapping[str, str]]:
        """One billing period, rolled up by Athena; raises a ProviderError rather than give part of it."""
        has = self._columns()
        names = [name for name in (*pushed.DIMENSIONS, *pushed.AMOUNTS, *_PROVIDERS) if name.lower() in has]
        words = AthenaWords(has.get("tags", ""))
        where = f"{self._which(has, period)} AND BillingAccountId = {quoted(account_id)}"
        doing = f"reading the charges of {account_id} in {period}"
        meant = pushed.spellings(self._tags(words, where, doing) if words.tags else (), self.tag_keys)
        totals = pushed.totals(self.athena.rows(pushed.control(words, self.table.sql, where, names), doing))
        told = self.athena.rows(pushed.rollup(words, self.table.sql, where, names, meant), doing)
        estimated = "true" if self.now().date() < period.end + CLOSES_AFTER else "false"
        for row in pushed.charges(told, totals, self.tag_keys, account_id, period):
            yield row | {"x_Estimated": estimated, "ServiceProviderName": row["ServiceProviderName"] or PROVIDER}

    def _tags(self, words: AthenaWords, where: str, doing: str) -> Iterator[str]:
        sql = f"SELECT DISTINCT t.k FROM {self.table.sql} CROSS JOIN UNNEST({words.keys()}) AS t (k) WHERE {where}"
        return (row[0] for row in self.athena.rows(sql, doing) if row[0])

    def _columns(self) -> dict[str, str]:
        has = self.athena.columns(self.table)
        missing = [name for name in pushed.NEEDED if name.lower() not in has]
        if missing:
            raise ProviderError(
                f"{self.table} is no FOCUS export: it has no column {', '.join(missing)}.",
                fix="Set OPTIINFRA_AWS_BILLING_TABLE to the table of a FOCUS export (AWS Data Exports).",
            )
        return has

    def _which(self, has: Mapping[str, str], period: Period) -> str:
        """Rows of these billing periods; where the table is cut by them, nothing else is read."""
        first, end = f"TIMESTAMP '{period.start} 00:00:00'", f"TIMESTAMP '{period.end} 00:00:00'"
        start = "CAST(BillingPeriodStart AS TIMESTAMP)"
        rows = f"{start} >= {first} AND {start} < {end}"
        if _PARTITION not in has:
            return rows
        months = ", ".join(quoted(f"{month:%Y-%m}") for month in _months(period))
        return f"{_PARTITION} IN ({months}) AND {rows}"


_PROVIDERS = ("ServiceProviderName", "ProviderName")


def _months(period: Period) -> Iterator[date]:
    month = month_of(period.start)[0]
    while month < period.end:
        yield month
        month = month_of(month)[1]
