"""What changed is told once: cards are posted once, edited in place, and survive everything Slack can answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.outbox import Channels, Outbox
from bot.shared.message import Message, Reply
from bot.shared.pace import Pace
from bot.shared.posting import NotDeliveredError, SlackTransport
from sandbox import organisation
from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.bot.slack.world import START, TENANT, Clock, World, proposal
from tools.model.digest import Digest
from tools.model.fact import Chart, Table
from tools.model.query import Coverage, Receipt
from tools.store import digests, outbox
from tools.store.database import Database, open_database
from tools.store.outbox import Waiting
from tools.telemetry.metrics import Metrics


@dataclass
class Wall:
    """A transport that keeps what was written on it, and refuses what it is told to refuse."""

    stands: dict[str, tuple[str, str, Message]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    refuse: list[NotDeliveredError] = field(default_factory=list)
    lose: int = 0

    def post(self, channel: str, message: Message, key: str, thread_ts: str = "", broadcast: bool = False) -> str:
        self._call("post")
        ts = f"{len(self.stands) + 1}.0"
        self.stands[ts] = (channel, key, message)
        if self.lose:
            self.lose -= 1
            raise NotDeliveredError("unreachable", "Slack could not be reached (timeout).")
        return ts

    def edit(self, channel: str, ts: str, message: Message, key: str) -> None:
        self._call("edit")
        if ts not in self.stands:
            raise NotDeliveredError("message_not_found", "Slack did not take the message (message_not_found).")
        self.stands[ts] = (channel, key, message)

    def find(self, channel: str, key: str, thread_ts: str = "") -> str:
        self._call("find")
        return next((ts for ts, (c, k, _) in self.stands.items() if (c, k) == (channel, key)), "")

    def permalink(self, channel: str, ts: str) -> str:
        return f"https://slack.example/{channel}/{ts}"

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.refuse:
            raise self.refuse.pop(0)


@dataclass
class Told:
    """An outbox over a wall; what it draws is set by the test."""

    box: Outbox
    wall: Wall
    clock: Clock
    drawn: dict[str, Message]
    slept: list[float]

    def change(self, subject: str = "r1", text: str = "", channel: str = "C1", **more: Any) -> None:
        if text:
            self.drawn[subject] = Message(text, **more)
        with self.box.database.begin() as tx:
            outbox.put(tx, TENANT, "rollout", subject, now=self.clock(), channel=channel)

    def problems(self) -> list[str]:
        with self.box.database.read() as tx:
            return [s.problem for s in outbox.stuck(tx, TENANT)]


def told(database: Database, wall: Wall | None = None, clock: Clock | None = None) -> Told:
    wall, clock, drawn, slept = wall or Wall(), clock or Clock(), {}, []

    def render(waiting: Waiting) -> Message | None:
        return drawn.get(waiting.subject)

    box = Outbox(
        database,
        TENANT,
        wall,
        render,
        Channels("", "C9"),
        clock,
        Metrics(),
        Pace(lambda: clock.now.timestamp()),
        sleep=slept.append,
    )
    return Told(box, wall, clock, drawn, slept)


@pytest.mark.stores
def test_a_message_is_posted_once_and_edited_afterwards(database: Database) -> None:
    """Three changes, one message; a change that changes nothing visible writes nothing."""
    t = told(database)
    t.change(text="waiting")
    assert t.box.deliver() == 1
    t.change(text="running")
    t.change()
    assert t.box.deliver() == 1
    t.change(text="running")
    assert t.box.deliver() == 0
    assert t.wall.calls == ["post", "edit"]
    assert [m.text for _, _, m in t.wall.stands.values()] == ["running"]
    assert b"optiinfra_outbox_waiting 0.0" in t.box.metrics.text()


@pytest.mark.stores
def test_two_replicas_post_one_card(database_url: str) -> None:
    """Both see the same change at the same moment."""
    wall = Wall()
    first = open_database(database_url, migrate=False)
    told(first, wall).change(text="once")
    databases = [open_database(database_url, migrate=False) for _ in range(2)]
    replicas = [told(d, wall) for d in databases]
    for replica in replicas:
        replica.drawn["r1"] = Message("once")
    start = threading.Barrier(2)

    def run(replica: Told) -> None:
        start.wait()
        for _ in range(3):
            replica.box.deliver()

    threads = [threading.Thread(target=run, args=(r,)) for r in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wall.calls == ["post"]
    for opened in (first, *databases):
        opened.dispose()


def test_a_crash_between_posting_and_writing_it_down_posts_no_second_card(database: Database) -> None:
    """The replica that died held the claim; the next one looks before it posts."""
    t = told(database)
    t.change(text="card")
    with database.begin() as tx:
        outbox.claim_message(tx, TENANT, "rollout", "r1", "C1", now=t.clock(), lease=timedelta(seconds=60))
    t.wall.stands["7.0"] = ("C1", "rollout:r1", Message("card, as the dead replica posted it"))
    assert t.box.deliver() == 0
    t.clock.go(seconds=61)
    assert t.box.deliver() == 1
    assert t.wall.calls == ["find", "edit"]


def test_a_post_whose_answer_was_lost_is_not_repeated(database: Database) -> None:
    """A timeout says nothing about whether it stands there; the outbox looks."""
    t = told(database, Wall(lose=1))
    t.change(text="card")
    assert t.box.deliver() == 0
    assert t.problems() == ["Slack could not be reached (timeout)."]
    t.clock.go(seconds=6)
    t.box.deliver()
    assert t.wall.calls == ["post", "find", "edit"]
    assert len(t.wall.stands) == 1


def test_retry_after_is_respected_and_others_are_not_held_up(database: Database) -> None:
    """One channel waits as long as Slack says; the other channel's message goes out."""
    t = told(database)
    t.wall.refuse.append(NotDeliveredError("ratelimited", "Slack asks to send less.", 30.0))
    t.change("r1", "one")
    t.change("r2", "two", channel="C2")
    assert t.box.deliver() == 1
    t.clock.go(seconds=29)
    assert t.box.deliver() == 0
    t.clock.go(seconds=2)
    assert t.box.deliver() == 1
    assert max(t.slept, default=0) < 2


