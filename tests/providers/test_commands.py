"""`optiinfra collect` and `optiinfra recommend`, as somebody types them against an AWS account and a bill."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import cli
from tests.providers.conftest import REGION, Aws
from tests.recommendation.bills import row, write

Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def type_(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Run one command in an installation of its own; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "OPTIINFRA_HOME": str(tmp_path),
        "OPTIINFRA_AWS_REGIONS": REGION,
        "OPTIINFRA_FOCUS_PATHS": str(tmp_path / "bill.csv"),
        "OPTIINFRA_LOG_LEVEL": "ERROR",
        "AWS_ENDPOINT_URL": aws.url,
    }.items():
        monkeypatch.setenv(name, value)

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def bill_of(aws: Aws, folder: Path) -> None:
    """Forty days on which the group's instances ran, up to yesterday."""
    last = datetime.now(UTC).date()
    ids = [i["InstanceId"] for i in aws.described()["Instances"]]
    days = [last - timedelta(days=n) for n in range(40, 0, -1)]
    write(folder / "bill.csv", (row(day, id_, "9.6", account=aws.account) for day in days for id_ in ids))


def documents(text: str) -> Any:
    return json.loads(text)


def test_collect_then_recommend(aws: Aws, type_: Type, tmp_path: Path) -> None:
    """A bill and an account become a saving that can be proposed, in text and as JSON."""
    aws.group(size=4)
    bill_of(aws, tmp_path)
    code, out, _ = type_("collect", "--json")
    (provider,) = documents(out)["providers"]
    assert code == 0
    assert [(a["id"], a["what"], a["status"]) for a in provider["accounts"]] == [
        ("100000000001", "costs", "complete"),
        (aws.account, "inventory", "complete"),
    ]
    assert provider["accounts"][0]["complete_to"] == f"{datetime.now(UTC).date()}"
    code, out, _ = type_("recommend", "--kind", "spot_migration", "--json")
    (found,) = documents(out)["recommendations"]
    assert code == 0
    assert set(found["monthly_saving"]) == {"low", "expected", "high"}
    assert (found["monthly_saving"]["expected"], found["currency"]) == ("665.76", "USD")
    assert found["price_source"].startswith("rule of thumb")
    assert found["parameters"]["change"] == "aws.asg_spot"
    assert found["evidence"][0]["receipt"]["rows"] == 4 * 30
    code, out, _ = type_("recommend")
    assert "can be proposed" in out
    assert "nothing counted twice" in out


def test_collect_says_in_words_what_could_not_be_read(
    aws: Aws, type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bill is in, the cloud is not: partial, and the reason stands beside the account."""
    aws.group(size=1)
    bill_of(aws, tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    code, out, _ = type_("collect")
    assert code == 0
    assert "costs      complete" in out
    assert "AWS did not answer while asking who we are." in out
    monkeypatch.setenv("OPTIINFRA_FOCUS_PATHS", "")
    assert type_("collect")[0] == 1


def test_nothing_configured_nothing_found_and_an_unknown_kind(type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is one sentence with what to do."""
    code, out, _ = type_("recommend")
    assert (code, "Say: optiinfra collect" in out) == (0, True)
    code, _, err = type_("recommend", "--kind", "magic")
    assert (code, "cleanup, commitment, idle" in err) == (1, True)
    monkeypatch.setenv("OPTIINFRA_FOCUS_PATHS", "")
    monkeypatch.setenv("OPTIINFRA_AWS_REGIONS", "")
    code, _, err = type_("collect")
    assert (code, "Nothing is configured" in err) == (1, True)
