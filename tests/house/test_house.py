"""The house says what it is: first lines, generated pages, packaging, and words that must not be there."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import subprocess
from pathlib import Path

import pytest

from tests.house import check_docs

ROOT = check_docs.ROOT


@pytest.mark.parametrize("storey", check_docs.STOREYS)
def test_every_file_says_its_one_job_in_its_first_line(storey: str) -> None:
    """The map is only as good as these lines."""
    silent = [p for p in check_docs.modules(storey) if not re.fullmatch(r".{12,}[.:]", check_docs.first_line(p))]
    assert not silent


@pytest.mark.parametrize("page", check_docs.PAGES)
def test_generated_pages_are_current(page: str) -> None:
    """`make docs` was run after the last change of settings, commands or files."""
    assert (ROOT / page).read_text(encoding="utf-8") == check_docs.PAGES[page](), "say `make docs`"


@pytest.mark.parametrize("package", check_docs.STOREYS)
def test_our_packages_are_ours(package: str) -> None:
    """A dependency that ships a top-level package with one of our names would shadow ours."""
    module = importlib.import_module(package)
    assert Path(module.__path__[0]).resolve() == ROOT / package
    owners = importlib.metadata.packages_distributions().get(package, ["optiinfra-cost-agent"])
    assert set(owners) == {"optiinfra-cost-agent"}


def test_pins_carry_hashes_and_no_address() -> None:
    """Requirements name no index, host or folder, and every pin has its hashes."""
    for file in sorted((ROOT / "requirements").glob("*.txt")):
        text = file.read_text()
        assert "://" not in text, file
        assert "--index" not in text, file
        pins = re.findall(r"^[a-z0-9][^\s]*==", text, re.MULTILINE)
        assert pins, file
        assert len(pins) == len(re.findall(r"^[a-z0-9].*==.*\\\n +--hash", text, re.MULTILINE)), file


def test_no_broad_except_outside_a_door() -> None:
    """An error is caught by its type; a broad except swallows what nobody thought of."""
    broad = re.compile(r"^\s*except(\s+(Exception|BaseException))?(\s+as\s+\w+)?:", re.MULTILINE)
    found = [p for s in check_docs.STOREYS for p in check_docs.modules(s) if broad.search(p.read_text())]
    assert not found


def test_no_file_of_this_machine_is_tracked() -> None:
    """What is generated or local stays out of the repository."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert not [
        n for n in tracked.splitlines() if n.startswith((".venv", "var/")) or n.endswith((".db", ".pyc", ".env"))
    ]


def test_every_decision_is_written_down() -> None:
    """ADRs are numbered without gaps and each has its three parts."""
    files = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(f.name[:4]) for f in files] == list(range(1, len(files) + 1))
    assert len(files) >= 10
    for file in files:
        text = file.read_text()
        assert all(part in text for part in ("## Context", "## Decision", "## Consequences")), file