def test_a_paused_channel_is_not_slept_through(database: Database) -> None:
    """Another card of that channel waits as well; nobody sleeps for five minutes."""
    t = told(database)
    t.wall.refuse.append(NotDeliveredError("ratelimited", "Slack asks to send less.", 300.0))
    t.change("r1", "one")
    t.change("r2", "two")
    assert t.box.deliver() == 0
    assert t.wall.calls == ["post"]
    assert "Slack asks to send less for 300 seconds." in t.problems()
    t.clock.go(seconds=301)
    assert t.box.deliver() == 2


def test_what_cannot_be_drawn_does_not_stop_the_rest(database: Database) -> None:
    """A row that nobody can draw is kept with its reason; the next card goes out."""
    t = told(database)
    t.change("r1")
    t.change("r2", "fine")

    def render(waiting: Waiting) -> Message | None:
        if waiting.subject == "r1":
            raise KeyError("stage")
        return t.drawn.get(waiting.subject)

    assert replace(t.box, render=render).deliver() == 1
    assert t.problems() == ["What is stored of it cannot be drawn."]


def test_waiting_grows_with_every_failure(database: Database) -> None:
    """5, 10, 20 seconds ... and never longer than a quarter of an hour; the reason stays visible."""
    t = told(database)
    t.change(text="card")
    waits = []
    for _ in range(9):
        t.wall.refuse.append(NotDeliveredError("not_in_channel", "The bot is not in channel C1."))
        t.box.deliver()
        seconds = 0
        while not t.wall.refuse and seconds < 1000:
            with database.read() as tx:
                if outbox.due(tx, TENANT, now=t.clock()):
                    break
            t.clock.go(seconds=5)
            seconds += 5
        waits.append(seconds)
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 900]
    assert t.problems() == ["The bot is not in channel C1."]
    assert b"optiinfra_outbox_failures_total 9.0" in t.box.metrics.text()


def test_a_deleted_message_is_posted_anew(database: Database) -> None:
    """Somebody deleted the card; the next change brings it back."""
    t = told(database)
    t.change(text="one")
    t.box.deliver()
    t.wall.stands.clear()
    t.change(text="two")
    assert t.box.deliver() == 1
    assert t.wall.calls == ["post", "edit", "post"]


def test_blocks_that_slack_cannot_draw_become_text(database: Database) -> None:
    """The words arrive all the same, and it is counted."""
    t = told(database)
    t.wall.refuse.append(NotDeliveredError("invalid_blocks", "Slack did not take the message (invalid_blocks)."))
    t.change(text="words", blocks=({"type": "divider"},))
    assert t.box.deliver() == 1
    assert next(iter(t.wall.stands.values()))[2].blocks == ()
    assert b'outcome="text_only",type="message"} 1.0' in t.box.metrics.text()


