"""Collecting: the sandbox's four clouds read for one customer after the other - rows, calls, money for calls, memory."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from sandbox import organisation as org
from sandbox.clouds import azure, gcp, gcp_things, vultr
from sandbox.inventory import REGION
from sandbox.processes import READY_SECONDS, Child, end_all, ready_ones, resident_megabytes, start_service
from sandbox.pytest_plugin import Control
from sandbox.serving import listen, url_of
from tools.collection import billing, resources
from tools.providers import registry
from tools.providers.aws.explorer import PRICE
from tools.settings import Settings
from tools.store.database import Database, open_database
from tools.store.paid_requests import StoredPaidRequests

TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
MONTHS = 13
# Each has ten accounts at four clouds, so that twenty make four clouds of fifty accounts on average.
CUSTOMERS = int(os.environ.get("OPTIINFRA_BENCH_CUSTOMERS", "20"))


@dataclass(frozen=True)
class Ran:
    """How the collections of all customers went."""

    what: str
    accounts: int
    rows: int
    calls: int
    seconds: float
    cpu: float
    sandbox_cpu: float
    paid: Decimal


@contextmanager
def _sandbox(folder: Path) -> Iterator[tuple[dict[str, str], list[Child]]]:
    aws, clouds = listen(), listen()
    urls = {"aws": url_of(aws), "clouds": url_of(clouds)}
    story = {"today": str(TODAY), "months": MONTHS}
    children = [
        start_service("aws", folder, aws, speed=400.0, **story),
        start_service("clouds", folder, clouds, **story),
    ]
    try:
        list(ready_ones(children, time.monotonic() + READY_SECONDS))
        yield urls, children
    finally:
        end_all(children)


def _settings(urls: dict[str, str]) -> Settings:
    """All four clouds, as somebody connects them who has no files."""
    others = urls["clouds"]
    return Settings(
        _env_file=None,
        aws_endpoint_url=urls["aws"],
        aws_regions=(REGION,),
        aws_accounts=(org.AWS_PRODUCTION, org.AWS_DATA, org.AWS_STAGING, org.AWS_PAYER),
        aws_reader_role="optiinfra-reader",
        aws_cost_explorer_accounts=(org.AWS_PAYER,),
        aws_cost_explorer_requests=1000,
        gcp_endpoint=f"{others}/gcp",
        gcp_projects=gcp_things.PROJECTS,
        gcp_token=gcp.TOKEN,
        gcp_billing_table=gcp.BILLING_TABLE,
        azure_endpoint=f"{others}/azure",
        azure_subscriptions=azure.SUBSCRIPTIONS,
        azure_token=azure.TOKEN,
        vultr_endpoint=f"{others}/vultr",
        vultr_api_key=vultr.API_KEY,
    )


def _collect(database: Database, tenant: str, settings: Settings) -> tuple[int, int]:
    """Everything of one customer: bills of thirteen months and inventories; gives accounts and rows."""
    billings = registry.billings(settings, now=lambda: NOW, paid=StoredPaidRequests(database, tenant))
    inventories = registry.inventories(settings, now=lambda: NOW)
    bills = billing.collect(database, tenant, billings, tag_keys=("team", "env"), detail_months=4, now=lambda: NOW)
    looked = resources.collect(database, tenant, inventories, now=lambda: NOW)
    told = [*(bill.access for bill in bills), *looked]
    if problems := [access.problem for access in told if not access.ok]:
        raise AssertionError(problems[0])
    return len(looked), sum(load.rows for bill in bills for load in bill.loads)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _own_cpu() -> float:
    return sum(
        u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _unpaced() -> None:
    """The sandbox's pages are so small that there are many, and it has no rate limits to respect."""
    from tools.providers.azure import connection as azure_door
    from tools.providers.gcp import connection as gcp_door
    from tools.providers.vultr import connection as vultr_door

    for door in (azure_door, gcp_door, vultr_door):
        door.PER_SECOND = 10_000.0


def _calls(urls: dict[str, str]) -> dict[str, int]:
    """Every question that the clouds were asked so far, by name."""
    found: dict[str, int] = {}
    for url in (urls["aws"], *(f"{urls['clouds']}/{name}" for name in ("gcp", "azure", "vultr"))):
        for name, count in Control(url).get("calls").items():
            found[name] = found.get(name, 0) + count
    return found


def _measure(database: Database, urls: dict[str, str], children: list[Child]) -> Iterator[Ran]:
    settings = _settings(urls)
    # Once unmeasured: the sandbox works its books out when it is first asked.
    _collect(database, "warm", settings)
    for what in (f"first, {MONTHS} months", "again, as every day"):
        before, own, theirs = _calls(urls), _own_cpu(), sum(_cpu(child.process.pid) for child in children)
        began = time.monotonic()
        accounts = rows = 0
        for number in range(CUSTOMERS):
            seen, loaded = _collect(database, f"customer-{number}", settings)
            accounts, rows = accounts + seen, rows + loaded
        seconds = time.monotonic() - began
        after = _calls(urls)
        yield Ran(
            what,
            accounts,
            rows,
            sum(after.values()) - sum(before.values()),
            seconds,
            _own_cpu() - own,
            sum(_cpu(child.process.pid) for child in children) - theirs,
            PRICE * (after.get("ce:GetCostAndUsage", 0) - before.get("ce:GetCostAndUsage", 0)),
        )


def tables() -> Iterator[str]:
    """A first collection and a daily one, and what memory they took."""
    from bot.terminal.output import table
    from tools.telemetry.logs import configure_logs

    os.environ.setdefault("AWS_ACCESS_KEY_ID", "sandbox")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "sandbox")
    configure_logs(level="ERROR")
    _unpaced()
    with tempfile.TemporaryDirectory(prefix="optiinfra-bench-") as home:
        database = open_database(f"sqlite:///{home}/bench.db")
        with _sandbox(Path(home)) as (urls, children):
            ran = list(_measure(database, urls, children))
            memory = sum(resident_megabytes(child.process.pid) for child in children)
        database.dispose()
    columns = (
        "collection", "accounts", "rows", "calls", "seconds", "accounts/min", "rows/s", "CPU s", "sandbox CPU s",
        "paid calls",
    )  # fmt: skip
    yield f"{CUSTOMERS} customers, each with accounts at four clouds:\n" + table(
        columns, [_line(one) for one in ran], right=range(1, len(columns))
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    yield f"Memory: collector {peak:.0f} MB at most, its largest child {child:.0f} MB; the sandbox {memory:.0f} MB."


def _line(one: Ran) -> tuple[str, ...]:
    return (
        one.what,
        f"{one.accounts:,}",
        f"{one.rows:,}",
        f"{one.calls:,}",
        f"{one.seconds:.0f}",
        f"{one.accounts / one.seconds * 60:.0f}",
        f"{one.rows / one.seconds:,.0f}",
        f"{one.cpu:.0f}",
        f"{one.sandbox_cpu:.0f}",
        f"USD {one.paid}",
    )
