"""The page about rollouts: its drawing, phases and table are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.cli import main
from tests.execution.routes import ROUTES
from tools.model.rollout import TERMINAL, Phase, State, phase

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "rollouts.md").read_text()


def test_the_drawing_is_the_machine() -> None:
    """Every way is drawn, no other, and what is drawn as an end is one."""
    drawn: dict[State, set[State]] = {}
    for start, end in re.findall(r"^    ([A-Z_]+) --> ([A-Z_]+)", PAGE, re.MULTILINE):
        drawn.setdefault(State(start), set()).add(State(end))
    assert drawn == ROUTES
    assert {State(name) for name in re.findall(r"^    ([A-Z_]+) --> \[\*\]", PAGE, re.MULTILINE)} == TERMINAL


def test_the_phases() -> None:
    """Every state once, under the phase that the card shows."""
    told = {
        State(name): Phase(row)
        for row, states in re.findall(r"^\| (Progressing|Paused|Healthy|Degraded) \| (.*) \|$", PAGE, re.MULTILINE)
        for name in states.split(", ")
    }
    assert told == {state: phase(state) for state in State}


def test_twenty_invariants_and_where_they_are() -> None:
    """Numbered without gaps, each with files that exist."""
    rows = re.findall(r"^\| (\d+) \| (.*?) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, 21))
    for _, _, kept, checked in rows:
        files = re.findall(r"`(\S+?)`", kept + checked)
        assert len(files) >= 2
        assert [file for file in files if not (ROOT / file).exists()] == []


def test_every_command_of_the_runbooks_exists() -> None:
    """Nobody types a word at night that the command line does not know."""
    for words in sorted(set(re.findall(r"`optiinfra ((?:rollout|audit|doctor|prove)(?: [a-z]+)?)", PAGE))):
        with pytest.raises(SystemExit) as end:
            main([*words.split(), "--help"])
        assert end.value.code == 0, words
