"""A fleet that lives in a file and converges unit by unit: the cloud of these tests, real code and real processes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tools.model.errors import ProviderError, TransientError
from tools.model.resource import Resource
from tools.model.rollout import Plan, Stage, whole_units
from tools.providers.base import ChangePlan, HealthReading, Observation, Sample

NAME = "test.fleet"


@dataclass(frozen=True, slots=True)
class Fleet:
    """A group of units, each "old" or "new". A set share is reached `pace` units per look, never at once."""

    path: Path
    now: Callable[[], datetime]
    pace: int = 5
    name: str = NAME

    def create(self, units: int) -> Fleet:
        """Start with `units` old units."""
        with self._file() as file:
            file.executescript(
                "CREATE TABLE state (share INTEGER, units INTEGER, changed INTEGER, print TEXT, pace INTEGER, hidden INTEGER);"
                "CREATE TABLE calls (share INTEGER, token TEXT);"
                "CREATE TABLE faults (kind TEXT, left INTEGER)"
            )
            file.execute("INSERT INTO state VALUES (0, ?, 0, 'as planned', ?, 0)", (units, self.pace))
        return self

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        units = int(str(resource.attributes["size"]))
        stages = tuple(
            Stage(index, percent, count, {"units": count})
            for index, (percent, count) in enumerate(whole_units(units, percents))
        )
        return ChangePlan("instance", units, stages, {"units": 0}, resource.fingerprint, "set the share back to 0")

    def observe(self, plan: Plan) -> Observation:
        self._fault("observe")
        with self._file() as file:
            share, units, changed, fingerprint, pace, hidden = file.execute("SELECT * FROM state").fetchone()
            share = 0 if hidden else share
            step = max(-pace, min(pace, share - changed))
            file.execute("UPDATE state SET changed = ?", (changed + step,))
        seen = changed + step
        return Observation(
            at=self.now(),
            setting={"units": share},
            counts={"spot": seen, "on_demand": units - seen},
            changed=seen,
            total=units,
            settled=seen == share,
            fingerprint=fingerprint,
        )

    def check(self, plan: Plan, desired: dict[str, object]) -> None:
        self._fault("check")
        self._refuse("check/")

    def apply(self, plan: Plan, desired: dict[str, object], token: str) -> None:
        self._fault("apply")
        with self._file() as file:
            file.execute("UPDATE state SET share = ?", (desired["units"],))
            file.execute("INSERT INTO calls VALUES (?, ?)", (desired["units"], token))
        self._fault("after")

    def calls(self) -> list[tuple[int, str]]:
        """Every write that arrived: (share, token)."""
        with self._file() as file:
            return list(file.execute("SELECT share, token FROM calls ORDER BY rowid"))

    def change(self, **values: object) -> None:
        """Somebody (or the cloud) changes the fleet: share, units, changed, print, pace; hidden: it shows nothing new yet."""
        with self._file() as file:
            for column, value in values.items():
                file.execute(f"UPDATE state SET {column} = ?", (value,))

    def fail(self, kind: str, times: int) -> None:
        """The next `times` calls fail: kind is observe, apply (before the effect), after (the effect) or a refusal."""
        with self._file() as file:
            file.execute("INSERT INTO faults VALUES (?, ?)", (kind, times))

    def state(self) -> dict[str, Any]:
        with self._file() as file:
            row = file.execute("SELECT share, units, changed FROM state").fetchone()
        return dict(zip(("share", "units", "changed"), row, strict=True))

    def _fault(self, kind: str) -> None:
        with self._file() as file:
            hit = file.execute("SELECT rowid FROM faults WHERE kind = ? AND left > 0", (kind,)).fetchone()
            if hit:
                file.execute("UPDATE faults SET left = left - 1 WHERE rowid = ?", hit)
        if hit:
            raise TransientError(f"The cloud cut the line ({kind}).")
        if kind == "apply":
            self._refuse()

    def _refuse(self, at: str = "") -> None:
        """Raise the refusal that was asked for, "QuotaExceededError", or "check/QuotaExceededError" for the checks."""
        with self._file() as file:
            wanted = "SELECT rowid, kind FROM faults WHERE kind LIKE ? AND instr(kind, '/') = ? AND left > 0"
            row = file.execute(wanted, (f"{at}%Error", len(at))).fetchone()
            if row is None:
                return
            file.execute("UPDATE faults SET left = left - 1 WHERE rowid = ?", (row[0],))
        from tools.model import errors

        error: type[ProviderError] = getattr(errors, row[1].rpartition("/")[2])
        raise error("The cloud says no.")

    @contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            with connection:
                yield connection
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Health:
    """A metrics source that reads what a test wrote down: requests and errors per minute and group."""

    path: Path

    def set(self, **groups: tuple[int, int]) -> Health:
        """`spot=(requests, errors)` per minute; no groups: the service says nothing. `down=(1, 0)`: no answer."""
        self.path.write_text(json.dumps(groups))
        return self

    def read(self, service: str, window_seconds: int, now: datetime) -> HealthReading:
        groups = json.loads(self.path.read_text())
        if "down" in groups:
            raise TransientError("The metrics source does not answer.")
        minutes = Decimal(window_seconds) / 60
        samples = tuple(Sample(name, n * minutes, errors * minutes) for name, (n, errors) in groups.items())
        return HealthReading(now, window_seconds, samples)

    def check(self) -> str:
        return f"a file at {self.path}"
