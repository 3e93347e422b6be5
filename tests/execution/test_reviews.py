"""Reviews: four reviewers look at a change before it is proposed, at once; nobody's silence is a yes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bot.slack.cards import rollout as card
from tests.execution.conftest import World, recommendation_of, resource_of
from tools.execution import reviewers
from tools.execution.judge import Count
from tools.execution.limits import JudgePolicy
from tools.execution.panel import Panel
from tools.execution.reviewers import Case
from tools.model.errors import RefusedError, SettingsError, TransientError
from tools.model.recommendation import Evidence
from tools.model.resource import Resource
from tools.model.review import Opinion, Review
from tools.model.rollout import Plan, Rollout, State
from tools.providers import registry
from tools.providers.reviewer import LARGEST, SIGNATURE, STAMP, WebhookReviewer, signature
from tools.settings import Settings
from tools.store import audit, people, rollout_reviews
from tools.store.database import Database

SECRET = "shared between the two of us"
Answer = dict[str, Any]


@pytest.fixture
def reviewed(world: World) -> World:
    """A world in which our three reviewers look at what is proposed."""
    world.panel = Panel(world.clock, world.health)
    return world


def heard(world: World, rollout: Rollout) -> dict[str, Review]:
    with world.database.read() as tx:
        return {review.reviewer: review for review in rollout_reviews.listing(tx, world.tenant, rollout.id)}


def test_three_reviews_are_kept_and_shown(reviewed: World) -> None:
    """Performance, resource and application each say a word with what they saw, on the card and in the record."""
    rollout = reviewed.propose()
    said = heard(reviewed, rollout)
    assert list(said) == ["performance", "resource", "application"]
    assert said["performance"].opinion is Opinion.APPROVE
    assert "It is as planned: 20 instances, 0 changed." in said["resource"].evidence
    assert said["application"].opinion is Opinion.CONCERN
    assert said["application"].why == "Nobody is named as its owner (tag owner or team)."
    assert any("checkout failed 0.00 % of 72000 requests" in line for line in said["application"].evidence)
    shown = str(card.message(card.View(rollout, reviews=tuple(said.values()))).blocks)
    assert "Concern (application): Nobody is named as its owner" in shown
    with reviewed.database.read() as tx:
        entry = audit.entries(tx, reviewed.tenant)[0]
    assert entry.detail["reviews"] == {"performance": "approve", "resource": "approve", "application": "concern"}


def test_a_service_that_is_not_well_is_not_touched(reviewed: World) -> None:
    """One in ten requests fails already: it is not proposed, and the refusal with its figures is on record."""
    reviewed.health.set(spot=(0, 0), on_demand=(600, 60))
    with pytest.raises(RefusedError, match=r"application reviewer blocks it.*failed 10\.00 %") as refusal:
        reviewed.propose()
    assert refusal.value.reason == "review"
    assert reviewed.refusals()[0] == ("priya@lumen.example", "rollout.propose", "review")


def test_what_changed_since_inventory_is_not_proposed(reviewed: World) -> None:
    """Somebody touched it in the meantime."""
    reviewed.fleet.change(share=3)
    with pytest.raises(RefusedError, match="resource reviewer blocks it: It was changed since inventory saw it"):
        reviewed.propose()


def test_who_cannot_look_has_a_concern(reviewed: World) -> None:
    """The cloud and the metrics are silent: two concerns with the reason, no approval, and people decide."""
    reviewed.health.set(down=(1, 0))
    reviewed.fleet.fail("observe", 1)
    said = heard(reviewed, reviewed.propose())
    assert {said["resource"].opinion, said["application"].opinion} == {Opinion.CONCERN}
    assert "The cloud cut the line" in said["resource"].why
    assert "does not answer" in said["application"].why


def test_asking_again_reviews_nothing_anew(reviewed: World) -> None:
    """The rollout that is live was reviewed; its reviews stay."""
    first = reviewed.propose()
    before = heard(reviewed, first)
    reviewed.health.set(down=(1, 0))
    assert reviewed.propose().id == first.id
    assert heard(reviewed, first) == before


def test_who_may_not_propose_starts_no_review(reviewed: World) -> None:
    """A viewer's wish asks no cloud."""
    reviewed.fleet.fail("observe", 1)
    with pytest.raises(RefusedError, match="may"):
        reviewed.propose("dan")


