"""`optiinfra prove`: plays the production engine, gates and store in a hostile simulated world and counts violations."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from bot.terminal.output import Progress, print_json, table
from tools.execution import engine, gates
from tools.execution.proof.defects import DEFECTS, planted
from tools.execution.proof.simulator import Ended, Parts, play, summary
from tools.model.errors import InputError

R = TypeVar("R")
_CHUNK = 25
# A defect that so many runs do not notice is not caught.
_MOST_RUNS = 600


@dataclass(frozen=True, slots=True)
class Caught:
    """At which run (from 1) a planted defect was noticed, and how; `caught_at` is None when it was not."""

    name: str
    caught_at: int | None
    seed: int | None
    violation: str


def prove(args: argparse.Namespace) -> int:
    """Exit 0 when no run violated anything and (with --defects) every planted defect was noticed."""
    if args.rollouts < 1 or args.seed < 0:
        raise InputError("A proof needs at least one rollout and a seed from 0.")
    started = time.monotonic()
    with Progress() as progress:
        ends = [e for chunk in _played(args.seed, args.rollouts, progress) for e in chunk]
        caught = tuple(_searched(args.seed, progress)) if args.defects else ()
    seconds = round(time.monotonic() - started)
    broken = [e for e in ends if e.violation]
    missed = [c for c in caught if c.caught_at is None]
    if args.json:
        print_json(_document(ends, broken, caught, seconds))
    else:
        _print(ends, broken, caught, seconds)
    return 1 if broken or missed else 0


def _played(seed: int, rollouts: int, progress: Progress) -> Iterator[list[Ended]]:
    chunks = [(first, min(_CHUNK, seed + rollouts - first)) for first in range(seed, seed + rollouts, _CHUNK)]
    done = 0
    for chunk in _spread(_chunk, chunks):
        done += len(chunk)
        progress("simulated rollouts", done, rollouts)
        yield chunk


def _searched(seed: int, progress: Progress) -> Iterator[Caught]:
    jobs = [(index, seed) for index in range(len(DEFECTS))]
    for index, caught in enumerate(_spread(_search, jobs)):
        progress("planted defects", index + 1, len(DEFECTS))
        yield caught


def _spread(work: Callable[[tuple[int, int]], R], jobs: list[tuple[int, int]]) -> Iterator[R]:
    """The results in order; worked on by as many processes as there are processors, when it is worth starting them."""
    workers = min(len(jobs), os.cpu_count() or 1)
    if workers < 2:
        yield from map(work, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(work, jobs)


def _chunk(job: tuple[int, int]) -> list[Ended]:
    first, count = job
    return list(play(_parts(), first, count))


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


def _document(ends: list[Ended], broken: list[Ended], caught: tuple[Caught, ...], seconds: int) -> dict[str, object]:
    return {
        "runs": len(ends),
        "violations": [e for e in broken if not e.violation.startswith("stuck")],
        "stuck": [e for e in broken if e.violation.startswith("stuck")],
        "ends": summary(ends),
        "defects": caught,
        "seconds": seconds,
    }


def _print(ends: list[Ended], broken: list[Ended], caught: tuple[Caught, ...], seconds: int) -> None:
    rate = len(ends) / seconds if seconds else len(ends)
    print(f"{len(ends)} simulated rollouts in {seconds} s ({rate:.1f} a second), {len(broken)} violations.")
    print(table(("ended", "runs"), summary(ends).items(), right=(1,)))
    for ended in broken:
        print(f"seed {ended.seed} ({ended.kind}, {ended.state}): {ended.violation}")
    if caught:
        rows = [(c.name, c.caught_at if c.caught_at is not None else "NOT CAUGHT", c.violation) for c in caught]
        print(table(("planted defect", "caught at run", "by"), rows, right=(1,)))
