"""Before a step: the cloud's own checks are asked, and what has no traffic to watch is decided by counting."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.slack.cards import rollout as card
from tests.execution.conftest import World
from tests.execution.fleet import NAME
from tools.execution import planning
from tools.execution.engine import Engine
from tools.model.errors import RefusedError
from tools.model.rollout import State, Verdict
from tools.providers import catalog
from tools.store import rollout_history
from tools.store.database import Database

QUIET = "nothing is attached to it"


@pytest.mark.parametrize(
    "error", ["QuotaExceededError", "CapacityUnavailableError", "ProtectedError", "DeniedError", "InputError"]
)
def test_what_the_cloud_forbids_holds_the_rollout_before_anything_is_sent(world: World, error: str) -> None:
    """No quota, no capacity, protected, not allowed: nothing is sent, the card says why, and retry asks people again."""
    rollout = world.propose()
    world.approve(rollout)
    world.fleet.fail(f"check/{error}", 1)
    held = world.run(rollout, State.HELD)
    assert "The cloud says no." in held.reason
    assert "The cloud says no." in card.headline(held)
    assert world.fleet.calls() == []
    world.gates.retry(world.get(rollout).seen, world.person("ben"))
    assert world.get(rollout).state is State.PROPOSED
    world.approve(rollout)
    assert world.run(rollout, State.AWAITING_APPROVAL).stage == 1


def test_a_later_step_is_checked_for_what_it_sets(world: World) -> None:
    """The quota was enough for two units and is not for ten: the second step is held, and the first stands."""
    rollout = world.propose()
    world.approve(rollout)
    world.run(rollout, State.AWAITING_APPROVAL)
    world.fleet.fail("check/QuotaExceededError", 1)
    world.approve(rollout)
    assert world.run(rollout, State.HELD).stage == 1
    assert [share for share, _ in world.fleet.calls()] == [2]


def test_checks_that_cannot_be_asked_are_waited_for(world: World) -> None:
    """The line is cut while it is asked: the step waits, and begins when there is an answer."""
    rollout = world.propose()
    world.approve(rollout)
    world.fleet.fail("check", 3)
    engine = world.engine()
    engine.step_all()
    assert world.get(rollout).state is State.PREFLIGHT
    assert world.run(rollout, State.BAKING, limit=20, seconds=30).touched


def test_checks_that_are_never_answered_hold_it(world: World) -> None:
    """After the time for which a cloud may be silent people are told."""
    rollout = world.propose()
    world.approve(rollout)
    world.fleet.fail("check", 1000)
    assert "The cloud cut the line (check)." in world.run(rollout, State.HELD).reason


@pytest.fixture
def quiet(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world's change is one that the catalog knows to have no traffic."""
    about = catalog.About(NAME, "AWS", "instance_group", "R1", "", "It does.", "It lasts.", unused=QUIET)
    monkeypatch.setitem(catalog.BY_NAME, NAME, about)
    world.health.set(down=(1, 0))
    return world


def test_with_nothing_to_watch_counted_units_decide(quiet: World) -> None:
    """No service answers and none has to: every step is counted and waited for, to the end."""
    rollout = quiet.propose(changed={"service": ""})
    assert rollout.plan.unwatched == QUIET
    for _ in rollout.plan.stages:
        quiet.approve(rollout)
        now = quiet.run(rollout, State.SUCCEEDED if rollout.plan.stages[-1] == quiet.get(rollout).current else State.AWAITING_APPROVAL)  # fmt: skip
    assert now.observed == {"spot": 20, "on_demand": 0}
    assert now.reason.endswith("with nothing to watch")
    story = " ".join(quiet.story(rollout))
    assert f"nothing is to be watched: {QUIET}" in story
    assert "healthy" not in story
    with quiet.database.read() as tx:
        assert rollout_history.verdicts(tx, quiet.tenant, rollout.id) == ()


def test_without_any_metrics_source_too(quiet: World, database: Database) -> None:
    """A company without a metrics source can still clean up."""
    rollout = quiet.propose()
    quiet.approve(rollout)
    engine = replace(quiet.engine(), health=None)
    assert isinstance(engine, Engine)
    for _ in range(4):
        engine.step_all()
        quiet.clock.pass_(seconds=30)
    assert quiet.get(rollout).state in {State.EXECUTING, State.BAKING}


def test_units_that_do_not_come_are_no_step(quiet: World) -> None:
    """Nothing to watch does not mean nothing to count: what was not replaced is taken back in the end."""
    rollout = quiet.propose()
    quiet.fleet.change(pace=0)
    quiet.approve(rollout)
    quiet.clock.pass_(minutes=1)
    quiet.run(rollout, State.ROLLED_BACK)
    assert "did not get there in time" in " ".join(quiet.story(rollout))


def test_drift_is_seen_all_the_same(quiet: World) -> None:
    """Somebody sets it back while it is waited for: held, and nobody calls it good."""
    rollout = quiet.propose()
    quiet.approve(rollout)
    quiet.run(rollout, State.BAKING)
    quiet.fleet.change(share=0)
    assert "somebody else changed" in quiet.run(rollout, State.HELD).reason


def test_the_card_says_what_it_does_what_lasts_and_that_nobody_watches(quiet: World) -> None:
    """Whoever approves reads it before pressing."""
    rollout = quiet.propose()
    shown = str(card.message(card.View(rollout)).blocks)
    for words in ("What it does: It does.", "Cannot be undone: It lasts.", f"nothing to watch; {QUIET}"):
        assert words in shown
    assert "Cannot be undone: It lasts." in card.approval_question(rollout)


def test_a_watched_service_that_is_silent_still_starts_nothing(world: World) -> None:
    """The other way round: where there is traffic, silence holds."""
    world.health.set(down=(1, 0))
    rollout = world.propose()
    world.approve(rollout)
    assert world.run(rollout, State.HELD).reason.startswith("the step cannot start: health could not be read")


def test_which_changes_are_never_watched_and_which_only_without_a_service(tmp_path: Path) -> None:
    """An unattached disk serves nobody; an idle machine of a named service is watched by that service."""
    told = {about.name: (about.unwatched("checkout"), about.unwatched("")) for about in catalog.ABOUT}
    assert all(told["aws.volume_delete"])
    assert all(told["gcp.address_release"])
    assert (told["aws.instance_stop"][0], bool(told["aws.instance_stop"][1])) == ("", True)
    for name in ("aws.asg_spot", "aws.instance_resize", "gcp.sql_tier", "azure.vm_size", "aws.lambda_memory"):
        assert told[name] == ("", "")


def test_the_limit_is_on_the_plan_and_under_its_hash(world: World) -> None:
    """What is not watched was approved as such."""
    plan = world.propose().plan
    assert replace(plan, unwatched=QUIET).hash != plan.hash
    assert planning.steps_in_words(plan)[0].startswith("2 of 20")


def test_a_regressed_verdict_of_before_stops_a_watched_step(world: World) -> None:
    """A gate without traffic asks for no verdict; one with traffic does."""
    rollout = world.propose()
    world.approve(rollout)
    waiting = world.run(rollout, State.AWAITING_APPROVAL)
    world.health.set()
    world.look()
    with world.database.read() as tx:
        last = rollout_history.verdicts(tx, world.tenant, rollout.id)[-1]
    assert last.verdict is Verdict.INCONCLUSIVE
    with pytest.raises(RefusedError, match="not known to be healthy"):
        world.gates.approve(world.get(waiting).seen, world.person("ben"))
    assert world.limits.poll < timedelta(minutes=1)