class Stub:
    """An outside reviewer inside this process."""

    def __init__(self, say: Callable[[], Review]) -> None:
        self.say = say

    def ask(self, plan: Plan, now: datetime) -> Review:
        return self.say()


def test_all_are_heard_at_once_and_who_is_late_is_a_concern(reviewed: World) -> None:
    """One never comes to an end: the others' words are there in time, and its own is a concern."""
    ended = threading.Event()
    try:
        waits = Stub(lambda: Review("outside", Opinion.APPROVE, str(ended.wait(20)), (), reviewed.clock()))
        reviewed.panel = Panel(reviewed.clock, reviewed.health, waits, seconds=0.1)
        began = time.monotonic()
        said = heard(reviewed, reviewed.propose())
        assert time.monotonic() - began < 5
        assert said["outside"].opinion is Opinion.CONCERN
        assert said["outside"].why == "It did not answer within 0.1 seconds."
        assert said["resource"].opinion is Opinion.APPROVE
    finally:
        ended.set()


def case(world: World, **changed: Any) -> Case:
    found, thing = recommendation_of("rec-1", "it", world.tenant, "R1"), resource_of(20, world.clock())
    made = world.propose(units=20)
    known = Case(made.plan, found, replace(thing, tags=(("owner", "team-pay"),)), world.clock())
    return replace(known, **changed)


def of_kind(known: Case, kind: str, **attributes: object) -> Case:
    thing: Resource = replace(known.resource, attributes=attributes)
    return replace(known, recommendation=replace(known.recommendation, kind=kind), resource=thing)


def test_what_each_reviewer_looks_at(world: World) -> None:
    """Headroom, interruptions, age, owners, stops, other rollouts, earlier tries: told in words, each its worth."""
    known, policy = case(world), JudgePolicy()
    busy = {"cpu_average": 30.0, "cpu_maximum": 61.0, "hours": 336, "days": 14}
    judged = [
        (reviewers.performance(of_kind(known, "rightsizing", utilisation=busy)), "block", "122 % busy at its peak"),
        (reviewers.performance(of_kind(known, "idle", utilisation=busy)), "block", "not idle"),
        (reviewers.performance(of_kind(known, "idle", utilisation=None)), "concern", "has not been measured"),
        (reviewers.performance(of_kind(known, "idle", utilisation=busy | {"cpu_maximum": 1.0})), "approve", "room"),
        (reviewers.performance(of_kind(known, "storage_class")), "approve", "room"),
        (
            reviewers.performance(replace(known, plan=replace(known.plan, unwatched="nobody uses it"))),
            "approve",
            "serves no requests",
        ),
        (reviewers.resource(of_kind(known, "spot_migration", instance_types=["m5.large"])), "concern", "of one type"),
        (reviewers.resource(replace(known, at=known.at + timedelta(days=3))), "concern", "Inventory saw it last on"),
        (reviewers.application(replace(known, stop="A freeze until Monday."), policy), "concern", "A freeze until"),
        (reviewers.application(replace(known, past=Count(20, 0)), policy), "concern", "20 requests in the last hour"),
        (reviewers.application(replace(known, past=Count(900, 1)), policy), "approve", "healthy"),
    ]
    for review, opinion, words in judged:
        assert (review.opinion, words in review.why) == (opinion, True), review
    spot = of_kind(known, "spot_migration", instance_types=["a", "b"])
    told = replace(spot.recommendation, evidence=(Evidence("Commitments", "30 % are committed", "bill"),))
    evidence = reviewers.resource(replace(spot, recommendation=told)).evidence
    assert "Its spot capacity may be of 2 types." in evidence
    assert "Commitments: 30 % are committed." in evidence


