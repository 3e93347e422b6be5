"""The proof itself: runs repeat by their seed, end, violate nothing - and notice a planted defect."""

from __future__ import annotations

import json

import pytest

from bot.cli import main
from tools.execution import engine, gates
from tools.execution.proof.defects import DEFECTS, planted
from tools.execution.proof.simulator import Parts, play, summary

_MODULES = {"gates": gates, "engine": engine}
# Noticed within a few runs; the others need more runs than a quick test has.
_QUICK = {
    "the proposer approves",
    "any role may decide",
    "a program may decide",
    "the kill switch is not read at the claim",
    "a regression raises no alarm",
    "the end does not free the resource",
    "moves are not on record",
}


def _parts() -> Parts:
    return Parts(gates.Gates, engine.Engine)


def test_runs_end_and_violate_nothing() -> None:
    """A handful of hostile worlds in every test run; thousands in the long proof."""
    ends = list(play(_parts(), 100, 12))
    assert [e for e in ends if e.violation] == []
    assert sum(summary(ends).values()) == 12


def test_a_seed_repeats_its_run() -> None:
    """What was found once can be looked at again."""
    assert list(play(_parts(), 7, 2)) == list(play(_parts(), 7, 2))


@pytest.mark.parametrize("defect", [d for d in DEFECTS if d.name in _QUICK], ids=lambda d: d.name)
def test_a_planted_defect_is_noticed(defect: object) -> None:
    """Each of these defences, switched off, shows within a few runs; afterwards it is on again."""
    chosen = next(d for d in DEFECTS if d is defect)
    with planted(chosen, _MODULES):
        ends = list(play(_parts(), 1, 12, stop_at_violation=True))
    assert ends[-1].violation
    assert not next(play(_parts(), ends[-1].seed, 1)).violation


@pytest.mark.prove
def test_every_planted_defect_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, through the command that people use."""
    assert main(["prove", "--rollouts", "400", "--defects", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["runs"], document["violations"], document["stuck"]) == (400, [], [])
    assert all(found["caught_at"] for found in document["defects"])


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`optiinfra prove` says what it did, in words and as a document."""
    assert main(["prove", "--rollouts", "3", "--seed", "5"]) == 0
    assert "3 simulated rollouts" in capsys.readouterr().out
    assert main(["prove", "--rollouts", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["runs"], document["violations"], document["defects"]) == (2, [], [])
    assert main(["prove", "--rollouts", "0"]) == 1