def test_replies_are_posted_once_each(database: Database) -> None:
    """The thread hears of a state once; a reply that failed comes later, without the card being written again."""
    t = told(database)
    t.change(text="card", replies=(Reply("needs", "Approval needed"),))
    t.wall.refuse = []
    assert t.box.deliver() == 2
    t.change(text="card", replies=(Reply("needs", "Approval needed"), Reply("done", "Done", broadcast=True)))
    assert t.box.deliver() == 1
    assert [k for _, k, _ in t.wall.stands.values()] == ["rollout:r1", "rollout:r1#needs", "rollout:r1#done"]


def test_a_card_in_a_thread_is_edited_in_place(database: Database) -> None:
    """It shows what is stored now, and is left alone when nothing changed; one that somebody deleted stays away."""
    t = told(database)
    for name, written in (("one", 2), ("one", 0), ("two", 1)):
        t.change(text="card", replies=(Reply("an-1", name, blocks=({"type": "divider"},)),))
        assert t.box.deliver() == written
    assert t.wall.calls == ["post", "post", "edit"]
    (ts,) = [ts for ts, (_, key, _) in t.wall.stands.items() if key.endswith("#an-1")]
    del t.wall.stands[ts]
    for name in ("three", "three"):
        t.change(text="card", replies=(Reply("an-1", name, blocks=({"type": "divider"},)),))
        assert t.box.deliver() == 0
    assert [key for _, key, _ in t.wall.stands.values()] == ["rollout:r1"]


def test_a_lost_reply_is_looked_for_first(database: Database) -> None:
    """A reply whose answer was lost is not said twice."""
    t = told(database)
    t.change(text="card")
    t.box.deliver()
    t.wall.lose = 1
    t.change(text="card", replies=(Reply("done", "Done"),))
    assert t.box.deliver() == 0
    t.clock.go(seconds=6)
    assert t.box.deliver() == 0
    assert t.wall.calls == ["post", "post", "find"]
    assert t.problems() == []


def test_without_the_permission_to_look_it_posts(database: Database) -> None:
    """An app without history scopes still shows its cards."""
    t = told(database, Wall(lose=1))
    t.change(text="card")
    t.box.deliver()
    t.clock.go(seconds=6)
    t.wall.refuse.append(NotDeliveredError("missing_scope", "The Slack app lacks a permission."))
    assert t.box.deliver() == 1
    assert t.wall.calls == ["post", "find", "post"]


def test_what_cannot_be_looked_for_now_waits(database: Database) -> None:
    """While Slack does not answer the search, nothing is posted."""
    t = told(database, Wall(lose=1))
    t.change(text="card")
    t.box.deliver()
    t.clock.go(seconds=6)
    t.wall.refuse.append(NotDeliveredError("ratelimited", "Slack asks to send less.", 10.0))
    assert t.box.deliver() == 0
    assert t.wall.calls == ["post", "find"]


def test_nothing_to_show_and_nowhere_to_show_it(database: Database) -> None:
    """A subject that is gone is settled; a topic without a channel waits with its reason."""
    t = told(database)
    t.change("gone")
    assert t.box.deliver() == 0
    assert t.problems() == []
    nowhere = told(database)
    box = replace(nowhere.box, channels=Channels())
    nowhere.change("r1", "card", channel="")
    box.deliver()
    assert nowhere.problems() == ["No channel is set for rollout r1."]


def test_where_each_topic_is_told() -> None:
    """Approvals channel first for rollouts; else where it was asked for; else the digest's."""

    def waiting(topic: str, channel: str) -> Waiting:
        return Waiting(topic, "s", channel, 1, 0)

    both = Channels("CA", "CD")
    assert both.of(waiting("rollout", "CX")) == "CA"
    assert both.of(waiting("digest", "CX")) == "CX"
    assert Channels("", "CD").of(waiting("rollout", "CX")) == "CX"
    assert Channels("", "CD").of(waiting("rollout", "")) == "CD"


def test_the_pace_of_a_channel_and_of_a_card() -> None:
    """One message a second and channel; what another channel does is no matter; a block lasts."""
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert [round(pace.reserve("C1"), 2) for _ in range(3)] == [0.0, 1.05, 2.1]
    assert pace.reserve("C2") == 0.0
    pace.block("C2", 10)
    assert pace.free_in("C2") == 10.0
    now[0] = 100.0
    assert pace.free_in("C1") == 0.0
    for n in range(2100):
        pace.reserve(f"card{n}")
    now[0] = 200.0
    pace.reserve("C1")
    assert len(pace._free_at) == 1


# over the wire, with Slack's own answers


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def cards(workspace: SlackWorkspace, channel: str) -> list[dict[str, Any]]:
    return [m for m in workspace.transcript(channel) if m["bot"] and not m["thread_ts"]]