def test_other_rollouts_and_earlier_tries_are_known(world: World) -> None:
    """The same service is being changed elsewhere; the last try of this was rolled back."""
    known = case(world, past=Count(900, 0))
    plan = known.plan
    live = replace(world.propose(), id="ro-live")
    undone = replace(live, id="ro-old", state=State.ROLLED_BACK, reason="health got worse")
    done = replace(undone, id="ro-done", state=State.SUCCEEDED, updated_at=undone.updated_at + timedelta(days=1))
    review = reviewers.application(replace(known, others=(live, undone)), JudgePolicy())
    assert f"Another rollout of {plan.service} is under way (ro-live)." in review.why
    assert "The last try ended rolled back (ro-old): health got worse." in review.why
    better = reviewers.application(replace(known, others=(undone, done)), JudgePolicy())
    assert better.opinion is Opinion.APPROVE
    assert "The last try ended succeeded (ro-done)." in better.evidence


class Office:
    """An outside reviewer on a loopback port: checks what it is sent, and answers as `twist` says."""

    def __init__(self) -> None:
        self.twist: Callable[[Answer, dict[str, str]], tuple[int, bytes, dict[str, str]]] | None = None
        self.opinion, self.secret, self.now, self.got = "approve", SECRET, 0, []  # type: ignore[var-annotated]
        office = self

        class Desk(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer, headers = office.answer(body, dict(self.headers))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/review"

    def answer(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        assert headers[SIGNATURE] == signature(SECRET, headers[STAMP], body)
        asked = json.loads(body)
        self.got.append(asked)
        self.now = int(headers[STAMP])
        said = {
            "nonce": asked["nonce"],
            "plan_hash": asked["plan_hash"],
            "opinion": self.opinion,
            "why": "The change board has looked.",
            "evidence": ["ticket 4711"],
        }
        return self.twist(said, headers) if self.twist else self.signed(said)

    def signed(self, said: object, *, secret: str = SECRET, age: int = 0) -> tuple[int, bytes, dict[str, str]]:
        body, stamp = json.dumps(said).encode(), str(self.now - age)
        return 200, body, {STAMP: stamp, SIGNATURE: signature(secret, stamp, body)}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.close()


@pytest.fixture
def asked(world: World, office: Office) -> World:
    """A world whose panel asks the office too."""
    office.opinion, office.twist = "approve", None
    world.panel = Panel(world.clock, world.health, WebhookReviewer(office.url, SECRET, 2.0))
    return world


@pytest.mark.parametrize("opinion", ["approve", "concern"])
def test_an_outside_reviewer_is_heard(asked: World, office: Office, opinion: str) -> None:
    """It gets the whole plan, signed, and its signed word stands beside ours."""
    office.opinion = opinion
    rollout = asked.propose()
    said = heard(asked, rollout)["outside"]
    assert (said.opinion, said.why, said.evidence) == (opinion, "The change board has looked.", ("ticket 4711",))
    assert office.got[-1]["plan_hash"] == rollout.plan.hash
    assert office.got[-1]["plan"]["resource_id"] == "checkout-workers"


def test_an_outside_reviewer_s_block_counts(asked: World, office: Office) -> None:
    """Nothing is proposed."""
    office.opinion = "block"
    with pytest.raises(RefusedError, match="outside reviewer blocks it: The change board has looked"):
        asked.propose()


TWISTS: dict[str, tuple[Callable[[Office, Answer], tuple[int, bytes, dict[str, str]]], str]] = {
    "unsigned": (lambda o, a: (200, o.signed(a)[1], {}), "not signed"),
    "signed with another secret": (lambda o, a: o.signed(a, secret="guessed"), "not signed"),
    "changed on the way": (lambda o, a: (200, o.signed(a)[1] + b" ", o.signed(a)[2]), "not signed"),
    "an unsigned block": (lambda o, a: (200, o.signed(a | {"opinion": "block"})[1], {}), "not signed"),
    "recorded an hour ago": (lambda o, a: o.signed(a, age=3600), "not of this moment"),
    "to another question": (lambda o, a: o.signed(a | {"nonce": "0" * 32}), "about another plan"),
    "about another plan": (lambda o, a: o.signed(a | {"plan_hash": "0" * 64}), "about another plan"),
    "an opinion of its own": (lambda o, a: o.signed(a | {"opinion": "fine"}), "neither approve, concern nor block"),
    "no reason": (lambda o, a: o.signed(a | {"why": " "}), "neither approve, concern nor block"),
    "strange evidence": (lambda o, a: o.signed(a | {"evidence": [1]}), "not a list of sentences"),
    "no object": (lambda o, a: o.signed([a]), "no JSON object"),
    "no JSON": (lambda o, a: _raw(o, b"yes"), "no JSON object"),
    "too long": (lambda o, a: o.signed(a | {"why": "x" * LARGEST}), "too long"),
    "broken": (lambda o, a: (500, b"", {}), "HTTP 500"),
    "moved": (lambda o, a: (302, b"", {"Location": "/elsewhere"}), "HTTP 302"),
}


def _raw(office: Office, body: bytes) -> tuple[int, bytes, dict[str, str]]:
    stamp = str(office.now)
    return 200, body, {STAMP: stamp, SIGNATURE: signature(SECRET, stamp, body)}


def test_a_word_that_cannot_be_trusted_is_a_concern_never_an_approval(asked: World, office: Office) -> None:
    """Unsigned, replayed, about something else, broken, endless: each is a concern that says so."""
    assert isinstance(asked.panel, Panel)
    plan = asked.propose().plan
    for name, (twist, words) in TWISTS.items():
        office.twist = lambda answer, headers, twist=twist: twist(office, answer)  # type: ignore[misc]  # bound per turn
        known = Case(plan, recommendation_of("rec-1", "it", asked.tenant, "R1"), resource_of(20, asked.clock()), asked.clock())  # fmt: skip
        said = asked.panel.hear(known, asked.fleet)[-1]
        assert (said.reviewer, said.opinion) == ("outside", Opinion.CONCERN), name
        assert words in said.why, name


def test_an_outside_reviewer_that_is_gone_or_slow_is_a_concern(asked: World, office: Office) -> None:
    """Nobody listens there; or the answer drips in too slowly."""
    plan = asked.propose().plan
    with pytest.raises(TransientError, match="does not answer"):
        WebhookReviewer("http://127.0.0.1:9/", SECRET, 1.0).ask(plan, asked.clock())
    with pytest.raises(TransientError, match="too slow"):
        WebhookReviewer(office.url, SECRET, 30.0)._within(time.monotonic() - 1)


@pytest.mark.parametrize(("url", "secret"), [("http://reviews.example/", SECRET), ("https://reviews.example/", "")])
def test_settings_under_which_it_could_not_be_trusted(url: str, secret: str) -> None:
    """In the clear, or without a secret: told at once, and nothing is sent."""
    settings = Settings(_env_file=None, reviewer_url=url, reviewer_secret=secret)  # type: ignore[call-arg]
    with pytest.raises(SettingsError):
        registry.reviewer(settings)


def test_the_panel_of_the_settings(world: World, office: Office) -> None:
    """What is set is asked; what is not is not."""
    settings = Settings(_env_file=None, reviewer_url=office.url, reviewer_secret=SECRET, review_seconds=3)  # type: ignore[call-arg]
    made = Panel.of(settings, world.clock)
    assert (made.health, made.seconds) == (None, 3.0)
    assert isinstance(made.outside, WebhookReviewer)
    assert Panel.of(Settings(_env_file=None), world.clock).outside is None  # type: ignore[call-arg]


@pytest.mark.stores
def test_reviews_are_kept_on_both_databases(database: Database, world: World) -> None:
    """In the order in which they were heard."""
    with database.begin() as tx:
        people.by_email(tx, world.tenant, "ben@lumen.example")
        made = [Review(name, Opinion.CONCERN, name, ("seen",), world.clock()) for name in ("b", "a")]
        rollout_reviews.add(tx, world.tenant, "ro-x", made)
    with database.read() as tx:
        assert rollout_reviews.listing(tx, world.tenant, "ro-x") == tuple(made)
        assert rollout_reviews.listing(tx, "other", "ro-x") == ()
