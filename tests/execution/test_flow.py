"""A rollout from proposal to its end, forward and back, told as people and the clock see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.execution.conftest import BAD, GOOD, World, other_tenant
from tests.execution.fleet import Fleet
from tools.execution import requests
from tools.execution.limits import Limits
from tools.model.access import Principal, Role
from tools.model.errors import InputError, NotFoundError, RefusedError
from tools.model.rollout import IntentStatus, Rollout, State
from tools.settings import load_settings
from tools.store import audit, people, rollout_approvals, rollout_intents, rollouts


def _at_gate(world: World, step: int = 1) -> Rollout:
    """A rollout whose first `step` steps are done and that waits for the next."""
    rollout = world.propose()
    for _ in range(step):
        world.approve(rollout)
        world.run(rollout, State.AWAITING_APPROVAL)
    return rollout


def test_to_the_end(world: World) -> None:
    """2 of 20, 10 of 20, 20 of 20: each step is approved, set once, counted, and watched."""
    rollout = world.propose()
    assert [stage.units for stage in rollout.plan.stages] == [2, 10, 20]
    world.approve(rollout)
    first = world.run(rollout, State.AWAITING_APPROVAL)
    assert (first.stage, first.observed) == (1, {"spot": 2, "on_demand": 18})
    world.approve(rollout)
    second = world.run(rollout, State.AWAITING_APPROVAL)
    assert (second.stage, second.observed) == (2, {"spot": 10, "on_demand": 10})
    world.approve(rollout, "carla")
    done = world.run(rollout, State.SUCCEEDED)
    assert done.observed == {"spot": 20, "on_demand": 0}
    assert [share for share, _ in world.fleet.calls()] == [2, 10, 20]
    assert len({token for _, token in world.fleet.calls()}) == 3
    with world.database.read() as tx:
        assert len(rollout_approvals.listing(tx, world.tenant, rollout.id)) == 3
        assert {i.status for i in rollout_intents.listing(tx, world.tenant, rollout.id)} == {IntentStatus.DONE}
        assert audit.verify(tx, world.tenant).problems == ()
        assert rollouts.holder(tx, world.tenant, "AWS/1/eu-west-1/checkout-workers") is None


def test_the_setting_alone_never_passes_a_step(world: World) -> None:
    """The cloud says the new share but replaces nothing: after the time for a step it is rolled back."""
    world.fleet.change(pace=0)
    rollout = world.propose()
    world.approve(rollout)
    assert world.run(rollout, State.EXECUTING).stage == 0
    world.clock.pass_(minutes=20)
    world.engine().step_all()
    assert world.get(rollout).state is State.EXECUTING
    back = world.run(rollout, State.ROLLED_BACK)
    assert any("0 of the 2 instances of this step" in line for line in world.story(rollout))
    assert back.observed == {"spot": 0, "on_demand": 20}


@pytest.mark.parametrize("step", [1, 2])
def test_a_regression_at_a_gate_rolls_back_by_itself(world: World, step: int) -> None:
    """While people are thinking, errors rise: nobody has to click anything."""
    rollout = _at_gate(world, step)
    world.health.set(**BAD)
    world.look()
    assert world.get(rollout).state in {State.ROLLING_BACK, State.GUARDING}
    assert any("health got worse" in line and "spot instances" in line for line in world.story(rollout))
    world.run(rollout, State.ROLLED_BACK)
    assert world.fleet.state() == {"share": 0, "units": 20, "changed": 0}


@pytest.mark.parametrize("state", [State.EXECUTING, State.BAKING, State.FINALISING])
def test_a_regression_in_every_touched_state(world: World, state: State) -> None:
    """Within one look of the engine the way back is taken, in whatever state it is seen."""
    rollout = _at_gate(world, 2)
    world.approve(rollout)
    if state is State.EXECUTING:
        world.fleet.change(pace=1)
    world.run(rollout, state)
    world.health.set(**(BAD if state is not State.FINALISING else {"spot": (900, 120)}))
    world.look()
    assert world.get(rollout).state in {State.ROLLING_BACK, State.GUARDING}
    world.fleet.change(pace=20)
    world.run(rollout, State.ROLLED_BACK)


def test_a_regression_while_held(world: World) -> None:
    """A held rollout is still watched."""
    rollout = _at_gate(world)
    world.fleet.change(share=3)
    world.run(rollout, State.HELD)
    world.health.set(**BAD)
    world.run(rollout, State.ROLLED_BACK)


@pytest.mark.parametrize(
    "state", [State.PROPOSED, State.APPROVED, State.EXECUTING, State.BAKING, State.AWAITING_APPROVAL, State.FINALISING]
)
def test_a_person_can_roll_back_in_every_state(world: World, state: State) -> None:
    """Also the proposer, also from the first card, also while everything is stopped and Slack is silent."""
    rollout = world.propose()
    card = rollout.seen
    if state is State.FINALISING:
        for _ in range(2):
            world.approve(rollout)
            world.run(rollout, State.AWAITING_APPROVAL)
    if state is not State.PROPOSED:
        world.approve(rollout)
    if state is State.EXECUTING:
        world.fleet.change(pace=0)
    if state not in {State.PROPOSED, State.APPROVED}:
        world.run(rollout, state)
    world.gates.stop(world.person("olaf"), "drill")
    after = world.gates.rollback(card, world.person("priya"), "not today")
    if state in {State.PROPOSED, State.APPROVED}:
        assert after.state is State.CANCELLED
        assert world.fleet.calls() == []
        return
    assert after.state is State.ROLLING_BACK
    world.fleet.change(pace=20)
    world.run(rollout, State.ROLLED_BACK)
    assert world.fleet.state()["changed"] == 0
    assert world.fleet.calls()[-1][0] == 0


def test_a_rollback_is_written_even_when_it_looks_old(world: World) -> None:
    """A fence write: somebody had set it back by hand, and still the old state is set once more."""
    rollout = _at_gate(world)
    world.fleet.change(share=0, changed=0)
    world.gates.rollback(rollout.seen, world.person("priya"))
    world.run(rollout, State.ROLLED_BACK)
    assert [share for share, _ in world.fleet.calls()] == [2, 0]


def test_a_late_write_after_the_rollback_is_undone(world: World) -> None:
    """A worker that slept wakes up and writes: the guard sees it and sets the old state again."""
    rollout = _at_gate(world)
    world.gates.rollback(rollout.seen, world.person("priya"))
    world.run(rollout, State.GUARDING)
    world.fleet.change(share=10)
    world.run(rollout, State.ROLLING_BACK)
    assert world.run(rollout, State.ROLLED_BACK).rewrites == 1
    assert world.fleet.state() == {"share": 0, "units": 20, "changed": 0}


def test_something_keeps_changing_it(world: World) -> None:
    """After a few times a person is called; they try again when the other program is stopped."""
    rollout = _at_gate(world)
    world.gates.rollback(rollout.seen, world.person("priya"))
    for _ in range(world.limits.most_rewrites + 1):
        world.run(rollout, State.GUARDING)
        world.fleet.change(share=5)
        world.look()
    stuck = world.get(rollout)
    assert stuck.state is State.NEEDS_HUMAN
    assert "keeps changing" in stuck.reason
    world.gates.retry(stuck.seen, world.person("olaf"), "the other program is off")
    world.run(rollout, State.ROLLED_BACK)


def test_a_rollback_that_does_not_finish_calls_a_person(world: World) -> None:
    """No capacity to go back: told after the time for a step, and finished by itself when it comes back."""
    rollout = _at_gate(world)
    world.fleet.change(pace=0)
    world.gates.rollback(rollout.seen, world.person("priya"))
    stuck = world.run(rollout, State.NEEDS_HUMAN)
    assert "not finished" in stuck.reason
    world.fleet.change(pace=20)
    world.run(rollout, State.ROLLED_BACK)


def test_a_refused_rollback_is_tried_until_a_person_is_called(world: World) -> None:
    """The permission was taken away in mid-rollout; the sentence says so."""
    rollout = _at_gate(world)
    world.fleet.fail("DeniedError", 1000)
    world.gates.rollback(rollout.seen, world.person("priya"))
    assert "The cloud says no" in world.run(rollout, State.NEEDS_HUMAN).reason
    world.fleet.fail("DeniedError", -1000)
    assert len(world.fleet.calls()) == 1


def test_drift_at_a_gate_is_held(world: World) -> None:
    """Somebody else set the share: nothing goes on until a person has looked."""
    rollout = _at_gate(world)
    world.fleet.change(share=7)
    held = world.run(rollout, State.HELD)
    assert "somebody else" in held.reason
    world.fleet.change(share=2)
    again = world.gates.retry(held.seen, world.person("ben"))
    assert (again.state, again.stage) == (State.AWAITING_APPROVAL, 1)
    world.approve(rollout)
    world.run(rollout, State.AWAITING_APPROVAL)


def test_drift_before_the_first_step_is_held(world: World) -> None:
    """What was approved is not what is there: nothing is changed, and aborting frees the resource."""
    rollout = world.propose()
    world.approve(rollout)
    world.fleet.change(print="a new launch template")
    held = world.run(rollout, State.HELD)
    assert "not what was approved" in held.reason
    assert world.fleet.calls() == []
    world.gates.abort(held.seen, world.person("olaf"))
    assert world.propose().id != rollout.id


def test_drift_in_the_middle_of_a_step(world: World) -> None:
    """The share was ours, then somebody else's: held, not fought over."""
    rollout = _at_gate(world)
    world.fleet.change(pace=1)
    world.approve(rollout)
    world.run(rollout, State.EXECUTING)
    world.fleet.change(share=4)
    held = world.run(rollout, State.HELD)
    assert "while the step was under way" in held.reason
    world.fleet.change(share=10)
    world.gates.retry(held.seen, world.person("ben"))
    world.run(rollout, State.AWAITING_APPROVAL)


