"""Billing: Google Cloud's charges from the BigQuery billing export - standard, detailed or FOCUS - a month at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tools.model.errors import ProviderError, SettingsError
from tools.model.period import Period
from tools.providers.base import Access
from tools.providers.gcp import mapping, rolling, statements
from tools.providers.gcp.bigquery import BigQuery, lacking
from tools.providers.gcp.connection import PROVIDER, Connection
from tools.providers.gcp.statements import TableName
from tools.settings import Settings

# An invoice month is closed some days after it ends; until then what is told is an estimate.
CLOSES_AFTER = timedelta(days=5)


@dataclass(frozen=True, slots=True)
class GcpBilling:
    """The Billing of one export table. A net charge is cost plus its credits; promotions are credits of their own."""

    bigquery: BigQuery
    table: TableName
    now: Callable[[], datetime]
    provider: str = PROVIDER
    # The tag keys by which BigQuery rolls a FOCUS export up itself; None: rows per resource come over.
    rolled_by: tuple[str, ...] | None = None

    @classmethod
    def of(cls, settings: Settings, connection: Connection, now: Callable[[], datetime]) -> GcpBilling:
        """From the settings; raises SettingsError when no table is named, or not by its three names."""
        if not settings.gcp_billing_table:
            raise SettingsError(
                "Google Cloud's billing export is not connected.", fix="Set OPTIINFRA_GCP_BILLING_TABLE."
            )
        table = TableName.of(settings.gcp_billing_table)
        payer = settings.gcp_query_project or table.project
        rolled_by = settings.tag_keys if settings.gcp_rollup else None
        return cls(BigQuery(connection, payer, settings.gcp_query_gigabytes), table, now, rolled_by=rolled_by)

    def check_access(self) -> tuple[Access, ...]:
        """Each billing account that the table holds, who we are, and exactly which permissions are missing."""
        known = self.table.billing_account or str(self.table)
        identity = ""
        try:
            identity = self.bigquery.connection.identity.name()
            missing = self.bigquery.missing(self.table)
            if missing:
                problem = f"OptiInfra lacks permissions to read the billing table {self.table}."
                return (Access(PROVIDER, known, identity, False, problem, missing),)
            accounts = self._accounts()
        except ProviderError as error:
            return (Access(PROVIDER, known, identity, False, error.what, lacking(error)),)
        return tuple(Access(PROVIDER, account, identity, True) for account in accounts)

    def _accounts(self) -> tuple[str, ...]:
        """By the table's name, which costs nothing, else by asking the table."""
        export = self.bigquery.describe(self.table)
        if self.table.billing_account:
            return (self.table.billing_account,)
        statement = statements.accounts(export, self.now().date())
        told = self.bigquery.rows(export, statement, "asking which billing accounts the export holds")
        found = tuple(sorted({cells["account"] or "" for cells in told} - {""}))
        if not found:
            raise ProviderError(
                f"The billing table {self.table} has no rows of the last weeks.",
                fix="Check that the export is switched on; Google fills it within a day.",
            )
        return found

    def charges(self, account_id: str, period: Period) -> Iterator[Mapping[str, str]]:
        """One invoice month, added up per day by BigQuery; raises a ProviderError rather than give part of it."""
        export = self.bigquery.describe(self.table)
        estimated = self.now().date() < period.end + CLOSES_AFTER
        if self.rolled_by is not None and export.is_focus:
            for row in rolling.charges(self.bigquery, export, account_id, period, self.rolled_by):
                mark = {"x_Estimated": "true" if estimated else "false"}
                yield row | mark | {"ServiceProviderName": row["ServiceProviderName"] or PROVIDER}
            return
        statement = statements.charges(export, account_id, period)
        told = self.bigquery.rows(export, statement, f"reading the charges of {account_id} in {period}")
        write = mapping.focus if export.is_focus else mapping.native
        for cells in told:
            yield write(cells, account_id, period, estimated=estimated)
