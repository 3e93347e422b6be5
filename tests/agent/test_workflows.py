"""Moving a fleet to spot by asking: proposed through the workflow, decided by people, concluded from stored state."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent import memory
from agent.answer import Answer, Question, Status
from agent.ask import Mind
from agent.models import Models
from agent.toolbox import schemas
from agent.workflows import reviews, spot_migration
from agent.workflows.resume import resume
from tests.agent import world as bills
from tests.agent.conftest import TAGS
from tests.execution.conftest import BAD, World, make_world, recommendation_of, resource_of
from tools.analysis.costs import Costs
from tools.model.recommendation import Recommendation
from tools.model.rollout import Rollout, State
from tools.settings import Settings
from tools.store import recommendations, resources
from tools.store.database import open_database


@dataclass
class Stage:
    """A mind beside a fleet, its gates and its engine."""

    world: World
    settings: Settings
    mind: Mind

    def know(self, *found: Recommendation) -> None:
        """The rules found these, inventory saw their fleets."""
        with self.world.database.begin() as tx:
            seen = [resource_of(20, self.world.clock(), str(r.parameters["resource_id"])) for r in found]
            resources.replace(tx, self.world.tenant, "AWS", "1", seen, now=self.world.clock())
            recommendations.save(tx, self.world.tenant, found, now=self.world.clock())

    def ask(self, text: str, who: str = "rita", thread: str = "t", channel: str = "C0COSTS") -> Answer:
        question = Question(text, self.world.person(who), bills.TODAY, thread=thread, channel=channel)
        return self.mind.ask(question)

    def resume(self, rollout_id: str) -> Any:
        return resume(self.settings, self.world.database, rollout_id)

    def rollout(self, answer: Answer) -> Rollout:
        assert answer.rollout_id, answer.text
        from tools.execution import requests

        return requests.status(self.world.database, self.world.tenant, answer.rollout_id)


def rec(id_: str = "rec-1", name: str = "checkout-workers", **changed: Any) -> Recommendation:
    return replace(recommendation_of(id_, name, "default", "R1"), **changed)


@pytest.fixture
def stage(lumen_file: Path, tmp_path: Path) -> Iterator[Stage]:
    """Bills, a fleet of twenty, people of every role, and one recommendation."""
    path = tmp_path / "state.db"
    shutil.copy(lumen_file, path)
    database = open_database(f"sqlite:///{path}", migrate=False)
    world = make_world(database, tmp_path)
    settings = Settings(_env_file=None, home=tmp_path, state_url=f"sqlite:///{path}", prometheus_url="http://x")  # type: ignore[call-arg]
    mind = Mind(
        settings,
        database,
        Costs(database, "default", TAGS, 2),
        now=world.clock,
        new_id=world.new_id,
        models=Models(settings, schemas()),
        change=lambda name: world.fleet,
    )
    made = Stage(world, settings, mind)
    made.know(rec())
    yield made
    database.dispose()


def test_a_fleet_is_proposed_by_asking(stage: Stage) -> None:
    """'move checkout-workers to spot': a proposal with its card, nothing touched; asking again gives the same one."""
    answer = stage.ask("move checkout-workers to spot")
    rollout = stage.rollout(answer)
    assert answer.status is Status.ANSWERED
    assert rollout.state is State.PROPOSED
    assert rollout.channel == "C0COSTS"
    assert rollout.proposed_by == "rita@lumen.example"
    assert answer.text.startswith("Move checkout-workers to spot: proposed and waiting for approval, stage 1 of")
    assert "$1,234.50 per month expected" in answer.text
    assert "The price comes from bill." in answer.notes
    assert stage.world.fleet.calls() == []
    assert stage.ask("please migrate checkout workers to spot instances", thread="other").rollout_id == rollout.id


@pytest.mark.parametrize(
    "text", ["propose rec-1", "move the checkout fleet to spot", "start a rollout for checkout-workers"]
)
def test_a_proposal_may_name_the_recommendation_the_service_or_the_group(stage: Stage, text: str) -> None:
    """All three find the same thing."""
    assert stage.rollout(stage.ask(text)).plan.recommendation_id == "rec-1"


def test_two_fleets_that_fit_are_a_choice(stage: Stage) -> None:
    """'move checkout to spot' fits two: the answer asks, and each choice proposes exactly that one."""
    stage.know(rec(), rec("rec-2", "checkout-batch"))
    answer = stage.ask("move checkout to spot")
    assert answer.status is Status.AMBIGUOUS
    assert len(answer.alternatives) == 2
    assert stage.rollout(stage.ask(answer.alternatives[1])).plan.recommendation_id in {"rec-1", "rec-2"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"blocked_by": ("the group keeps sessions",)}, "the group keeps sessions"),
        ({"price_source": ""}, "has no source"),
        ({"saving_expected": Decimal(0)}, "No saving is expected"),
        ({"parameters": {"resource_id": "checkout-workers"}}, "only advice"),
    ],
)
def test_reviewers_say_no_in_words(stage: Stage, changed: dict[str, Any], words: str) -> None:
    """What must not be proposed is refused with the reason, and no rollout exists."""
    stage.know(rec(**changed))
    answer = stage.ask("move checkout-workers to spot")
    assert answer.status is Status.REFUSED
    assert words in answer.text
    assert "0 rollouts" in stage.ask("how are the rollouts doing?").text


def test_what_cannot_be_undone_is_proposed_and_says_so(stage: Stage) -> None:
    """Two people decide about it; nothing is kept from them."""
    stage.know(rec(reversible=False, risk="R3"))
    answer = stage.ask("move checkout-workers to spot")
    assert stage.rollout(answer).state is State.PROPOSED
    assert any("two people must approve it" in note for note in answer.notes)


def test_who_may_not_propose_is_told(stage: Stage) -> None:
    """A viewer asks; nothing is written but words."""
    answer = stage.ask("move checkout-workers to spot", who="dan")
    assert answer.status is Status.REFUSED
    assert "may look but not propose" in answer.text


def test_how_is_it_doing(stage: Stage) -> None:
    """By id, by name, as a follow-up, and of all at once - each with counted numbers."""
    rollout = stage.rollout(stage.ask("move checkout-workers to spot"))
    follow_up = stage.ask("how is it going?")
    assert follow_up.rollout_id == rollout.id
    stage.world.approve(rollout)
    stage.world.run(rollout, State.AWAITING_APPROVAL)
    for text in (
        f"status of {rollout.id}",
        "how is the checkout-workers rollout doing?",
        "how are the rollouts doing?",
    ):
        answer = stage.ask(text, thread="x")
        assert answer.rollout_id == rollout.id, text
        assert "waiting for approval of the next stage" in answer.text
        assert "Counted at the cloud:" in answer.text
        assert {f.label for f in answer.facts} >= {"counted spot", "units in all", "stage"}
    stage.know(rec(), rec("rec-2", "search-indexers"))
    # The one fleet of this world stands for the other one now.
    stage.world.fleet.change(share=0, changed=0)
    stage.ask("move search-indexers to spot")
    both = stage.ask("how are the rollouts doing?")
    assert both.text == "2 rollouts are under way, 2 of them waiting for people."
    assert len(both.tables[0].rows) == 2


def test_savings_are_listed_with_their_bands(stage: Stage) -> None:
    """The list sums what can be had, and says what is blocked."""
    stage.know(rec(), rec("rec-2", "search-indexers", blocked_by=("it is frozen",)), rec("rec-3", "x", kind="idle"))
    answer = stage.ask("where can we save money?")
    assert answer.text.startswith(
        "$3,703.50 (between $2,400.00 and $4,500.00) per month could be saved with 3 recommendations"
    )
    assert any("cannot be proposed now" in n for n in answer.notes)
    assert {row[6] for row in answer.tables[0].rows} == {"rec-1", "rec-2", "rec-3"}
    assert [row[6] for row in stage.ask("any spot candidates?").tables[0].rows] == ["rec-1", "rec-2"]
    assert stage.ask("how can we save on gcp?").text == "0 savings on Google Cloud are known now."
    assert len(stage.ask("how can we save on aws?").tables[0].rows) == 3
    assert len(stage.ask("top 2 savings opportunities").tables[0].rows) == 2


def test_the_workflow_goes_from_gate_to_gate_to_its_end(stage: Stage) -> None:
    """Resumed at the gate it waits on; at the end it concludes - from what is stored."""
    rollout = stage.rollout(stage.ask("move checkout-workers to spot"))
    world = stage.world
    world.approve(rollout)
    gate = world.run(rollout, State.AWAITING_APPROVAL)
    at_gate = stage.resume(rollout.id)
    assert (at_gate.rebuilt, at_gate.conclusion) == (False, "")
    world.approve(gate)
    between = world.run(rollout, State.BAKING)
    assert stage.resume(between.id) is None
    while (now := world.get(rollout)).state is not State.SUCCEEDED:
        if now.state is State.AWAITING_APPROVAL:
            world.approve(now)
        world.engine().step_all()
        world.clock.pass_(seconds=60)
    end = stage.resume(rollout.id)
    assert end.conclusion.startswith("Move checkout-workers to spot: done. $1,234.50 per month is expected")
    again = stage.resume(rollout.id)
    assert again.conclusion == end.conclusion


def test_deleting_every_checkpoint_in_the_middle_loses_nothing(stage: Stage) -> None:
    """The rollout goes on, rolls back by itself when errors rise, and the workflow is rebuilt from stored state."""
    rollout = stage.rollout(stage.ask("move checkout-workers to spot"))
    world = stage.world
    world.approve(rollout)
    world.run(rollout, State.AWAITING_APPROVAL)
    with sqlite3.connect(stage.settings.home / memory.FILE) as file:
        file.execute("DELETE FROM checkpoints")
        file.execute("DELETE FROM writes")
    rebuilt = stage.resume(rollout.id)
    assert (rebuilt.rebuilt, rebuilt.conclusion) == (True, "")
    (stage.settings.home / memory.FILE).unlink()
    world.approve(world.get(rollout))
    world.run(rollout, State.BAKING)
    world.health.set(**BAD)
    world.run(rollout, State.ROLLED_BACK)
    end = stage.resume(rollout.id)
    assert end.rebuilt
    assert "rolled back to where it began" in end.conclusion
    assert "Nothing is saved." in end.conclusion


def test_an_old_wait_never_answers_for_a_new_rollout(stage: Stage) -> None:
    """After a rejection the same recommendation is proposed again: the workflow waits for the new one."""
    first = stage.rollout(stage.ask("move checkout-workers to spot"))
    stage.world.gates.reject(first.seen, stage.world.person("ben"))
    second = stage.rollout(stage.ask("move checkout-workers to spot", thread="again"))
    assert second.id != first.id
    told = stage.resume(first.id)
    assert told.rebuilt
    assert told.conclusion == "Move checkout-workers to spot: rejected. Nothing was changed at the cloud."
    assert stage.resume(second.id).conclusion == ""
    assert "The last try ended rejected" in " ".join(stage.ask("move checkout-workers to spot", thread="z").notes)


def test_reviews_weigh_what_is_not_certain() -> None:
    """A band below zero, an unknown service, no metrics: said, not hidden."""
    notes = {r.reviewer: r.note for r in reviews.review(rec(saving_low=Decimal(-5), service=""), (), health_known=True)}
    assert "may cost more" in notes["money"]
    assert "is not known" in notes["watching"]
    blind = reviews.watching(rec(), health_known=False)
    assert blind.ok
    assert "will not start" in blind.note
    assert "or its load balancer" in blind.note


def test_the_mind_has_no_way_to_act() -> None:
    """Nothing that approves or executes can be reached from the workflow's hands."""
    assert set(spot_migration.Hands.__slots__) == {"read", "propose", "find", "review"}
