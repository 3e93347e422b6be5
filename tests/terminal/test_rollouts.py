"""`optiinfra rollout`, `people` and `audit`, as somebody types them when Slack is down."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from tests.execution.conftest import World, make_world
from tests.store.test_audit import _tamper
from tools.model.rollout import State
from tools.store.database import Database

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return make_world(database, tmp_path)


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


def _json(said: tuple[int, str, str]) -> Any:
    assert said[0] == 0, said[2]
    return json.loads(said[1])


def test_nothing_yet(run: Run) -> None:
    """An empty house says what to do next."""
    assert "rollout propose" in run("rollout", "list")[1]
    assert "people set" in run("people", "list")[1]
    assert run("audit", "verify")[1].startswith("All 0 records")
    code, out, err = run("rollout", "show", "ro-none")
    assert (code, out) == (1, "")
    assert "There is no rollout ro-none" in err


def test_a_rollout_is_decided_in_the_terminal(run: Run, world: World) -> None:
    """Looked at, approved, promoted and rolled back with the same gates as the buttons."""
    world.clock.at = datetime.now(UTC)  # commands live by the real clock
    rollout = world.propose()
    assert "Move checkout-workers to spot" in run("rollout", "list")[1]
    shown = _json(run("rollout", "show", rollout.id, "--json"))["rollout"]
    assert {
        "id",
        "version",
        "phase",
        "stage",
        "steps",
        "plan_hash",
        "approvals",
        "intents",
        "verdicts",
        "history",
    } <= set(shown)
    assert (shown["phase"], shown["plan_hash"]) == ("Paused", rollout.plan.hash)
    assert shown["steps"][0]["words"] == "2 of 20 instances (10 %)"
    code, _, err = run("rollout", "approve", rollout.id, "--as", "priya@lumen.example")
    assert code == 1
    assert "somebody else has to approve" in err
    code, _, err = run("rollout", "promote", rollout.id, "--as", "ben@lumen.example")
    assert code == 1
    assert "rollout approve" in err
    approved = _json(run("rollout", "approve", rollout.id, "--as", "ben@lumen.example", "--reason", "ok", "--json"))
    assert approved["rollout"]["approvals"][0]["actor"] == "ben@lumen.example"
    world.clock.at = datetime.now(UTC)
    world.run(rollout, State.AWAITING_APPROVAL)
    text = run("rollout", "show", rollout.id)[1]
    assert "[x] step 1" in text
    assert "[>] step 2" in text
    assert "counted: 2 spot, 18 on_demand" in text
    assert "health: HEALTHY" in text
    assert f"rollout promote {rollout.id}" in text
    back = _json(run("rollout", "rollback", rollout.id, "--as", "olaf@lumen.example", "--json"))
    assert back["rollout"]["state"] == "ROLLING_BACK"
    assert "goes on by itself" in run("rollout", "show", rollout.id)[1]
    code, _, err = run("rollout", "retry", rollout.id, "--as", "ben@lumen.example")
    assert code == 1
    assert "Only a rollout that is held" in err


def test_a_person_nobody_knows(run: Run, world: World) -> None:
    """Told how to add them."""
    rollout = world.propose()
    code, _, err = run("rollout", "abort", rollout.id, "--as", "zoe@lumen.example")
    assert code == 1
    assert "optiinfra people set zoe@lumen.example" in err


def test_proposing_what_is_not_there(run: Run, world: World) -> None:
    """An unknown recommendation is told, nothing is proposed."""
    code, _, err = run("rollout", "propose", "rec-none", "--as", "ben@lumen.example")
    assert code == 1
    assert "no recommendation rec-none" in err


def test_asking_for_what_is_live_already(run: Run, world: World) -> None:
    """A rollout that has ended says so; a held one says what to do."""
    rollout = world.propose()
    world.approve(rollout)
    world.health.set()
    world.run(rollout, State.HELD)
    assert "rollout retry" in run("rollout", "show", rollout.id)[1]
    world.gates.abort(world.get(rollout).seen, world.person("olaf"))
    assert "it has ended" in run("rollout", "show", rollout.id)[1]
    assert _json(run("rollout", "list", "--json"))["rollouts"][0]["state"] == "CANCELLED"


def test_people_and_their_record(run: Run, database: Database) -> None:
    """Set, listed, on record, exported, and a change of the record is found."""
    assert "is approver now" in run("people", "set", "ana@lumen.example", "approver", "--name", "Ana")[1]
    assert (
        _json(run("people", "set", "ana@lumen.example", "admin", "--slack", "T1/U1", "--json"))["person"]["role"]
        == "admin"
    )
    code, _, err = run("people", "set", "bo@lumen.example", "viewer", "--slack", "U2")
    assert code == 1
    assert "which workspace" in err
    assert _json(run("people", "list", "--json"))["people"][0]["slack_user"] == "U1"
    assert "ana@lumen.example" in run("people", "list")[1]
    assert _json(run("audit", "verify", "--json"))["records"] == 2
    exported = _json(run("audit", "export", "--json"))["records"]
    assert [r["detail"]["role"] for r in exported] == ["approver", "admin"]
    assert "people.set  ana@lumen.example  done" in run("audit", "export")[1]
    _tamper(database, "UPDATE audit SET actor = 'nobody' WHERE seq = 1")
    code, out, _ = run("audit", "verify")
    assert code == 1
    assert "Record 1" in out


def test_an_unknown_role_is_wrong_usage(tmp_path: Path) -> None:
    """The real command line ends with 2 and names the roles."""
    done = subprocess.run(
        [sys.executable, "-m", "bot.cli", "people", "set", "a@b.example", "king"],
        capture_output=True,
        text=True,
        check=False,
        env={"OPTIINFRA_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 2
    assert "approver" in done.stderr