def test_no_health_data_is_no_progress(world: World) -> None:
    """A silent service is held after the blind limit, never advanced."""
    rollout = world.propose()
    world.approve(rollout)
    world.run(rollout, State.BAKING)
    world.health.set()
    held = world.run(rollout, State.HELD)
    assert "health is unknown" in held.reason
    world.health.set(**GOOD)
    world.gates.retry(held.seen, world.person("ben"))
    assert world.run(rollout, State.AWAITING_APPROVAL).stage == 1


def test_too_little_traffic_is_told(world: World) -> None:
    """Ten requests a minute prove nothing: the bake goes on, then it is held with the numbers."""
    rollout = world.propose()
    world.approve(rollout)
    world.run(rollout, State.BAKING)
    world.health.set(spot=(1, 0), on_demand=(10, 0))
    held = world.run(rollout, State.HELD)
    assert "too few requests" in held.reason


def test_without_a_metrics_source_nothing_starts(world: World) -> None:
    """Rollouts that cannot be watched are not begun."""
    rollout = world.propose()
    world.approve(rollout)
    engine = replace(world.engine(), health=None)
    for _ in range(10):
        engine.step_all()
        world.clock.pass_(minutes=1)
    held = world.get(rollout)
    assert held.state is State.HELD
    assert "no metrics source" in held.reason
    assert world.fleet.calls() == []


