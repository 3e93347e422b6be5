"""The door to clouds that speak JSON: its pace, its patience, and what it does not accept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.clouds.rest import Answer, Ask, RefusalError, RestCloud, Route
from tests.providers.conftest import served
from tools.model.errors import InputError, ProviderError, TransientError
from tools.providers import rest as door
from tools.providers.focus import rows
from tools.providers.rest import Asking, Pace, Reply, Rest, seconds_of

LISTING = Asking("listing teapots")


class Teapots:
    """A cloud that answers what a test tells it to."""

    def __init__(self) -> None:
        self.document: Any = {"teapots": 3}
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[Ask] = []
        self.routes = (Route("GET", "/teapots", "teapots", self.answer),)

    def answer(self, ask: Ask) -> Answer:
        self.asked.append(ask)
        return Answer(self.status, self.document, self.headers)

    def let_in(self, ask: Ask) -> None:
        """Everybody."""

    def refuse(self, refusal: RefusalError) -> Answer:
        return Answer(refusal.status, {})


def refused(reply: Reply, asking: Asking) -> ProviderError:
    return ProviderError(f"Refused: {asking.doing}.")


def told_wait(headers: Mapping[str, str]) -> float | None:
    return seconds_of(headers.get("retry-after", ""), datetime.now(UTC))


@pytest.fixture
def teapots() -> Teapots:
    return Teapots()


@pytest.fixture
def rest(teapots: Teapots) -> Any:
    with served(RestCloud(teapots)) as url:  # type: ignore[arg-type]  # no faults are asked of it
        proof = {"Authorization": "Bearer ours"}
        made = Rest("Teapots", url, "TEAPOT_URL", lambda: proof, refused, told_wait, Pace(1000, 1000))
        made.sleep = lambda _: None
        yield made


def test_credentials_of_the_machine_do_not_replace_ours(
    teapots: Teapots, rest: Rest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A .netrc file would otherwise win over the header."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert rest.get("/teapots", LISTING) == {"teapots": 3}
    assert teapots.asked[0].headers["authorization"] == "Bearer ours"


@pytest.mark.parametrize("document", [[1, 2], "text", 7])
def test_what_is_no_object_is_not_guessed_at(teapots: Teapots, rest: Rest, document: object) -> None:
    """The cloud may have changed its API."""
    teapots.document = document
    with pytest.raises(ProviderError, match="not known"):
        rest.get("/teapots", LISTING)


def test_no_content_is_an_empty_object(teapots: Teapots, rest: Rest) -> None:
    """Azure answers 204 where there is nothing to tell."""
    teapots.status, teapots.document = 204, None
    assert rest.get("/teapots", LISTING) == {}


def test_a_redirect_is_not_followed(teapots: Teapots, rest: Rest) -> None:
    """It would carry the credentials elsewhere."""
    teapots.status, teapots.headers = 302, {"location": "http://127.0.0.1:9/"}
    with pytest.raises(ProviderError, match="points elsewhere"):
        rest.get("/teapots", LISTING)


def test_an_endless_answer_is_no_answer(teapots: Teapots, rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither memory nor time without bounds."""
    monkeypatch.setattr(door, "MOST_BYTES", 10)
    with pytest.raises(TransientError, match="TEAPOT_URL"):
        rest.get("/teapots", LISTING)
    assert len(teapots.asked) == door.ATTEMPTS


def test_refusals_without_a_readable_body_are_refusals(teapots: Teapots, rest: Rest) -> None:
    """A gateway's HTML page says enough by its status."""
    teapots.status, teapots.document = 418, None
    with pytest.raises(ProviderError, match="Refused: listing teapots"):
        rest.get("/teapots", LISTING)


def test_a_pace_is_kept_by_waiting() -> None:
    """Two at once, then one every half second; what was not used comes back with time."""
    now, waits = [0.0], []
    pace = Pace(2, 2, clock=lambda: now[0], sleep=waits.append)
    for _ in range(4):
        pace.take()
    assert waits == [0.5, 1.0]
    now[0] = 60.0
    pace.take()
    assert len(waits) == 2


def test_waits_are_seconds_or_moments() -> None:
    """And nothing that makes no sense."""
    now = datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert seconds_of("12", now) == 12
    assert seconds_of(format_datetime(now + timedelta(seconds=90), usegmt=True), now) == 90
    assert seconds_of(format_datetime(now - timedelta(seconds=90), usegmt=True), now) == 0
    assert seconds_of("-3", now) is seconds_of("inf", now) is seconds_of("soon", now) is seconds_of("", now) is None


def test_a_bill_is_written_whole_and_only_when_there_is_one(tmp_path: Path) -> None:
    """Columns that no FOCUS file of ours has are a mistake of ours."""
    assert rows.write(tmp_path / "none.csv", []) == 0
    assert list(tmp_path.iterdir()) == []
    assert rows.write(tmp_path / "one.csv", [{"BilledCost": "1.50", "Tags": rows.tags_text([("a", 'b"')])}]) == 1
    header, line = (tmp_path / "one.csv").read_text().splitlines()
    assert header.startswith("BilledCost,BillingAccountId")
    assert line.startswith("1.50,")
    with pytest.raises(InputError, match="BiledCost"):
        rows.write(tmp_path / "bad.csv", [{"BiledCost": "1"}])
