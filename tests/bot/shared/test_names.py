"""An executor's name: one per living process, and the same one again after a kill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bot.app import App
from bot.shared import names
from bot.shared.names import hold
from tools.settings import Settings
from tools.store.database import Database

_PROGRAM = "import sys; from pathlib import Path; from bot.shared.names import hold\n"
_PROGRAM += "held = hold(Path(sys.argv[1])); print(held.name, flush=True); sys.stdin.read()"


def test_after_a_kill_the_next_process_has_the_same_name(tmp_path: Path) -> None:
    """While it lives another one is called differently; kill -9, and its name is free at once."""
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        name = first.stdout.readline().strip()
        beside = hold(tmp_path)
        assert beside.name != name
        first.kill()
        first.wait()
    after = hold(tmp_path)
    assert after.name == name
    for held in (beside, after):
        held.close()


def test_two_in_one_process_are_two(tmp_path: Path) -> None:
    """Also within a process nobody shares a name; closed, it is there for the next."""
    one, two = hold(tmp_path / "new"), hold(tmp_path / "new")
    assert one.name != two.name
    one.close()
    again = hold(tmp_path / "new")
    assert again.name == one.name
    again.close()
    two.close()


def test_where_names_cannot_be_kept_each_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder to write to, or all names taken: a name of its own, and the lease runs out by itself."""
    (tmp_path / "file").write_text("")
    assert hold(tmp_path / "file" / "below").name != hold(tmp_path / "file" / "below").name
    monkeypatch.setattr(names, "MOST", 0)
    hold(tmp_path).close()
    assert not list(tmp_path.glob("*.lock"))


def test_the_executor_takes_over_what_it_held_before_it_was_killed(tmp_path: Path, database: Database) -> None:
    """Started again on the same machine it is the owner of its own leases; beside a living one it is not."""
    settings = Settings(_env_file=None, home=tmp_path)
    first, beside = App(settings, database), App(settings, database)
    assert first.engine.owner != beside.engine.owner
    first.close()
    again = App(settings, database)
    assert again.engine.owner == first.engine.owner
    for app in (beside, again):
        app.close()