@pytest.mark.parametrize(
    ("before", "words"),
    [({"on_demand": (600, 60)}, "already fails"), ({"on_demand": (1, 0)}, "requests lately")],
)
def test_a_service_that_is_no_good_start(world: World, before: dict[str, tuple[int, int]], words: str) -> None:
    """A service in trouble, or one without traffic, is not experimented with."""
    world.health.set(**before)
    rollout = world.propose()
    world.approve(rollout)
    assert words in world.run(rollout, State.HELD).reason


def test_an_outage_of_the_cloud_in_the_middle(world: World) -> None:
    """Ten minutes nothing can be seen; then it goes on, with every effect once."""
    rollout = world.propose()
    world.limits = replace(world.limits, blind_limit=timedelta(minutes=15))
    world.approve(rollout)
    world.run(rollout, State.BAKING)
    world.fleet.fail("observe", 10)
    world.run(rollout, State.AWAITING_APPROVAL)
    assert [share for share, _ in world.fleet.calls()] == [2]


def test_a_cloud_that_stays_away_is_held(world: World) -> None:
    """Longer than the limit: a person is asked."""
    rollout = world.propose()
    world.approve(rollout)
    world.run(rollout, State.BAKING)
    world.fleet.fail("observe", 1000)
    assert "cannot be seen" in world.run(rollout, State.HELD).reason


