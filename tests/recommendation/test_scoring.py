"""How experience moves a saving, how conflicts are settled, and what is never shown."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import NOW
from tests.recommendation.conftest import Situate, group, members
from tools.model.outcome import Calibration, Feedback
from tools.model.query import Receipt
from tools.model.recommendation import Evidence, Recommendation
from tools.recommendation import scoring, validation
from tools.recommendation.rules import spot


@pytest.fixture
def move(situation: Situate) -> Recommendation:
    """A spot migration of 40 to 70 percent of 5,840 dollars."""
    return next(spot.find(situation(group(), lines=members())))


def experience(low: str, usual: str, high: str, count: int = 4) -> dict[str, Calibration]:
    return {"spot_migration": Calibration("spot_migration", Decimal(low), Decimal(usual), Decimal(high), count)}


def test_savings_that_came_out_smaller_make_the_next_one_smaller(move: Recommendation) -> None:
    """Four rollouts saved 60 percent of what was expected: so does this one, and it says so."""
    adjusted = scoring.calibrated(move, experience("0.5", "0.6", "0.7"))
    assert adjusted.saving_expected == (move.saving_expected * Decimal("0.6")).quantize(Decimal("0.01"))
    assert adjusted.saving_low < adjusted.saving_expected < adjusted.saving_high < move.saving_high
    assert "4 finished rollouts of this kind saved 60 %" in adjusted.evidence[-1].value


def test_savings_that_came_out_larger_never_exceed_what_is_spent(move: Recommendation) -> None:
    """Doubling an estimate must not promise more than the bill."""
    adjusted = scoring.calibrated(move, experience("1.8", "2", "2"))
    assert adjusted.saving_high == Decimal("5840.00")
    assert validation.problems(adjusted) == ()


@pytest.mark.parametrize("known", [{}, experience("0", "0", "0", 0)])
def test_without_experience_the_estimate_stands(move: Recommendation, known: dict[str, Calibration]) -> None:
    """Nothing finished, nothing learned."""
    assert scoring.calibrated(move, known) == move


def said(word: str, actor: str, *, kind: str = "spot_migration", id_: str = "rec-other") -> Feedback:
    return Feedback(id_, kind, actor, word, NOW)


def test_people_who_call_it_wrong_are_heard(move: Recommendation) -> None:
    """Wrong on this one halves confidence; on others of its kind it costs a little; useful takes it back."""
    mine = said("wrong", "ben", id_=move.id)
    assert scoring.heard(move, [mine]).confidence == Decimal("0.30")
    assert scoring.heard(move, [said("wrong", "ben"), said("wrong", "ana")]).confidence == Decimal("0.54")
    assert scoring.heard(move, [said("wrong", "ben"), said("useful", "ana")]) == move
    assert scoring.heard(move, [said("not_now", "ben", id_=move.id), said("wrong", "x", kind="idle")]) == move


def test_one_resource_counts_once(move: Recommendation) -> None:
    """The better of two on the same resource stays proposable; the other names it and is not added up."""
    rival = replace(move, id="rec-rival", kind="rightsizing", saving_expected=Decimal(100), saving_low=Decimal(50))
    alone = replace(move, id="rec-alone", resource_ids=("other",), currency="EUR")
    settled = {r.id: r for r in scoring.without_conflicts([rival, alone, move])}
    assert settled[move.id].blocked_by == ()
    assert settled["rec-rival"].blocked_by[0].startswith(f"Competes with {move.id}")
    assert scoring.total(settled.values()) == {
        "USD": (move.saving_low, move.saving_expected, move.saving_high),
        "EUR": (move.saving_low, move.saving_expected, move.saving_high),
    }


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"kind": "magic"}, "unknown kind"),
        ({"risk": "R9"}, "unknown risk"),
        ({"resource_ids": ()}, "names no resource"),
        ({"currency": "usd"}, "currency"),
        ({"saving_low": Decimal(-1)}, "rising band"),
        ({"saving_high": Decimal("NaN")}, "rising band"),
        ({"saving_expected": Decimal(0), "saving_low": Decimal(0)}, "save nothing"),
        ({"saving_high": Decimal(999999)}, "more than is spent"),
        ({"confidence": Decimal(0)}, "confidence"),
        ({"evidence": (Evidence("a", "b", "c"),)}, "receipt"),
        ({"evidence": (Evidence("a", "b", "c", Receipt("", (), 0, None)),)}, "receipt"),
        ({"price_source": ""}, "price source"),
        ({"risk": "R3"}, "R3"),
        ({"reversible": False}, "two people"),
        ({"parameters": {"change": "x", "affected_monthly": "9999", "o": object()}}, "JSON"),
        ({"parameters": {"change": "", "affected_monthly": "9999"}}, "not executable"),
    ],
)
def test_a_rules_mistake_is_never_shown(move: Recommendation, changed: dict[str, Any], problem: str) -> None:
    """Each law of a recommendation, broken once."""
    assert any(problem in found for found in validation.problems(replace(move, **changed)))
