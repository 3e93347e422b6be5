"""`optiinfra prove`: plays the production engine, gates and store in a hostile simulated world and counts violations."""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from bot.terminal.output import Progress, print_json, table
from tools.execution import engine, gates
from tools.execution.proof.defects import DEFECTS, planted
from tools.execution.proof.simulator import Ended, Parts, play
from tools.model.errors import InputError

R = TypeVar("R")
_CHUNK = 100
# A defect that so many runs do not notice is not caught.
_MOST_RUNS = 20_000


@dataclass(frozen=True, slots=True)
class Caught:
    """At which run (from 1) a planted defect was noticed, and how; `caught_at` is None when it was not."""

    name: str
    caught_at: int | None
    seed: int | None
    violation: str


@dataclass(slots=True)
class Played:
    """How runs ended: how many in which state and on which kind of cloud API, and those that broke something."""

    ends: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    broken: list[Ended] = field(default_factory=list)

    def add(self, other: Played) -> None:
        self.ends.update(other.ends)
        self.kinds.update(other.kinds)
        self.broken += other.broken

    @property
    def runs(self) -> int:
        return self.ends.total()


def prove(args: argparse.Namespace) -> int:
    """Exit 0 when no run violated anything and (with --defects) every planted defect was noticed."""
    if args.rollouts < 1 or args.seed < 0 or args.workers < 0:
        raise InputError("A proof needs at least one rollout, a seed from 0 and a number of workers from 1.")
    workers = args.workers or os.cpu_count() or 1
    started = time.monotonic()
    with Progress() as progress:
        played = _played(args.seed, args.rollouts, workers, progress)
        seconds = time.monotonic() - started
        caught = tuple(_searched(args.seed, workers, progress)) if args.defects else ()
    missed = [c for c in caught if c.caught_at is None]
    if args.json:
        print_json(_document(played, caught, seconds))
    else:
        _print(played, caught, seconds)
    return 1 if played.broken or missed else 0


def _played(seed: int, rollouts: int, workers: int, progress: Progress) -> Played:
    chunks = [(first, min(_CHUNK, seed + rollouts - first)) for first in range(seed, seed + rollouts, _CHUNK)]
    whole = Played()
    for chunk in _spread(_chunk, chunks, workers):
        whole.add(chunk)
        progress("simulated rollouts", whole.runs, rollouts)
    return whole


def _searched(seed: int, workers: int, progress: Progress) -> Iterator[Caught]:
    jobs = [(index, seed) for index in range(len(DEFECTS))]
    for index, caught in enumerate(_spread(_search, jobs, workers)):
        progress("planted defects", index + 1, len(DEFECTS))
        yield caught


def _spread(work: Callable[[tuple[int, int]], R], jobs: list[tuple[int, int]], workers: int) -> Iterator[R]:
    """The results in order; worked on by so many processes, when it is worth starting them."""
    workers = min(len(jobs), workers)
    if workers < 2:
        yield from map(work, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_settle) as pool:
        yield from pool.map(work, jobs)


def _settle() -> None:
    # What is loaded now stays, and runs leave little behind: looking through all of it again and again is waste.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _chunk(job: tuple[int, int]) -> Played:
    first, count = job
    played = Played()
    for ended in play(_parts(), first, count):
        played.ends[ended.state] += 1
        played.kinds[ended.kind] += 1
        if ended.violation:
            played.broken.append(ended)
    return played


def _search(job: tuple[int, int]) -> Caught:
    index, seed = job
    defect = DEFECTS[index]
    with planted(defect, {"gates": gates, "engine": engine}):
        for number, ended in enumerate(play(_parts(), seed, _MOST_RUNS, stop_at_violation=True), start=1):
            if ended.violation:
                return Caught(defect.name, number, ended.seed, ended.violation)
    return Caught(defect.name, None, None, "")


def _parts() -> Parts:
    return Parts(gates.Gates, engine.Engine)


def _document(played: Played, caught: tuple[Caught, ...], seconds: float) -> dict[str, object]:
    return {
        "runs": played.runs,
        "violations": [e for e in played.broken if not e.violation.startswith("stuck")],
        "stuck": [e for e in played.broken if e.violation.startswith("stuck")],
        "ends": dict(sorted(played.ends.items())),
        "kinds": dict(sorted(played.kinds.items())),
        "defects": caught,
        "seconds": round(seconds),
    }


def _print(played: Played, caught: tuple[Caught, ...], seconds: float) -> None:
    rate = played.runs / seconds
    print(
        f"{played.runs} simulated rollouts in {seconds:.0f} s ({rate:.1f} a second), {len(played.broken)} violations."
    )
    print(table(("ended", "runs"), sorted(played.ends.items()), right=(1,)))
    print(table(("kind of cloud API", "runs"), sorted(played.kinds.items()), right=(1,)))
    for ended in played.broken:
        print(f"seed {ended.seed} ({ended.kind}, {ended.state}): {ended.violation}")
    if caught:
        rows = [(c.name, c.caught_at if c.caught_at is not None else "NOT CAUGHT", c.violation) for c in caught]
        print(table(("planted defect", "caught at run", "by"), rows, right=(1,)))