@pytest.mark.parametrize(("kind", "writes"), [("apply", 1), ("after", 1)])
def test_a_call_of_unknown_fate(world: World, kind: str, writes: int) -> None:
    """The line is cut before or after the effect: what is seen decides, and it happens once."""
    rollout = world.propose()
    world.fleet.fail(kind, 1)
    world.approve(rollout)
    world.run(rollout, State.AWAITING_APPROVAL)
    assert len(world.fleet.calls()) == writes


@pytest.mark.parametrize("refusal", ["DeniedError", "QuotaExceededError", "CapacityUnavailableError"])
def test_a_refused_first_step_changes_nothing(world: World, refusal: str) -> None:
    """The cloud says no: the rollout ends, says why, and frees the resource."""
    world.fleet.fail(refusal, 1)
    rollout = world.propose()
    world.approve(rollout)
    ended = world.run(rollout, State.CANCELLED)
    assert "The cloud says no" in ended.reason
    assert "nothing was changed" in ended.reason
    assert world.fleet.calls() == []


def test_a_refused_later_step_rolls_back(world: World) -> None:
    """What was changed before goes back."""
    rollout = _at_gate(world)
    world.fleet.fail("QuotaExceededError", 1)
    world.approve(rollout)
    world.run(rollout, State.ROLLED_BACK)
    assert any("refused the step" in line for line in world.story(rollout))


def test_nobody_decides(world: World) -> None:
    """A proposal expires; a half-done rollout nobody goes on with is rolled back."""
    rollout = world.propose()
    world.clock.pass_(hours=24)
    assert world.run(rollout, State.EXPIRED).phase == "Degraded"
    second = world.propose()
    world.approve(second)
    world.run(second, State.AWAITING_APPROVAL)
    world.clock.pass_(hours=24)
    world.run(second, State.ROLLED_BACK)
    assert any("nobody decided on the next step" in line for line in world.story(second))


@pytest.mark.parametrize("touched", [False, True])
def test_held_is_not_for_ever(world: World, touched: bool) -> None:
    """After three days what is held is taken back, or ends where nothing was changed."""
    rollout = _at_gate(world) if touched else world.propose()
    if touched:
        world.fleet.change(share=5)
    else:
        world.health.set()
        world.approve(rollout)
    world.run(rollout, State.HELD)
    world.health.set(**GOOD)
    world.clock.pass_(hours=73)
    world.run(rollout, State.ROLLED_BACK if touched else State.CANCELLED)


def test_the_approver_left_between_click_and_effect(world: World) -> None:
    """An approval counts only while the person may give it, at the moment of the effect."""
    rollout = world.propose()
    world.approve(rollout)
    with world.database.begin() as tx:
        people.save(tx, world.tenant, "ben@lumen.example", Role.VIEWER, now=world.clock())
    waiting = world.run(rollout, State.PROPOSED)
    assert "0 of 1 approvals" in waiting.reason
    assert world.fleet.calls() == []


