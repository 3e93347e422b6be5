"""The kill switch, freezes and unclear effects, typed when Slack is down."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.cli import main
from tests.execution.conftest import World, make_world
from tools.model.rollout import State
from tools.store import rollouts
from tools.store.database import Database

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    made = make_world(database, tmp_path)
    made.clock.at = datetime.now(UTC)  # the command line reads the real clock
    return made


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Type a command against the test's database; (exit code, stdout, stderr)."""
    monkeypatch.setenv("OPTIINFRA_STATE_URL", database_url)
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def typed(*words: str) -> tuple[int, str, str]:
        code = main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed


def test_the_kill_switch(run: Run, world: World) -> None:
    """An operator stops everything, an approval is refused meanwhile, an approver lets it go on."""
    assert run("rollout", "stops")[1] == "Nothing forbids changes now.\n"
    rollout = world.propose()
    olaf, ben = ("--as", "olaf@lumen.example"), ("--as", "ben@lumen.example")
    assert "Olaf stopped all rollouts: incident 42" in run("rollout", "stop", *olaf, "--reason", "incident 42")[1]
    code, _, err = run("rollout", "approve", rollout.id, *ben)
    assert code
    assert "incident 42" in err
    assert "may not" in run("rollout", "resume", *olaf)[2]
    said = run("rollout", "resume", *ben, "--json")
    assert json.loads(said[1]) == {"standing": None, "freezes": []}


def test_a_freeze(run: Run, world: World) -> None:
    """Planned, listed and lifted; a moment that is none and a time that ends before it starts are refused."""
    olaf = ("--as", "olaf@lumen.example")
    times = ("--from", "2099-12-20T18:00", "--until", "2100-01-04T07:00+01:00")
    out = run("rollout", "freeze", *times, *olaf, "--reason", "holidays")[1]
    assert "2099-12-20 18:00" in out
    assert "2100-01-04 06:00" in out
    (freeze,) = json.loads(run("rollout", "stops", "--json")[1])["freezes"]
    assert freeze["reason"] == "holidays"
    assert run("rollout", "thaw", freeze["id"], "--as", "ben@lumen.example")[1] == "Nothing forbids changes now.\n"
    assert "no moment" in run("rollout", "freeze", "--from", "now", "--until", "later", *olaf)[2]
    assert "end after it starts" in run("rollout", "freeze", *times[:3], "2099-01-01", *olaf)[2]


def test_an_unclear_effect(run: Run, world: World) -> None:
    """Somebody looked at the cloud and says so; the step goes on."""
    rollout = world.propose()
    said = run("rollout", "resolve", rollout.id, "--happened", "no", "--as", "ben@lumen.example")
    assert "Nothing about it is unknown" in said[2]
    world.approve(rollout)
    world.fleet.change(pace=1)
    running = world.run(rollout, State.EXECUTING)
    stuck = replace(running, version=running.version + 1, state=State.NEEDS_HUMAN, held_from=State.EXECUTING)
    with world.database.begin() as tx:
        assert rollouts.transition(tx, running, stuck)
    words = ("--happened", "yes", "--as", "ben@lumen.example")
    assert "EXECUTING: Ben: the effect happened" in run("rollout", "resolve", rollout.id, *words)[1]
    again = replace(world.get(rollout), version=running.version + 3, state=State.NEEDS_HUMAN, held_from=State.EXECUTING)
    with world.database.begin() as tx:
        assert rollouts.transition(tx, world.get(rollout), again)
    assert json.loads(run("rollout", "resolve", rollout.id, *words, "--json")[1])["rollout"]["state"] == "EXECUTING"
