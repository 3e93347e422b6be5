"""Recommendations, outcomes, calibrations and feedback as the database keeps them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.conftest import NOW, TENANT
from tools.model.errors import NotFoundError
from tools.model.outcome import Calibration, Feedback, Outcome
from tools.model.query import Receipt
from tools.model.recommendation import Evidence, Recommendation
from tools.store import outcomes, recommendations
from tools.store.database import Database

LATER = NOW + timedelta(days=1)


def found(id_: str, expected: str = "100.25", kind: str = "cleanup") -> Recommendation:
    receipt = Receipt("SELECT :a", (("a", "1"),), 3, NOW)
    return Recommendation(
        id=id_,
        tenant=TENANT,
        kind=kind,
        provider="AWS",
        account_id="1",
        region="eu-west-1",
        resource_ids=("vol-1", "vol-2"),
        title="Delete two volumes",
        saving_low=Decimal("50.10"),
        saving_expected=Decimal(expected),
        saving_high=Decimal(2000),
        currency="USD",
        confidence=Decimal("0.85"),
        risk="R2",
        reversible=True,
        evidence=(Evidence("Costs", "100 USD", "bill", receipt), Evidence("Unused", "yes", "inventory")),
        price_source="bill",
        parameters={"change": "", "resource_kind": "volume", "resource_id": "vol-1", "affected_monthly": "2000"},
        service="search",
        blocked_by=("People carry this out.",),
    )


@pytest.mark.stores
def test_what_was_saved_comes_back_the_greatest_saving_first(database: Database) -> None:
    """To the last digit, with evidence and receipts, and only this customer's."""
    small, large = found("rec-1", "9.5"), found("rec-2", "100.25", "idle")
    with database.begin() as tx:
        recommendations.save(tx, TENANT, [small, large], now=NOW)
        recommendations.save(tx, "other", [replace(small, tenant="other")], now=NOW)
    with database.read() as tx:
        assert recommendations.listing(tx, TENANT) == (large, small)
        assert recommendations.listing(tx, TENANT, "cleanup") == (small,)
        assert recommendations.one(tx, TENANT, "rec-1") == small


@pytest.mark.stores
def test_what_is_not_found_again_leaves_the_list_and_may_come_back(database: Database) -> None:
    """A rollout can still look its recommendation up by the id."""
    with database.begin() as tx:
        recommendations.save(tx, TENANT, [found("rec-1"), found("rec-2")], now=NOW)
        recommendations.save(tx, TENANT, [found("rec-1", "101")], now=LATER)
        assert recommendations.retire(tx, TENANT, ["rec-1"], now=LATER) == 1
        assert recommendations.retire(tx, TENANT, ["rec-1"], now=LATER) == 0
    with database.begin() as tx:
        assert recommendations.listing(tx, TENANT) == (found("rec-1", "101"),)
        assert recommendations.one(tx, TENANT, "rec-2") == found("rec-2")
        recommendations.save(tx, TENANT, [found("rec-2")], now=LATER)
        assert len(recommendations.listing(tx, TENANT)) == 2


@pytest.mark.stores
def test_an_unknown_recommendation_says_how_to_list_them(database: Database) -> None:
    """A mistyped id is a sentence, not a stack trace; another customer's id is unknown too."""
    with database.begin() as tx:
        recommendations.save(tx, "other", [replace(found("rec-1"), tenant="other")], now=NOW)
    with database.read() as tx, pytest.raises(NotFoundError, match="no recommendation rec-1") as told:
        recommendations.one(tx, TENANT, "rec-1")
    assert "optiinfra recommend" in told.value.fix


@pytest.mark.stores
def test_an_outcome_is_renewed_by_its_rollout(database: Database) -> None:
    """First too early, later verified: one row."""
    early = Outcome("ro-1", "spot_migration", Decimal("100.5"), None, "USD", None, None, "too_early", "wait")
    told = replace(
        early,
        realised_monthly=Decimal("90.25"),
        measured_from=date(2026, 11, 1),
        measured_to=date(2026, 11, 20),
        verdict="verified",
    )
    with database.begin() as tx:
        outcomes.save(tx, TENANT, early, now=NOW)
        assert outcomes.one(tx, TENANT, "ro-1") == early
        outcomes.save(tx, TENANT, told, now=LATER)
    with database.read() as tx:
        assert outcomes.listing(tx, TENANT) == (told,)
        assert outcomes.listing(tx, TENANT, kind="idle") == ()
        assert outcomes.one(tx, "other", "ro-1") is None


@pytest.mark.stores
def test_experience_and_words_are_kept_per_kind_and_person(database: Database) -> None:
    """The newest calibration and each person's last word count."""
    first = Calibration("idle", Decimal("0.5"), Decimal("0.75"), Decimal(1), 2)
    second = Calibration("idle", Decimal("0.6"), Decimal("0.8"), Decimal(1), 3)
    wrong = Feedback("rec-1", "idle", "ben@lumen.example", "wrong", NOW)
    useful = replace(wrong, word="useful", at=LATER)
    with database.begin() as tx:
        for calibration in (first, second):
            outcomes.save_calibration(tx, TENANT, calibration, now=NOW)
        for word in (wrong, useful, replace(wrong, actor="ana@lumen.example")):
            outcomes.save_feedback(tx, TENANT, word)
    with database.read() as tx:
        assert outcomes.all_calibrations(tx, TENANT) == {"idle": second}
        assert outcomes.all_calibrations(tx, "other") == {}
        assert outcomes.all_feedback(tx, TENANT) == (replace(wrong, actor="ana@lumen.example"), useful)
