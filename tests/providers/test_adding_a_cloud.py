"""docs/adding-a-cloud.md taken at its word: each file it shows is written, and the suite is run as it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "adding-a-cloud.md"
_BLOCK = re.compile(r"^```(\w+) ([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PLACE = re.compile(r"""file=(?P<file>\S+)(?: (?P<where>above|below)=(?P<mark>["'])(?P<line>.+)(?P=mark))?""")
COPIED = ("tools", "sandbox", "tests", "bot", "agent")


@dataclass(frozen=True)
class Step:
    """One block of the page: a whole file, lines beside another line, or a command."""

    text: str
    file: str = ""
    where: str = ""
    line: str = ""

    def take(self, root: Path) -> None:
        path = root / self.file
        if not self.where:
            assert not path.exists(), f"{self.file} is there already"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.text, encoding="utf-8")
            return
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        places = [n for n, line in enumerate(lines) if line.rstrip("\n") == self.line]
        assert len(places) == 1, f"the line {self.line!r} is {len(places)} times in {self.file}"
        lines.insert(places[0] + (self.where == "below"), self.text)
        path.write_text("".join(lines), encoding="utf-8")


def steps() -> tuple[list[Step], list[str]]:
    """What the page says to write, and what to run."""
    writing: list[Step] = []
    running: list[str] = []
    for language, about, text in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if place := _PLACE.fullmatch(about):
            writing.append(Step(text, place["file"], place["where"] or "", place["line"] or ""))
        else:
            assert (language, about) == ("sh", "run"), about
            running += text.split("\n")
    return writing, [line for line in running if line]


def test_a_fifth_cloud_is_a_folder_and_passes_the_suite(tmp_path: Path) -> None:
    """Nothing that the page does not say is needed, and what it says is enough."""
    writing, running = steps()
    for name in COPIED:
        skipped = shutil.ignore_patterns("__pycache__", "*.csv", "page", "execution", "bench", "flows", "collection")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=skipped if name == "tests" else None)
    shutil.copytree(ROOT / "tests" / "collection", tmp_path / "tests" / "collection")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for step in writing:
        step.take(tmp_path)
    written = [step.file for step in writing if not step.where]
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", *written],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    (command,) = running
    program, *words = command.split()
    assert program == "python"
    # Alone and uncounted: the suite that runs this one measures coverage itself.
    words += ["-n", "0", "-p", "no:cacheprovider", "-p", "no:randomly", "--no-cov", "-v"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None
    assert int(found[1]) > 20
    assert "skipped" not in done.stdout
