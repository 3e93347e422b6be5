"""Services: what the Slack door needs from the house, handed in by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from agent.answer import Answer, Question
from bot.shared.limits import Limiter
from bot.shared.pace import Pace
from bot.slack.cards.home import View as HomeView
from bot.threads import Threads
from tools.analysis.alerting import Alerts, Board
from tools.model.access import Principal
from tools.model.anomaly import Anomaly
from tools.model.driver import DriverTree
from tools.model.identifiers import NewId
from tools.model.rollout import Rollout, Seen
from tools.store.database import Database
from tools.telemetry.metrics import Metrics


class Decisions(Protocol):
    """The gates, as far as Slack uses them. Each raises RefusedError after the refusal was audited."""

    def approve(self, card: Seen, person: Principal, reason: str = "") -> Rollout: ...

    def reject(self, card: Seen, person: Principal, reason: str = "") -> Rollout: ...

    def abort(self, card: Seen, person: Principal, reason: str = "") -> Rollout: ...

    def rollback(self, card: Seen, person: Principal, reason: str = "") -> Rollout: ...

    def retry(self, card: Seen, person: Principal, reason: str = "") -> Rollout: ...

    def resolve(self, card: Seen, person: Principal, happened: bool, reason: str = "") -> Rollout: ...


def no_view(person: Principal) -> HomeView:
    """A Home without figures."""
    return HomeView()


def no_tree(anomaly: Anomaly) -> DriverTree | None:
    """No driver tree."""
    return None


def no_board() -> Board:
    """Nothing goes on."""
    return Board(date.min, Alerts((), (), (), (), ()), (), 0, 0)


def silent() -> None:
    """A bell that nobody hears."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything here but `pace` and `limiter` blocks and is called in a thread.

    `propose` makes a rollout of a recommendation's id for a person, its card to go to a channel. `look` gives what
    a person's Home shows, `investigate` the drivers behind an anomaly, `board` what goes on. `ring` wakes whoever
    delivers and executes.
    """

    database: Database
    tenant: str
    gates: Decisions
    ask: Callable[[Question], Answer]
    propose: Callable[[str, Principal, str], Rollout]
    threads: Threads
    metrics: Metrics
    limiter: Limiter
    now: Callable[[], datetime]
    new_id: NewId
    look: Callable[[Principal], HomeView] = no_view
    investigate: Callable[[Anomaly], DriverTree | None] = no_tree
    board: Callable[[], Board] = no_board
    ring: Callable[[], None] = silent
    pace: Pace = field(default_factory=Pace)
