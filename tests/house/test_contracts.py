"""The import contracts hold, and each one breaks when somebody violates it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bot", "agent", "tools", "sandbox")

# contract -> (file to plant, import that violates it)
VIOLATIONS = {
    "storeys": ("tools/analysis/planted.py", "import agent.answer"),
    "tools": ("tools/store/planted.py", "import tools.analysis.costs"),
    "bot": ("bot/slack/planted.py", "import bot.app"),
    "clouds": ("tools/providers/aws/planted.py", "import tools.providers.gcp"),
    "nouns": ("tools/model/planted.py", "import sqlalchemy"),
    "gates": ("agent/planted.py", "import tools.execution.gates"),
    "cloud-sdks": ("tools/analysis/planted.py", "import boto3"),
    "llm": ("bot/slack/planted.py", "import langchain_core"),
    "sandbox": ("bot/slack/planted.py", "import sandbox.organisation"),
    "sandbox-back": ("sandbox/planted.py", "import tools.model.money"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the house, for planting violations."""
    target = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__", "page"))
    shutil.copy(ROOT / "pyproject.toml", target)
    return target


def lint(folder: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter in a folder whose packages go before the installed ones."""
    code = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c(sys.argv[1:])"
    )
    arguments = [f"--contract={c}" for c in contracts]
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_house_keeps_its_contracts(copy: Path) -> None:
    """As it stands, every contract is kept."""
    result = lint(copy)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_every_contract_has_a_planted_violation() -> None:
    """A new contract without a violation here would be a check that nobody saw fail."""
    import tomllib

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {c["id"] for c in contracts} == set(VIOLATIONS)


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_violation_breaks_its_contract(contract: str, copy: Path) -> None:
    """A planted import turns exactly this contract red."""
    name, line = VIOLATIONS[contract]
    planted = copy / name
    planted.write_text(f'"""Planted."""\n\n{line}\n')
    try:
        result = lint(copy, contract)
    finally:
        planted.unlink()
    assert result.returncode == 1, result.stdout + result.stderr
    assert "0 kept, 1 broken" in result.stdout


@pytest.mark.parametrize("storey", ["bot", "tools"])
def test_a_room_that_no_layer_names_is_noticed(storey: str, copy: Path) -> None:
    """A new folder must be given its place in the layers."""
    planted = copy / storey / "planted.py"
    planted.write_text('"""Planted."""\n')
    try:
        result = lint(copy, storey)
    finally:
        planted.unlink()
    assert result.returncode == 1
    assert f"{storey}.planted" in result.stdout
