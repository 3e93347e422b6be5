"""Two hundred questions with the tool and arguments they mean: the planner's exam, in a split it was tuned on and one it was not."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent.planner.plan import Plan, Reading
from agent.planner.reading import read
from agent.planner.vocabulary import Vocabulary
from tests.agent.known import TODAY, lumen

GOLDEN = [json.loads(line) for line in (Path(__file__).parent / "golden.jsonl").read_text("utf-8").splitlines()]
LEAST = {"dev": 0.95, "held_out": 0.90}
# Said by the rules, not by the person: what a comparison is made with, and whether a budget is looked at.
UNSAID = {"against_start", "against_end", "budget"}


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return lumen()


def understood(case: dict[str, Any], vocabulary: Vocabulary) -> Reading:
    """Read a case's conversation and then its question."""
    previous: Plan | None = None
    for text in case.get("thread", ()):
        previous = read(text, TODAY, vocabulary, previous).plan or previous
    return read(case["text"], TODAY, vocabulary, previous)


def is_right(case: dict[str, Any], reading: Reading) -> bool:
    """Status, tool and every argument as expected; nothing said that was not asked."""
    if str(reading.status) != case["status"]:
        return False
    if "tool" not in case:
        return reading.plan is None
    plan = reading.plan
    if plan is None or plan.tool != case["tool"] or plan.confidence < 0.75:
        return False
    expected = case["args"]
    return all(plan.args.get(k) == v for k, v in expected.items()) and set(plan.args) <= set(expected) | UNSAID


def test_the_set_is_large_and_both_splits_know_every_category() -> None:
    """At least 150 questions, none twice."""
    assert len(GOLDEN) >= 150
    asked = [(case["text"], *case.get("thread", ())) for case in GOLDEN]
    assert len(set(asked)) == len(asked)
    categories = {split: {c["category"] for c in GOLDEN if c["split"] == split} for split in LEAST}
    assert categories["dev"] == categories["held_out"]


@pytest.mark.parametrize("split", LEAST)
def test_the_planner_passes_its_exam(split: str, vocabulary: Vocabulary) -> None:
    """95 % of the questions it was developed on, 90 % of those it was not; misses are told per category."""
    cases = [case for case in GOLDEN if case["split"] == split]
    missed = [case for case in cases if not is_right(case, understood(case, vocabulary))]
    right = 1 - len(missed) / len(cases)
    per_category = dict(Counter(case["category"] for case in missed))
    # Shown when it fails, and with `pytest -s`.
    print(f"{split}: {right:.1%} of {len(cases)} right; missed {per_category}: {[c['text'] for c in missed]}")  # noqa: T201
    assert right >= LEAST[split], (per_category, [c["text"] for c in missed])


def test_every_choice_that_is_offered_reads_back_as_one_certain_plan(vocabulary: Vocabulary) -> None:
    """Alternatives are full questions that the planner itself understands without asking again."""
    for case in GOLDEN:
        reading = understood(case, vocabulary)
        if case["status"] != "ambiguous":
            continue
        assert 2 <= len(reading.alternatives) <= 4, case["text"]
        for question in reading.alternatives:
            again = read(question, TODAY, vocabulary)
            assert again.plan is not None, question
            assert again.plan.confidence >= 0.75, question
