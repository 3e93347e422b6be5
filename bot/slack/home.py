"""Home: what a person's Home tab shows, gathered from stored data and published when it is opened or changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.blockkit import HOME, problems
from bot.slack.cards import home as home_card
from bot.slack.delivery import SLACK_DOWN
from bot.slack.envelope import Body, text
from bot.slack.people import Directory, actor
from bot.slack.services import Services
from bot.slack.words import money
from tools.model.access import Principal
from tools.model.errors import OptiInfraError, RefusedError
from tools.model.period import Period
from tools.model.query import CostQuery, CostTable
from tools.model.rollout import TERMINAL, WAITING_FOR_PEOPLE, State
from tools.store import outbox, rollouts
from tools.store.database import Database
from tools.telemetry.logs import get_logger

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

RUNNING = frozenset(State) - TERMINAL - WAITING_FOR_PEOPLE
_log = get_logger(__name__)


class Home:
    """Publishes Home tabs."""

    def __init__(self, services: Services, directory: Directory) -> None:
        self._services = services
        self._directory = directory

    async def opened(self, client: AsyncWebClient, body: Body) -> None:
        """Somebody opened the app's Home tab."""
        if text(body, "event", "tab") in {"", "home"}:
            await self.publish(client, body)

    async def publish(self, client: AsyncWebClient, body: Body) -> None:
        """Show this person their Home as of now."""
        acting = actor(body)
        try:
            known = await self._directory.who(client, acting)
            seen = await self._services.threads.in_thread(self._services.look, known.principal)
            view = home_card.view(seen, known.principal)
        except OptiInfraError as error:
            if isinstance(error, RefusedError) and error.reason == "unknown_user":
                return
            view = home_card.turned_away(str(error))
        if problems(view["blocks"], HOME):
            self._services.metrics.slack_events.labels("home", "invalid").inc()
        try:
            await client.views_publish(user_id=acting.user, view=view)
        except SLACK_DOWN as error:
            _log.warning("home_not_published", error=str(error)[:200])


@dataclass(frozen=True, slots=True)
class Look:
    """What Home shows, from the store: spend, forecast, rollouts, data health. Blocking; called in a thread."""

    database: Database
    tenant: str
    costs: Costs
    now: Callable[[], datetime]

    def __call__(self, person: Principal) -> home_card.View:
        today = self.now().date()
        with self.database.read() as tx:
            waiting = rollouts.listing(tx, self.tenant, states=WAITING_FOR_PEOPLE)
            running = rollouts.listing(tx, self.tenant, states=RUNNING)
            stuck = outbox.stuck(tx, self.tenant)
        return home_card.View(
            figures=tuple(self._figures(today)),
            waiting=waiting,
            running=running,
            coverage=self.costs.coverage(),
            problems=tuple(dict.fromkeys(s.problem for s in stuck)),
        )

    def _figures(self, today: date) -> list[tuple[str, str]]:
        span = self.costs.span()
        if span is None:
            return []
        last = min(span.end, today) - timedelta(days=1)
        figures = [(f"Spent on {Period(last, last + timedelta(days=1))}", self._spent(last, last + timedelta(days=1)))]
        first = last.replace(day=1)
        figures.append(
            (f"This month, {Period(first, last + timedelta(days=1))}", self._spent(first, last + timedelta(days=1)))
        )
        forecast = self._month_end(today)
        return [*figures, ("Forecast for the month", forecast)] if forecast else figures

    def _spent(self, start: date, end: date) -> str:
        table: CostTable = self.costs.table(CostQuery(Period(start, end)))
        return ", ".join(money(total, currency) for currency, total in table.totals) or "nothing"

    def _month_end(self, today: date) -> str:
        from tools.analysis.forecast import month_end

        expected = month_end(self.costs, today)
        if expected is None:
            return ""
        low, high = money(expected.p10, ""), money(expected.p90, "")
        return f"{money(expected.p50, expected.currency)} (between {low} and {high})"
