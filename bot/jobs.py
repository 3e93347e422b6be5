"""What the clock calls: collect, analyse, digest, learn; each does one thing and says in words what changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from tools.model.errors import SettingsError
from tools.model.rollout import WAITING_FOR_PEOPLE
from tools.settings import Settings
from tools.store import digests, findings, outbox, rollouts
from tools.store.database import Database

if TYPE_CHECKING:
    from tools.analysis.costs import Costs
    from tools.model.digest import Digest

KEEP_EVENTS = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Jobs:
    """The product's daily work. Heavy rooms are loaded by the job that needs them."""

    settings: Settings
    database: Database
    costs: Costs
    now: Callable[[], datetime]

    @property
    def tenant(self) -> str:
        return self.settings.tenant

    def collect(self, slot: datetime) -> str:
        """Read the configured FOCUS exports and clouds; what could not be read is named."""
        from tools.collection import billing
        from tools.collection.charges import ingest
        from tools.collection.resources import collect
        from tools.collection.sources import local
        from tools.providers import registry

        with local(self.settings.focus_paths, self.settings) as paths:
            loads = ingest(
                self.database,
                self.tenant,
                paths,
                tag_keys=self.settings.tag_keys,
                detail_months=self.settings.detail_months,
                now=self.now,
            )
        bills = billing.collect(
            self.database,
            self.tenant,
            registry.billings(self.settings),
            in_files=loads,
            tag_keys=self.settings.tag_keys,
            detail_months=self.settings.detail_months,
            now=self.now,
        )
        loads = (*loads, *(load for bill in bills for load in bill.loads))
        accesses = collect(self.database, self.tenant, registry.inventories(self.settings), now=self.now)
        changed = sum(load.status != "unchanged" for load in loads)
        accounts = (*(bill.access for bill in bills), *accesses)
        refused = [f"{a.provider} {a.account_id}: {a.problem}" for a in accounts if not a.ok]
        return f"{len(loads)} cost partitions ({changed} new), {len(accesses)} accounts" + "".join(
            f"; {problem}" for problem in refused
        )

    def analyse(self, slot: datetime) -> str:
        """Find anomalies and savings in what is stored."""
        from tools.analysis import anomalies
        from tools.recommendation.engine import recommend

        found = anomalies.find(self.costs, slot.date())
        with self.database.begin() as tx:
            findings.save_anomalies(tx, self.tenant, found, now=self.now())
        savings = recommend(self.database, self.tenant, self.costs, now=self.now)
        return f"{len(found)} anomalies, {len(savings)} recommendations"

    def digest(self, slot: datetime) -> str:
        """Compose the morning's digest and hand it to the outbox."""
        digest = self.compose_digest(slot.date())
        now = self.now()
        with self.database.begin() as tx:
            new = digests.save(tx, self.tenant, digest, now=now)
            if new and self.settings.digest_channel:
                outbox.put(tx, self.tenant, "digest", f"{digest.day}", now=now, channel=self.settings.digest_channel)
        return digest.headline

    def compose_digest(self, day: date) -> Digest:
        """The digest of one morning, from what is stored now."""
        from tools.analysis.digest import compose

        with self.database.read() as tx:
            known = findings.anomalies(tx, self.tenant)
            waiting = rollouts.listing(tx, self.tenant, states=WAITING_FOR_PEOPLE)
        return compose(
            self.costs,
            day,
            anomalies=known,
            waiting=tuple(f"{r.plan.title} ({r.id})" for r in waiting),
            budget=monthly_budget(self.settings),
        )

    def learn(self, slot: datetime) -> str:
        """Compare what rollouts were to save with what later bills say."""
        from tools.learning.outcomes import measure

        measured = measure(self.database, self.tenant, self.costs, now=self.now)
        with self.database.begin() as tx:
            outbox.forget_before(tx, self.now() - KEEP_EVENTS)
        return f"{len(measured)} outcomes measured"


def monthly_budget(settings: Settings) -> Decimal | None:
    """The configured budget, or None; raises SettingsError when it is no positive number."""
    text = settings.budget_monthly.strip()
    if not text:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or amount <= 0:
        raise SettingsError(
            f"OPTIINFRA_BUDGET_MONTHLY is {text}, which is not a positive number.", fix="Write it as 25000 or 25000.50."
        )
    return amount
