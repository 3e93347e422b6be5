"""The one place where parts are put together: settings become a database, clouds, a mind, the gates and the doors."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tools.model.access import Principal, Role
from tools.model.errors import NotFoundError
from tools.model.identifiers import NewId, random_id
from tools.settings import Settings, load_settings
from tools.store.database import Database, open_database

if TYPE_CHECKING:
    # Everything below is imported when a part is first used: each role loads only what it needs (ADR 8).
    from redis import Redis
    from slack_bolt.async_app import AsyncApp

    from agent.ask import Mind
    from bot.clock import Clock
    from bot.jobs import Jobs
    from bot.outbox import Outbox
    from bot.shared.names import HeldName
    from bot.shared.wakeups import Wakeups
    from bot.slack.services import Services
    from bot.threads import Threads
    from tools.analysis.alerting import Board
    from tools.analysis.costs import Costs
    from tools.execution.engine import Engine
    from tools.execution.gates import Gates
    from tools.model.anomaly import Anomaly
    from tools.model.driver import DriverTree
    from tools.model.rollout import Plan, Rollout
    from tools.providers.base import Change
    from tools.telemetry.metrics import Metrics


def utc_now() -> datetime:
    """The clock of the product."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class App:
    """The parts of one installation, each made on first use and shared afterwards."""

    settings: Settings
    database: Database
    now: Callable[[], datetime] = utc_now
    new_id: NewId = random_id
    owner: str = field(default_factory=lambda: f"{socket.gethostname()[:40]}-{uuid.uuid4().hex[:8]}")

    @property
    def tenant(self) -> str:
        return self.settings.tenant

    # what stands on its own

    @cached_property
    def metrics(self) -> Metrics:
        from tools.telemetry.metrics import Metrics

        return Metrics()

    @cached_property
    def redis(self) -> Redis | None:
        from bot.shared.wakeups import connect

        return connect(self.settings.redis_url)

    @cached_property
    def threads(self) -> Threads:
        from bot.threads import Threads

        return Threads()

    @cached_property
    def bells(self) -> tuple[Wakeups, Wakeups]:
        """What wakes the executor, and what wakes the outbox."""
        from bot.shared.wakeups import wakeups

        return wakeups(self.redis), wakeups(self.redis)

    def ring(self) -> None:
        """Something was decided or changed: whoever executes or delivers should look now."""
        for bell in self.bells:
            bell.ring()

    def close(self) -> None:
        """End the work in hand, and let go of what is open."""
        if "threads" in self.__dict__:
            self.threads.close()
        if "mind" in self.__dict__:
            self.mind.close()
        if "executor_name" in self.__dict__:
            self.executor_name.close()

    # hands and mind

    @cached_property
    def costs(self) -> Costs:
        from tools.analysis.costs import Costs

        return Costs(self.database, self.tenant, self.settings.tag_keys, self.settings.provisional_days)

    @cached_property
    def mind(self) -> Mind:
        from agent.ask import build_mind
        from bot.shared.cache import cache
        from tools.analysis.remembered import RememberedCosts

        s = self.settings
        memory = cache(self.redis, s.cache_seconds)
        costs = RememberedCosts(self.database, self.tenant, s.tag_keys, s.provisional_days, memory)
        return build_mind(s, self.database, costs, now=self.now, new_id=self.new_id)

    @cached_property
    def gates(self) -> Gates:
        from tools.execution.gates import Gates
        from tools.execution.limits import Limits

        limits = Limits.of(self.settings)
        return Gates(self.database, self.tenant, now=self.now, new_id=self.new_id, limits=limits)

    @cached_property
    def executor_name(self) -> HeldName:
        """Who holds this process's leases; the next process after a crash is called the same."""
        from bot.shared.names import hold

        return hold(self.settings.home)

    @cached_property
    def engine(self) -> Engine:
        from tools.execution.engine import Engine
        from tools.execution.limits import Limits
        from tools.providers import registry

        return Engine(
            self.database,
            self.tenant,
            owner=self.executor_name.name,
            now=self.now,
            change=self.change,
            health=registry.health(self.settings),
            limits=Limits.of(self.settings),
        )

    def change(self, wanted: Plan | str) -> Change:
        """The executable change that a plan (or a name) asks for."""
        from tools.providers import registry

        return registry.change(self.settings, wanted)

    def propose(self, recommendation_id: str, person: Principal, channel: str = "") -> Rollout:
        """A person asks for the rollout of a recommendation."""
        from tools.execution import requests
        from tools.execution.panel import Panel

        return requests.propose(
            self.database,
            self.tenant,
            recommendation_id,
            person,
            change=self.change,
            now=self.now,
            new_id=self.new_id,
            expires_in=timedelta(seconds=self.settings.approval_ttl_seconds),
            channel=channel,
            panel=Panel.of(self.settings, self.now),
        )

    def investigate(self, anomaly: Anomaly) -> DriverTree | None:
        """Why an anomaly happened, in drivers."""
        from tools.analysis import anomalies

        return anomalies.tree(self.costs, anomaly)

    def board(self) -> Board:
        """Which anomalies go on now, and which of them the digest would tell."""
        from tools.analysis import alerting

        return alerting.board(self.costs, self.now().date(), otherwise=self.settings.alerts_per_week)

    def person(self, email: str) -> Principal:
        """Who says it on a terminal: the person with that e-mail, or (empty) a viewer who may ask but not act."""
        from tools.store import people

        if not email:
            return Principal("terminal", self.tenant, "terminal", Role.VIEWER)
        with self.database.read() as tx:
            found = people.by_email(tx, self.tenant, email)
        if found is None:
            raise NotFoundError(
                f"Nobody here has the e-mail {email}.",
                fix=f"Say: optiinfra people set {email} ROLE - or check the address.",
            )
        return found

    # what runs by itself

    @cached_property
    def jobs(self) -> Jobs:
        from bot.jobs import Jobs

        return Jobs(self.settings, self.database, self.costs, self.now)

    @cached_property
    def clock(self) -> Clock:
        """Collect and analyse run right before the digest, so that it speaks of the newest data."""
        from bot.clock import Clock, DailyJob

        hour = self.settings.digest_hour
        jobs = (
            DailyJob("collect", hour, self.jobs.collect),
            DailyJob("analyse", hour, self.jobs.analyse),
            DailyJob("budgets", hour, self.jobs.budgets),
            DailyJob("learn", hour, self.jobs.learn),
            DailyJob("digest", hour, self.jobs.digest),
        )
        return Clock(self.database, self.tenant, self.owner, self.now, jobs, self.metrics)

    @cached_property
    def outbox(self) -> Outbox:
        from bot.outbox import Channels, Outbox
        from bot.shared.posting import SlackTransport
        from bot.slack.rendering import renderer

        settings = self.settings
        transport = SlackTransport(settings.slack_bot_token.get_secret_value(), settings.slack_api_url)
        return Outbox(
            self.database,
            self.tenant,
            transport,
            renderer(self.database, self.tenant, self.metrics, transport.permalink),
            Channels(settings.approvals_channel, settings.digest_channel),
            self.now,
            self.metrics,
            self.services.pace,
        )

    # the Slack door

    @cached_property
    def services(self) -> Services:
        from bot.shared.limits import limiter
        from bot.slack.home import Look
        from bot.slack.services import Services

        return Services(
            database=self.database,
            tenant=self.tenant,
            gates=self.gates,
            ask=self.mind.ask,
            propose=self.propose,
            threads=self.threads,
            metrics=self.metrics,
            limiter=limiter(self.redis, self.settings.requests_per_minute),
            now=self.now,
            new_id=self.new_id,
            look=Look(self.database, self.tenant, self.costs, self.now),
            investigate=self.investigate,
            board=self.board,
            ring=self.ring,
        )

    @cached_property
    def slack(self) -> AsyncApp:
        from bot.slack.app import build_slack

        settings = self.settings
        return build_slack(
            self.services,
            token=settings.slack_bot_token.get_secret_value(),
            api_url=settings.slack_api_url,
            signing_secret=settings.slack_signing_secret.get_secret_value(),
        )


def open_app(settings: Settings | None = None, *, env_file: Path | None = Path(".env")) -> App:
    """Read the settings, configure logs, open (and migrate) the database."""
    settings = settings or load_settings(env_file)
    from tools.telemetry.logs import configure_logs

    configure_logs(level=settings.log_level, json=settings.log_json)
    return App(settings, open_database(settings.database_url, settings.facts_url))