def test_the_kill_switch_between_decision_and_effect(world: World) -> None:
    """It is on when the effect is about to be claimed: nothing is sent."""
    rollout = world.propose()
    world.approve(rollout)

    def stop(point: str) -> None:
        if point == "EXECUTING/looked":
            world.gates.stop(world.person("olaf"), "now")

    world.crash = stop
    world.engine().step_all()
    held = world.get(rollout)
    assert (held.state, held.held_from) == (State.HELD, State.EXECUTING)
    assert world.fleet.calls() == []
    world.crash = lambda point: None
    world.gates.resume(world.person("ben"), "fine")
    world.gates.retry(held.seen, world.person("ben"))
    world.run(rollout, State.AWAITING_APPROVAL)
    assert len(world.fleet.calls()) == 1


@pytest.mark.parametrize("happened", [True, False])
def test_an_effect_that_must_not_be_repeated(world: World, happened: bool) -> None:
    """Its fate is unknown and it cannot be sent twice: a person looks and says what happened."""
    rollout = world.propose()
    plan = replace(rollout.plan, repeatable=False)
    with world.database.begin() as tx:
        from tools.store.rollout_tables import rollouts as table

        tx.execute(table.update().values(plan=plan.canonical(), plan_hash=plan.hash))
    world.fleet.fail("after" if happened else "apply", 1)
    world.fleet.change(hidden=int(happened))
    world.approve(rollout)
    stuck = world.run(rollout, State.NEEDS_HUMAN)
    assert "not known whether" in stuck.reason
    assert len(world.fleet.calls()) == int(happened)
    world.fleet.change(hidden=0)
    with pytest.raises(RefusedError, match="whether the effect happened"):
        world.gates.retry(stuck.seen, world.person("ben"))
    world.gates.resolve(stuck.seen, world.person("ben"), happened, "looked at the console")
    world.run(rollout, State.AWAITING_APPROVAL)
    assert [share for share, _ in world.fleet.calls()] == [2]


def test_one_broken_rollout_does_not_stop_the_others(world: World) -> None:
    """A stored plan that makes no sense to its change is put off and told; the other one goes on."""
    broken, fine = world.propose(), world.propose(recommendation="rec-2")
    world.approve(broken)
    world.approve(fine)

    class Odd(Fleet):
        def observe(self, plan: object) -> object:  # type: ignore[override]  # it is broken on purpose
            raise KeyError("no such field")

    odd = Odd(world.fleet.path, world.clock)
    engine = replace(world.engine(), change=lambda plan: odd if plan.resource_id == "checkout-workers" else world.fleet)
    for _ in range(60):
        engine.step_all()
        world.clock.pass_(minutes=1)
    assert world.get(fine).state is State.AWAITING_APPROVAL
    assert world.get(broken).state is State.PREFLIGHT
    assert sum("could not be worked on" in line for line in world.story(broken)) == 1


def test_a_fleet_that_was_scaled_meanwhile(world: World) -> None:
    """Scaling is a group's daily life: the step is held to its share of what there is now."""
    rollout = _at_gate(world)
    world.fleet.change(units=30)
    world.approve(rollout)
    world.run(rollout, State.EXECUTING)
    world.engine().step_all()
    assert world.get(rollout).state is State.EXECUTING
    world.fleet.change(units=20)
    world.run(rollout, State.AWAITING_APPROVAL)


def test_a_group_that_is_empty_now(world: World) -> None:
    """Nothing to change is an answer of its own, not a success."""
    world.fleet.change(units=0)
    rollout = world.propose()
    world.approve(rollout)
    assert "no units any more" in world.run(rollout, State.HELD).reason


