"""What finished rollouts really saved, told by later bills, and what that teaches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.collection.bills import in_one_process
from tests.conftest import NOW, TENANT
from tests.recommendation.bills import ACCOUNT, row, write
from tools.analysis.costs import Costs
from tools.collection.charges import ingest
from tools.learning import feedback
from tools.learning.calibration import calibrate
from tools.learning.counterfactual import UnitCost, compare
from tools.learning.outcomes import measure
from tools.model.access import Principal, Role
from tools.model.errors import InputError, NotFoundError, RefusedError
from tools.model.outcome import Outcome
from tools.model.recommendation import Recommendation
from tools.model.resource import Resource
from tools.model.rollout import Plan, Rollout, Stage, State
from tools.store import outcomes, recommendations, resources, rollouts
from tools.store.database import Database

DONE = datetime(2026, 11, 1, 12, tzinfo=UTC)
BEFORE, AFTER = Decimal("0.40"), Decimal("0.15")


def rows(after: Decimal, days: int, control_after: Decimal) -> Iterator[dict[str, str]]:
    """Ten instances of a service, ten others on demand; from 2 November on the service pays another price."""
    for day in (date(2026, 10, 1) + timedelta(days=n) for n in range(days)):
        changed = day > DONE.date()
        # Twice the use after the change: more hours are no smaller saving.
        for number in range(20 if changed else 10):
            price, pricing = (after, "Dynamic") if changed else (BEFORE, "Standard")
            yield row(day, f"i-{number}-{changed}", price * 24, pricing=pricing, tags='{"service": "checkout"}')
        for number in range(10):
            yield row(day, f"i-other-{number}", 24 * (control_after if changed else BEFORE))


def bill(
    database: Database, folder: Path, *, after: Decimal = AFTER, days: int = 52, control_after: Decimal = BEFORE
) -> Costs:
    path = write(folder / "bill.csv", rows(after, days, control_after))
    with in_one_process():
        ingest(database, TENANT, [path], tag_keys=("service",), detail_months=4, now=lambda: NOW)
    return Costs(database, TENANT, ("service",), 2)


def succeeded(database: Database, estimate: str = "1825", state: State = State.SUCCEEDED, **planned: str) -> Rollout:
    """A rollout of ten instances that was done on 1 November, with its recommendation and its group."""
    saving = Decimal(estimate)
    found = Recommendation(
        "rec-1", TENANT, "spot_migration", "AWS", ACCOUNT, "eu-west-1", ("checkout-workers",), "Move", saving, saving,
        saving, "USD", Decimal("0.9"), "R1", True, (), "history", {"affected_monthly": "2920"}, "checkout",
    )  # fmt: skip
    group = Resource(
        "AWS", ACCOUNT, "eu-west-1", "instance_group", "checkout-workers", "checkout-workers", (),
        {"instance_types": ["m5.2xlarge"]}, "f", NOW,
    )  # fmt: skip
    plan = Plan(
        change="aws.asg_spot",
        provider="AWS",
        account_id=ACCOUNT,
        region="eu-west-1",
        resource_id="checkout-workers",
        service="checkout",
        title="Move",
        unit_name="instance",
        units=10,
        stages=(Stage(0, 100, 10, {"percent": 0}),),
        before={"percent": 100},
        fingerprint="f",
        risk="R1",
        saving_monthly=estimate,
        currency="USD",
        undo="back",
        recommendation_id="rec-1",
    )
    plan = replace(plan, **planned)  # type: ignore[arg-type]  # all of them texts
    made = Rollout("ro-1", TENANT, 9, state, 0, plan, "ana", "Ana", DONE, DONE, DONE, DONE)
    with database.begin() as tx:
        recommendations.save(tx, TENANT, [found], now=NOW)
        resources.replace(tx, TENANT, "AWS", ACCOUNT, [group], now=NOW)
        rollouts.add(tx, made)
    return made


def test_a_saving_that_later_bills_confirm(database: Database, tmp_path: Path) -> None:
    """0.40 before and 0.15 after an hour, ten instances: 1,825 a month, whatever the use was."""
    costs = bill(database, tmp_path)
    succeeded(database)
    (outcome,) = measure(database, TENANT, costs, now=lambda: NOW)
    assert (outcome.verdict, outcome.realised_monthly) == ("verified", Decimal("1825.00"))
    assert (outcome.measured_from, outcome.measured_to) == (date(2026, 11, 2), date(2026, 11, 20))
    assert "0.4000 USD before and 0.1500 USD after" in outcome.why
    with database.read() as tx:
        assert outcomes.listing(tx, TENANT) == (outcome,)
        assert outcomes.all_calibrations(tx, TENANT)["spot_migration"].usual == 1


def test_prices_that_fell_for_everybody_are_no_saving_of_ours(database: Database, tmp_path: Path) -> None:
    """A new contract made all hours a quarter cheaper: only what is below that counts."""
    costs = bill(database, tmp_path, control_after=Decimal("0.30"))
    succeeded(database)
    (outcome,) = measure(database, TENANT, costs, now=lambda: NOW)
    assert outcome.realised_monthly == Decimal("1095.00")


@pytest.mark.parametrize(
    ("after", "verdict", "realised"),
    [(Decimal("0.35"), "not_verified", "365.00"), (Decimal("0.50"), "negative", "-730.00")],
)
def test_a_saving_that_did_not_come_true_is_told_and_learned_from(
    database: Database, tmp_path: Path, after: Decimal, verdict: str, realised: str
) -> None:
    """Small or negative: said in numbers, and the next promise is smaller."""
    costs = bill(database, tmp_path, after=after)
    succeeded(database)
    (outcome,) = measure(database, TENANT, costs, now=lambda: NOW)
    assert (outcome.verdict, outcome.realised_monthly) == (verdict, Decimal(realised))
    with database.read() as tx:
        assert outcomes.all_calibrations(tx, TENANT)["spot_migration"].usual < 1


@pytest.mark.parametrize(
    ("change", "after", "verdict", "realised", "words"),
    [
        ("aws.volume_delete", None, "verified", "292.00", "A day of it cost 9.6000 USD before and 0.0000 USD after"),
        ("aws.instance_stop", Decimal("0.35"), "not_verified", "36.50", "A day of it cost 9.6000 USD before"),
        ("aws.instance_resize:m5.large", Decimal("0.20"), "verified", "146.00", "An hour of it cost 0.4000 USD before"),
        ("aws.rds_class:db.m5.large", Decimal("0.50"), "negative", "-73.00", "An hour of it cost 0.4000 USD before"),
        ("aws.instance_resize:m5.large", None, "not_verified", None, "does not tell what an hour of vol-1 costs"),
        ("vultr.plan_change:vc2", Decimal("0.1"), "not_verified", None, "another id"),
    ],
)
def test_one_thing_is_verified_by_its_own_line_of_the_bill(
    database: Database, tmp_path: Path, change: str, after: Decimal | None, verdict: str, realised: str | None, words: str
) -> None:  # fmt: skip
    """A deleted volume, a stopped or smaller machine: by the day where it is gone, by the hour where it goes on."""
    costs = single_bill(database, tmp_path, after)
    succeeded(database, "200", change=change, resource_id="vol-1")
    (outcome,) = measure(database, TENANT, costs, now=lambda: NOW)
    assert (outcome.verdict, outcome.realised_monthly) == (verdict, None if realised is None else Decimal(realised))
    assert words in outcome.why


def test_a_thing_or_a_bill_that_is_not_there_proves_nothing(database: Database, tmp_path: Path) -> None:
    """Never billed under that name; or the account has no bill for the time after: no saving is claimed."""
    costs = single_bill(database, tmp_path, None)
    succeeded(database, "200", change="aws.volume_delete", resource_id="vol-9")
    (outcome,) = measure(database, TENANT, costs, now=lambda: NOW)
    assert (outcome.verdict, outcome.why) == ("not_verified", "The bill does not name vol-9.")


def test_an_account_without_a_bill_afterwards_proves_nothing(database: Database, tmp_path: Path) -> None:
    """What is not billed and what was not read look alike."""
    costs = single_bill(database, tmp_path, None, elsewhere="111111111111")
    succeeded(database, "200", change="aws.volume_delete", resource_id="vol-1")
    (outcome,) = measure(database, TENANT, costs, now=lambda: NOW)
    assert (outcome.verdict, outcome.realised_monthly) == ("not_verified", None)
    assert "There is no bill of" in outcome.why


def single_bill(database: Database, folder: Path, after: Decimal | None, elsewhere: str = ACCOUNT) -> Costs:
    """One thing at 0.40 an hour until 1 November, then at another price or gone; another one beside it all the time."""

    def told() -> Iterator[dict[str, str]]:
        for day in (date(2026, 10, 1) + timedelta(days=n) for n in range(52)):
            hourly = after if day > DONE.date() else BEFORE
            if hourly is not None:
                yield row(day, "vol-1", hourly * 24)
            yield row(day, "i-other", Decimal(5)) | {"SubAccountId": elsewhere}

    with in_one_process():
        path = write(folder / "bill.csv", told())
        ingest(database, TENANT, [path], tag_keys=("service",), detail_months=4, now=lambda: NOW)
    return Costs(database, TENANT, ("service",), 2)


def test_a_few_days_prove_nothing(database: Database, tmp_path: Path) -> None:
    """Until a week of complete bills is there, it is too early, and says when."""
    costs = bill(database, tmp_path, days=38)
    succeeded(database)
    (outcome,) = measure(database, TENANT, costs, now=lambda: NOW)
    assert (outcome.verdict, outcome.realised_monthly) == ("too_early", None)
    assert "2026-11-09" in outcome.why
    with database.read() as tx:
        assert outcomes.all_calibrations(tx, TENANT) == {}


def test_a_bill_that_does_not_name_the_instances_proves_nothing(database: Database, tmp_path: Path) -> None:
    """Unknown is neither saved nor lost."""
    costs = bill(database, tmp_path)
    succeeded(database)
    with database.begin() as tx:
        resources.replace(tx, TENANT, "AWS", ACCOUNT, [], now=NOW)
    (outcome,) = measure(database, TENANT, costs, now=lambda: NOW)
    assert (outcome.verdict, outcome.realised_monthly) == ("not_verified", None)


def test_only_what_succeeded_is_measured_and_no_bill_measures_nothing(database: Database, tmp_path: Path) -> None:
    """A rollout that went back saved nothing and promised nothing."""
    succeeded(database, state=State.ROLLED_BACK)
    assert measure(database, TENANT, Costs(database, TENANT, (), 2), now=lambda: NOW) == ()
    assert measure(database, TENANT, bill(database, tmp_path, days=3), now=lambda: NOW) == ()


def outcome_of(ratio: str, kind: str = "idle", verdict: str = "verified") -> Outcome:
    return Outcome("ro", kind, Decimal(100), Decimal(ratio) * 100, "USD", None, None, verdict, "")


def test_one_surprise_does_not_turn_everything_over_and_many_do() -> None:
    """Experience is weighed against one imagined rollout that went as expected."""
    (once,) = calibrate([outcome_of("0.5")])
    assert (once.low, once.usual, once.high, once.outcomes) == (
        Decimal("0.5"), Decimal("0.75"), Decimal(1), 1,
    )  # fmt: skip
    (often,) = calibrate([outcome_of("0.5")] * 9)
    assert often.usual == Decimal("0.55")


def test_what_proves_nothing_teaches_nothing() -> None:
    """Too early, unmeasured or promised nothing: no ratio; extremes are cut."""
    nothing = [
        outcome_of("0.1", verdict="too_early"),
        Outcome("ro", "idle", Decimal(100), None, "USD", None, None, "not_verified", ""),
        Outcome("ro", "idle", Decimal(0), Decimal(5), "USD", None, None, "verified", ""),
    ]
    assert calibrate(nothing) == ()
    (wild,) = calibrate([outcome_of("50"), outcome_of("-3")])
    assert (wild.low, wild.usual, wild.high) == (Decimal(0), Decimal(1), Decimal(2))


def test_without_hours_there_is_nothing_to_compare() -> None:
    """A control without hours leaves the price before as it was."""
    none, some = UnitCost(Decimal(0), Decimal(0)), UnitCost(Decimal(10), Decimal(100))
    assert compare(none, some, none, none) is None
    assert compare(some, none, none, none) is None
    same = compare(some, some, none, some)
    assert same is not None
    assert same.monthly_saving(3) == 0


def person(role: Role = Role.VIEWER, tenant: str = TENANT) -> Principal:
    return Principal("ana@lumen.example", tenant, "Ana", role)


def test_people_say_what_they_think_and_may_change_their_mind(database: Database) -> None:
    """One word per person and recommendation."""
    succeeded(database)
    for word in ("wrong", "useful"):
        feedback.give(database, TENANT, "rec-1", person(), word, now=lambda: NOW)
    with database.read() as tx:
        (kept,) = outcomes.all_feedback(tx, TENANT)
    assert (kept.word, kept.kind, kept.actor) == ("useful", "spot_migration", "ana@lumen.example")


def test_feedback_that_cannot_be_kept_is_refused_in_words(database: Database) -> None:
    """An unknown word, an unknown recommendation, somebody of another company."""
    succeeded(database)
    with pytest.raises(InputError, match="no feedback"):
        feedback.give(database, TENANT, "rec-1", person(), "meh", now=lambda: NOW)
    with pytest.raises(NotFoundError):
        feedback.give(database, TENANT, "rec-2", person(), "wrong", now=lambda: NOW)
    with pytest.raises(RefusedError, match="may not give feedback"):
        feedback.give(database, TENANT, "rec-1", person(tenant="other"), "wrong", now=lambda: NOW)