def test_over_the_wire_a_card_is_posted_edited_and_found_again(workspace: SlackWorkspace, world: World) -> None:
    """A real card in the approvals channel carries its key, is found by it, and is edited in place."""
    world.add(proposal())
    box = world.outbox(workspace.api_url)
    assert box.deliver() == 2
    (card,) = cards(workspace, "cost-approvals")
    slack = SlackTransport(organisation.BOT_TOKEN, workspace.api_url)
    assert slack.find("C0APPROVE", "rollout:ro-000000000001") == card["ts"]
    assert slack.find("C0APPROVE", "rollout:ro-000000000001#approve-0-1", card["ts"]) != ""
    assert slack.find("C0APPROVE", "rollout:another") == ""
    assert card["ts"].replace(".", "") in slack.permalink("C0APPROVE", card["ts"])
    assert slack.permalink("C0APPROVE", "1.0") == ""


def test_over_the_wire_every_refusal_has_its_sentence(workspace: SlackWorkspace, world: World) -> None:
    """Not invited, unknown, rate limited, broken, unreachable: each is told in words, and only the truth."""
    slack = SlackTransport(organisation.BOT_TOKEN, workspace.api_url)
    message = Message("hello")

    def refused(channel: str = "C0COSTS", transport: SlackTransport = slack) -> NotDeliveredError:
        with pytest.raises(NotDeliveredError) as caught:
            transport.post(channel, message, "k")
        return caught.value

    assert "/invite @optiinfra" in refused("C0RANDOM").what
    assert "no channel C0NOWHERE" in refused("C0NOWHERE").what
    workspace.fault("rate_limit", method="chat.postMessage", retry_after=7)
    assert refused().retry_in == 7.0
    workspace.fault("server_error", method="chat.postMessage")
    assert "Slack did not take the message" in refused().what
    gone = SlackTransport(organisation.BOT_TOKEN, "http://127.0.0.1:9/api/", timeout=2)
    assert refused(transport=gone).reason == "unreachable"


def test_over_the_wire_an_uninvited_bot_tells_its_card_later(workspace: SlackWorkspace, world: World) -> None:
    """not_in_channel is kept with a plain reason until somebody invites the bot."""
    world.add(proposal())
    box = world.outbox(workspace.api_url, approvals="C0RANDOM")
    assert box.deliver() == 0
    with world.database.read() as tx:
        (stuck,) = outbox.stuck(tx, TENANT)
    assert stuck.problem == "The bot is not in channel C0RANDOM. Invite it there: /invite @optiinfra"


def test_over_the_wire_the_digest_is_posted_once(workspace: SlackWorkspace, world: World) -> None:
    """One message per day, with the card that waits linked from it; composing it again changes nothing."""
    world.add(proposal())
    box = world.outbox(workspace.api_url)
    box.deliver()
    for _ in range(2):
        with world.database.begin() as tx:
            digests.save(tx, TENANT, digest(), now=START)
            outbox.put(tx, TENANT, "digest", "2026-11-22", now=START, channel="C0COSTS")
        box.deliver()
    (posted,) = cards(workspace, "cloud-costs")
    assert posted["text"].startswith("Sun 22 Nov: 812.00 USD, +6 % vs usual")
    assert "decide" in posted["rendered"]
    assert "/archives/C0APPROVE/p" in str(posted["blocks"])
    assert len(posted["blocks"]) <= 12


def digest() -> Digest:
    receipt = Receipt("SELECT 1", (), 10, START)
    labels = tuple(f"2026-11-{n:02d}" for n in range(9, 23))
    values = tuple(Decimal(700 + n) for n in range(14))
    return Digest(
        day=date(2026, 11, 22),
        headline="Sun 22 Nov: 812.00 USD, +6 % vs usual",
        why="EC2 in production rose by 41.00 USD.",
        spend=Decimal(812),
        usual=Decimal(766),
        currency="USD",
        anomalies=(),
        drivers=None,
        month_end=None,
        movers=Table("Movers", ("service", "change"), ("", "money"), (("EC2", Decimal(41)),), "USD"),
        chart=Chart("line", "Last 14 days", labels, (("actual", values),), "money", "USD"),
        waiting=("Move checkout-workers to spot (20 instances) (ro-000000000001)",),
        coverage=Coverage(date(2026, 11, 23)),
        receipt=receipt,
    )


def test_topics_that_nobody_draws_are_settled(world: World, tmp_path: Path) -> None:
    """An unknown topic, a rollout or digest that does not exist: nothing to show."""
    from bot.slack.rendering import renderer

    draw = renderer(world.database, TENANT, world.metrics)
    for topic, subject in (("rollout", "ro-none"), ("digest", "2026-01-01"), ("weather", "today")):
        assert draw(Waiting(topic, subject, "", 1, 0)) is None
