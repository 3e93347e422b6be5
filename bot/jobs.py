"""What the clock calls: collect, analyse, budgets, digest, learn; each does one thing and says in words what changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from tools.model.budget import FORECAST, Budget, BudgetPeriod, Standing
from tools.model.errors import InputError, SettingsError
from tools.model.rollout import WAITING_FOR_PEOPLE
from tools.settings import Settings
from tools.store import alerts, digests, findings, outbox, outcomes, rollouts
from tools.store import budgets as budget_store
from tools.store.database import Database

if TYPE_CHECKING:
    from tools.analysis.costs import Costs
    from tools.analysis.rates import Rates
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
        from tools.store.paid_requests import StoredPaidRequests

        with local(self.settings.focus_paths, self.settings) as paths:
            loads = ingest(
                self.database,
                self.tenant,
                paths,
                tag_keys=self.settings.tag_keys,
                detail_months=self.settings.detail_months,
                tag_values=self.settings.tag_values,
                now=self.now,
            )
        bills = billing.collect(
            self.database,
            self.tenant,
            registry.billings(self.settings, paid=StoredPaidRequests(self.database, self.tenant)),
            in_files=loads,
            tag_keys=self.settings.tag_keys,
            detail_months=self.settings.detail_months,
            tag_values=self.settings.tag_values,
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
        from tools.analysis import anomalies, completeness
        from tools.recommendation.engine import recommend

        completeness.observe(self.costs, slot.date())
        found = anomalies.find(self.costs, slot.date())
        with self.database.begin() as tx:
            findings.save_anomalies(tx, self.tenant, found, now=self.now())
        savings = recommend(self.database, self.tenant, self.costs, now=self.now)
        return f"{len(found)} anomalies, {len(savings)} recommendations"

    def budgets(self, slot: datetime) -> str:
        """See how budgets stand; each level that is reached is told once in its period."""
        from tools.analysis import budgets as analysis

        with self.database.read() as tx:
            found = budget_store.listing(tx, self.tenant)
        told, problems = 0, []
        for standing in self.standings(found, slot.date()):
            if standing.problem:
                problems.append(f"{standing.budget.name}: {standing.problem}")
                continue
            with self.database.begin() as tx:
                known = budget_store.told(tx, self.tenant, standing.budget, standing.period.start)
                fresh = analysis.due(standing, known)
                made = [analysis.alert(standing, level, self.now()) for level in fresh]
                new = [alert for alert in made if budget_store.note(tx, self.tenant, alert)]
                # Of several levels reached at once only the highest is news.
                spent = [alert for alert in new if alert.level != FORECAST][:1]
                for alert in (*spent, *(alert for alert in new if alert.level == FORECAST)):
                    channel = alert.channel or self.settings.digest_channel
                    told += 1
                    if channel:
                        outbox.put(tx, self.tenant, "budget", alert.subject, now=self.now(), channel=channel)
                    else:
                        problems.append(f"{alert.budget}: no channel is set to tell it in")
        return "; ".join([f"{len(found)} budgets, {told} new alerts", *problems])

    def standings(self, found: Sequence[Budget], day: date) -> tuple[Standing, ...]:
        """How budgets stand on a day."""
        from tools.analysis import budgets as analysis

        rates, why = self._rates() if found else (None, "")
        starts_in = self.settings.fiscal_year_start
        return tuple(
            analysis.standing(self.costs, budget, day, starts_in=starts_in, rates=rates, no_rates=why)
            for budget in found
        )

    def _rates(self) -> tuple[Rates | None, str]:
        """The exchange rates, or why there are none: a broken file must not keep other budgets from being told."""
        if self.settings.rates_file is None:
            return None, ""
        from tools.analysis import rates

        try:
            return rates.load(self.settings.rates_file), ""
        except InputError as error:
            return None, error.what

    def digest(self, slot: datetime) -> str:
        """Compose the morning's digest and hand it to the outbox."""
        digest = self.compose_digest(slot.date())
        now = self.now()
        with self.database.begin() as tx:
            new = digests.save(tx, self.tenant, digest, now=now)
            alerts.note_told(tx, self.tenant, (one.id for one in digest.anomalies), digest.day)
            if new and self.settings.digest_channel:
                outbox.put(tx, self.tenant, "digest", f"{digest.day}", now=now, channel=self.settings.digest_channel)
        return digest.headline

    def compose_digest(self, day: date) -> Digest:
        """The digest of one morning, from what is stored now."""
        from tools.analysis.budgets import of_everything
        from tools.analysis.digest import Known, compose

        with self.database.read() as tx:
            found = findings.anomalies(tx, self.tenant)
            known = Known(
                alerts.told(tx, self.tenant),
                findings.feedback(tx, self.tenant),
                alerts.per_week(tx, self.tenant, self.settings.alerts_per_week),
                outcomes.listing(tx, self.tenant),
            )
            waiting = rollouts.listing(tx, self.tenant, states=WAITING_FOR_PEOPLE)
            budgets = budget_store.listing(tx, self.tenant)
        currency = next(iter(self.costs.currencies()), "")
        of_all = of_everything(budgets, BudgetPeriod.MONTH, currency)
        return compose(
            self.costs,
            day,
            anomalies=found,
            known=known,
            waiting=tuple(f"{r.plan.title} ({r.id})" for r in waiting),
            budget=of_all.amount if of_all else monthly_budget(self.settings),
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
