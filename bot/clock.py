"""The clock: daily jobs that one replica runs per slot, and a loop that a bell can wake."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler

from bot.shared.wakeups import Wakeups
from tools.model.errors import OptiInfraError
from tools.store import slots
from tools.store.database import Database
from tools.telemetry.logs import get_logger
from tools.telemetry.metrics import Metrics

LEASE = timedelta(minutes=15)
RETRY = timedelta(minutes=5)
TICK_SECONDS = 20
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DailyJob:
    """Work that is due once a UTC day from `hour` on. `work` gets the slot's moment and says what it did."""

    name: str
    hour: int
    work: Callable[[datetime], str]


@dataclass(frozen=True, slots=True)
class Clock:
    """Runs each daily job's slot on exactly one replica, late rather than never."""

    database: Database
    tenant: str
    owner: str
    now: Callable[[], datetime]
    jobs: tuple[DailyJob, ...]
    metrics: Metrics

    def tick(self) -> tuple[str, ...]:
        """Run every job that is due and that no replica ran yet; return the names of those run here."""
        now = self.now()
        return tuple(job.name for job in self.jobs if now.hour >= job.hour and self._run(job, now))

    def _run(self, job: DailyJob, now: datetime) -> bool:
        slot = f"{now:%Y-%m-%d}"
        with self.database.begin() as tx:
            if not slots.claim(tx, self.tenant, job.name, slot, owner=self.owner, now=now, lease=LEASE):
                return False
        try:
            outcome = job.work(now)
        except OptiInfraError as error:
            with self.database.begin() as tx:
                slots.release(tx, self.tenant, job.name, slot, owner=self.owner, retry_at=self.now() + RETRY)
            self.metrics.jobs.labels(job.name, "failed").inc()
            _log.error("job_failed", job=job.name, slot=slot, error=str(error), retry_in=str(RETRY))
            return True
        with self.database.begin() as tx:
            slots.finish(tx, self.tenant, job.name, slot, owner=self.owner, now=self.now(), outcome=outcome)
        self.metrics.jobs.labels(job.name, "done").inc()
        _log.info("job_done", job=job.name, slot=slot, outcome=outcome)
        return True

    def start(self) -> BackgroundScheduler:
        """Tick from now on, in a thread of the scheduler's; shut the returned scheduler down to stop."""
        scheduler = BackgroundScheduler(timezone="UTC")
        scheduler.add_job(
            self.tick,
            "interval",
            seconds=TICK_SECONDS,
            next_run_time=self.now(),
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )
        scheduler.start()
        return scheduler


class Loop:
    """Calls `work` again and again in a thread of its own: every `seconds`, or at once when the bell rings."""

    def __init__(self, name: str, work: Callable[[], object], bell: Wakeups, seconds: float) -> None:
        self._name = name
        self._work = work
        self._bell = bell
        self._seconds = seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def name(self) -> str:
        return self._name

    @property
    def alive(self) -> bool:
        """False once the loop ended, be it by an error that nobody expected."""
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Finish the round that is running, then end."""
        self._stopping.set()
        self._bell.ring()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
            except OptiInfraError as error:
                _log.error("round_failed", loop=self._name, error=str(error))
            self._bell.wait(self._seconds)
