"""A small installation behind the Slack door: people, a rollout, and somebody who answers questions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler

from agent.answer import Answer, Question, Status
from bot.outbox import Channels, Outbox
from bot.shared.limits import Limiter, LocalLimiter
from bot.shared.pace import Pace
from bot.shared.posting import SlackTransport
from bot.slack.cards.home import View as HomeView
from bot.slack.rendering import renderer
from bot.slack.services import Services
from bot.threads import Threads
from sandbox import organisation
from tools.analysis import alerting
from tools.analysis.costs import Costs
from tools.execution.gates import Gates
from tools.model.access import Principal, Role
from tools.model.errors import ProviderError, RefusedError
from tools.model.fact import Chart, Fact, Table
from tools.model.identifiers import random_id
from tools.model.period import Period
from tools.model.query import Coverage, Receipt
from tools.model.rollout import Plan, Rollout, Stage, State
from tools.store import outbox, people, rollout_history, rollouts
from tools.store.database import Database
from tools.telemetry.metrics import Metrics

TENANT = "default"
START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SEPTEMBER = Period(date(2026, 10, 1), date(2026, 11, 1))
RECEIPT = Receipt(
    "SELECT service_name, SUM(billed_cost) FROM daily_costs WHERE day >= :start GROUP BY service_name",
    (("start", "2026-10-01"),),
    4711,
    START,
)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def go(self, **by: float) -> None:
        self.now += timedelta(**by)


class Brisk(Pace):
    """The pace of a workspace whose clocks run twenty times as fast."""

    def reserve(self, key: str, gap: float = 1.0) -> float:
        return super().reserve(key, gap / 20)


def answered(text: str = "You spent 1,234.50 USD in October 2026.") -> Answer:
    """An answer as the mind gives it: a fact with its receipt, a table, a chart, coverage."""
    fact = Fact("f1", "Total cost", "all", Decimal("1234.50"), "money", "USD", SEPTEMBER, "billed", RECEIPT)
    rows: tuple[tuple[str | Decimal | None, ...], ...] = (("EC2", Decimal(1000)), ("S3", Decimal("234.5")))
    return Answer(
        Status.ANSWERED,
        text,
        query={"tool": "query_costs"},
        facts=(fact,),
        tables=(Table("Cost per service", ("service", "cost"), ("", "money"), rows, "USD"),),
        charts=(
            Chart("bar", "Per service", ("EC2", "S3"), (("cost", (Decimal(1000), Decimal("234.5"))),), "money", "USD"),
        ),
        notes=("Credits are included.",),
        coverage=Coverage(date(2026, 11, 22), Decimal("0.1"), ("Azure is one day late",)),
    )


@dataclass
class Mind:
    """Answers in the way that the word in the question asks for, and remembers what it was asked."""

    asked: list[Question] = field(default_factory=list)
    rollout_id: str | None = None
    thinks: float = 0.0

    def __call__(self, question: Question) -> Answer:
        time.sleep(self.thinks)
        self.asked.append(question)
        if "broken" in question.text:
            raise ProviderError("The cost data could not be read.", fix="Try again in a minute.")
        if "crash" in question.text:
            raise ZeroDivisionError("a secret of the inside")
        if "ambiguous" in question.text:
            return Answer(
                Status.AMBIGUOUS, "Which costs do you mean?", alternatives=("billed costs", "effective costs")
            )
        if "long" in question.text:
            return Answer(
                Status.AMBIGUOUS, "Which one?", alternatives=tuple(f"choice {n} " + "x" * 100 for n in range(7))
            )
        answer = answered(f"Answer to: {question.text}")
        return replace(answer, rollout_id=self.rollout_id) if "rollout" in question.text else answer


def plan(**changes: Any) -> Plan:
    """Moving twenty workers to spot in three stages."""
    stages = tuple(
        Stage(n, percent, units, {"on_demand_percentage": 100 - percent})
        for n, (percent, units) in enumerate(((10, 2), (50, 10), (100, 20)))
    )
    made = Plan(
        change="aws.asg_spot",
        provider="AWS",
        account_id="100000000002",
        region="eu-west-1",
        resource_id="checkout-workers",
        service="checkout",
        title="Move checkout-workers to spot (20 instances)",
        unit_name="instance",
        units=20,
        stages=stages,
        before={"on_demand_percentage": 100},
        fingerprint="f" * 16,
        risk="R1",
        saving_monthly="1284",
        currency="USD",
        undo="Set the on-demand percentage back to 100; instances are replaced within minutes.",
    )
    return replace(made, **changes)


def proposal(rollout_id: str = "ro-000000000001", **changes: Any) -> Rollout:
    """A rollout that Ben proposed and that waits for its first approval."""
    made = Rollout(
        id=rollout_id,
        tenant=TENANT,
        version=1,
        state=State.PROPOSED,
        stage=0,
        plan=plan(),
        proposed_by="ben@lumen.example",
        proposed_by_name="Ben Okafor",
        created_at=START,
        updated_at=START,
        state_since=START,
        expires_at=START + timedelta(days=1),
        reason="waits for a decision",
    )
    return replace(made, **changes)


@dataclass
class World:
    """The installation: its database, its gates, its clock, and what it was asked."""

    database: Database
    clock: Clock = field(default_factory=Clock)
    mind: Mind = field(default_factory=Mind)
    metrics: Metrics = field(default_factory=Metrics)
    limiter: Limiter = field(default_factory=lambda: LocalLimiter(1000))
    pace: Pace = field(default_factory=Brisk)
    rung: list[int] = field(default_factory=list)
    proposed: list[tuple[str, str, str]] = field(default_factory=list)
    home: Callable[[], HomeView] = HomeView
    socket: AsyncSocketModeHandler | None = None

    def __post_init__(self) -> None:
        self.gates = Gates(self.database, TENANT, now=self.clock, new_id=random_id)
        roles = {"priya": Role.APPROVER, "ben": Role.REQUESTER, "carla": Role.ADMIN, "dan": Role.VIEWER}
        with self.database.begin() as tx:
            for person in organisation.PEOPLE:
                if person.handle in roles:
                    people.save(tx, TENANT, person.email, roles[person.handle], name=person.real_name, now=START)

    def services(self, threads: Threads, **changes: Any) -> Services:
        made = Services(
            database=self.database,
            tenant=TENANT,
            gates=self.gates,
            ask=self.mind,
            propose=self._propose,
            threads=threads,
            metrics=self.metrics,
            limiter=self.limiter,
            now=self.clock,
            new_id=random_id,
            ring=lambda: self.rung.append(1),
            look=lambda person: self.home(),
            board=self.board,
            pace=self.pace,
        )
        return replace(made, **changes)

    def board(self) -> alerting.Board:
        return alerting.board(Costs(self.database, TENANT, (), 0), self.clock().date(), otherwise=5)

    def _propose(self, recommendation_id: str, person: Principal, channel: str) -> Rollout:
        if recommendation_id == "rec-busy":
            raise RefusedError("busy", "Another rollout works on it already.", fix="Wait until it has ended.")
        self.proposed.append((recommendation_id, person.id, channel))
        return proposal("ro-00000000aaaa")

    def outbox(self, api_url: str, approvals: str = "C0APPROVE", digest: str = "C0COSTS", **changes: Any) -> Outbox:
        transport = SlackTransport(organisation.BOT_TOKEN, api_url)
        made = Outbox(
            self.database,
            TENANT,
            transport,
            renderer(self.database, TENANT, self.metrics, transport.permalink),
            Channels(approvals, digest),
            self.clock,
            self.metrics,
            Pace(),
            sleep=lambda seconds: None,
        )
        return replace(made, **changes)

    def add(self, rollout: Rollout) -> Rollout:
        """Store a rollout as proposing does, its card to be told."""
        with self.database.begin() as tx:
            rollouts.add(tx, rollout)
            rollout_history.add_event(tx, rollout, "Ben Okafor", f"proposed: {rollout.plan.title}", now=self.clock())
            outbox.put(tx, TENANT, "rollout", rollout.id, now=self.clock(), channel=rollout.channel)
        return rollout

    def rollout(self, rollout_id: str = "ro-000000000001") -> Rollout:
        with self.database.read() as tx:
            return rollouts.get(tx, TENANT, rollout_id)
