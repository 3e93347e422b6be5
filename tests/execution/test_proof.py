"""The proof itself: runs repeat by their seed, end, violate nothing - and notice a planted defect."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from bot.cli import main
from tools.execution import engine, gates
from tools.execution.proof import ground
from tools.execution.proof.defects import DEFECTS, Defect, planted
from tools.execution.proof.driver import Line
from tools.execution.proof.simulator import Parts, Run, play
from tools.execution.proof.world import KINDS
from tools.store.database import Database

_MODULES = {"gates": gates, "engine": engine}
# Noticed within a few runs; the others need more runs than a quick test has.
_QUICK = {
    "the proposer approves",
    "any role may decide",
    "a program may decide",
    "one person is enough for what destroys",
    "an approval is used however old it is",
    "the kill switch is not read at the claim",
    "a regression raises no alarm",
    "nobody watches at a gate",
    "open effects survive a rollback",
    "the end does not free the resource",
    "moves are not on record",
}


def _parts() -> Parts:
    return Parts(gates.Gates, engine.Engine)


@pytest.mark.parametrize("seed", [1_000, 200_000, 30_000_000, 4_000_000_000])
def test_runs_end_and_violate_nothing(seed: int) -> None:
    """A thousand hostile worlds in every test run; a million in the long proof."""
    ends = list(play(_parts(), seed, 250))
    assert [e for e in ends if e.violation] == []
    assert set(Counter(e.kind for e in ends)) == set(KINDS)


@pytest.mark.parametrize("seed", [1_376, 10_001_722, 10_019_481, 10_034_198])
def test_worlds_that_found_something(seed: int) -> None:
    """Seeds of the long proof that once showed a flaw, of the machine or of what it was measured by."""
    assert [e.violation for e in play(_parts(), seed, 1)] == [""]


def test_a_seed_repeats_its_run() -> None:
    """What was found once can be looked at again: the same moves at the same moments."""
    first = list(play(_parts(), 7, 5))
    assert first == list(play(_parts(), 7, 5))
    assert len({ended.record for ended in first}) == 5


@pytest.mark.stores
def test_the_quick_ground_is_like_the_real_one(database: Database) -> None:
    """The same seeds on the databases of production: the same moves, refusals and moments, to the last audit hash."""
    for seed in range(60, 63):
        with ground.memory(f"run-{seed}") as quick:
            said = Run(_parts(), quick, seed).play()
        assert Run(_parts(), ground.real(database, f"run-{seed}"), seed).play() == said


def test_the_store_keeps_its_statements() -> None:
    """Run after run asks nothing new of the database: a statement that is built anew each time would be slow."""
    with ground.memory() as place, place.database.read() as tx:
        assert isinstance(tx, Line)
        known = []
        for seed in range(40):
            Run(_parts(), place, seed).play()
            known.append(tx.statements)
        assert known[-1] == known[-15] < 60


@pytest.mark.parametrize("defect", [d for d in DEFECTS if d.name in _QUICK], ids=lambda d: d.name)
def test_a_planted_defect_is_noticed(defect: Defect) -> None:
    """Each of these defences, switched off, shows within a few runs; afterwards it is on again."""
    with planted(defect, _MODULES):
        ends = list(play(_parts(), 1, 60, stop_at_violation=True))
    assert ends[-1].violation
    assert not next(play(_parts(), ends[-1].seed, 1)).violation


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_every_planted_defect_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, through the command that people use."""
    assert main(["prove", "--rollouts", "2000", "--defects", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["runs"], document["violations"], document["stuck"]) == (2000, [], [])
    assert len(document["defects"]) >= 20
    assert all(found["caught_at"] for found in document["defects"])


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`optiinfra prove` says what it did, in words and as a document."""
    assert main(["prove", "--rollouts", "3", "--seed", "5"]) == 0
    assert "3 simulated rollouts" in capsys.readouterr().out
    assert main(["prove", "--rollouts", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["runs"], document["violations"], document["defects"]) == (2, [], [])
    assert sum(document["kinds"].values()) == 2
    assert main(["prove", "--rollouts", "0"]) == 1
    assert main(["prove", "--workers", "-1"]) == 1