def test_two_workers_share_the_work(world: World) -> None:
    """While one looks at a rollout the other leaves it alone."""
    rollout = world.propose()
    world.approve(rollout)
    other = world.engine("worker-2")
    meanwhile: list[object] = []
    world.crash = lambda point: meanwhile.append(other.step(rollout.id)) if point.endswith("looked") else None
    engine = world.engine()
    world.crash = lambda point: None
    other = replace(other, crash=world.crash)
    engine.step_all()
    assert meanwhile
    assert set(meanwhile) == {None}
    assert len(world.fleet.calls()) == 1


def test_asking_again_gives_the_same_rollout(world: World) -> None:
    """One live rollout per resource: the same wish finds it, another wish is told who is there."""
    rollout = world.propose()
    assert world.propose("ben").id == rollout.id
    with pytest.raises(RefusedError, match="works on checkout-workers already") as refusal:
        world.propose(recommendation="rec-1b", resource="checkout-workers")
    assert refusal.value.reason == "busy"
    assert requests.status(world.database, world.tenant, rollout.id) == rollout
    assert requests.listing(world.database, world.tenant) == (rollout,)


def test_who_may_not_propose(world: World) -> None:
    """A viewer may look; so may somebody unknown."""
    with pytest.raises(RefusedError) as refusal:
        world.propose("dan")
    assert refusal.value.reason == "role"
    with pytest.raises(RefusedError) as refusal:
        world.propose("nobody")
    assert refusal.value.reason == "person"
    assert [reason for _, _, reason in world.refusals()] == ["person", "role"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"blocked_by": ("the price is older than an hour",)}, "blocked"),
        ({"parameters": {}}, "not_executable"),
    ],
)
def test_what_cannot_be_proposed(world: World, change: dict[str, object], reason: str) -> None:
    """Advice without a safe way to carry it out, and what something forbids now."""
    with pytest.raises(RefusedError) as refusal:
        world.propose(changed=change)
    assert refusal.value.reason == reason


def test_a_resource_that_is_gone(world: World) -> None:
    """The inventory does not know it any more: told, with what to do."""
    with pytest.raises(NotFoundError, match="not in the inventory any more"):
        world.propose(changed={"parameters": {"change": "test.fleet", "resource_kind": "x", "resource_id": "y"}})


def test_more_than_one_rollout_may_change(world: World) -> None:
    """The cap refuses the whole, it never takes a part."""
    with pytest.raises(RefusedError, match="60 instances") as refusal:
        world.propose(units=60)
    assert refusal.value.reason == "cap"


def test_a_first_step_that_is_too_large(world: World) -> None:
    """Half of a fleet is no first step."""
    with pytest.raises(InputError, match="at once"):
        world.propose(percents=(50, 100))


def test_one_unit_is_one_atomic_step(world: World) -> None:
    """No pretence of ten percent of one machine."""
    world.fleet.change(units=1)
    rollout = world.propose(units=1)
    assert [(s.percent, s.units) for s in rollout.plan.stages] == [(100, 1)]
    world.approve(rollout)
    world.run(rollout, State.SUCCEEDED)


def test_tenants_do_not_see_each_other(world: World) -> None:
    """Another tenant's engine, lists and audit know nothing of it."""
    rollout = world.propose()
    world.approve(rollout)
    other = other_tenant(world)
    assert other.engine().step_all() == ()
    assert requests.listing(other.database, other.tenant) == ()
    with pytest.raises(RefusedError):
        other.gates.rollback(rollout.seen, Principal("ben@lumen.example", "default", "Ben", Role.ADMIN))
    with world.database.read() as tx:
        assert [e.reason for e in audit.entries(tx, "other")] == ["tenant"]


def test_the_limits_are_settings() -> None:
    """What people set is what the engine keeps to."""
    limits = Limits.of(load_settings(None))
    assert limits.final_guard == timedelta(hours=24)
    assert limits.judge.max_error_rate == 0.05
