"""Small checkers for JSON values that report every problem with its JSON pointer; strict.py composes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.slack.workspace import Json


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that Slack would reject."""

    pointer: str
    code: str
    message: str
    constraint: Json = field(default_factory=dict)

    def line(self) -> str:
        """The problem as response_metadata.messages words it."""
        return f"[ERROR] {self.message} [json-pointer:{self.pointer}]"

    def as_json(self) -> Json:
        found: Json = {"pointer": self.pointer, "code": self.code, "message": self.message}
        return found | ({"constraint": self.constraint} if self.constraint else {})


@dataclass(slots=True)
class Report:
    """Collects problems during one walk over one payload for one surface (message, modal or home)."""

    surface: str
    problems: list[Problem] = field(default_factory=list)

    def add(self, pointer: str, code: str, message: str, **constraint: Any) -> None:
        self.problems.append(Problem(pointer, code, message, constraint))


Rule = Callable[[Report, str, Any], None]
Shape = Mapping[str, tuple[Rule, bool]]


def need(rule: Rule) -> tuple[Rule, bool]:
    return rule, True


def may(rule: Rule) -> tuple[Rule, bool]:
    return rule, False


def anything(report: Report, pointer: str, value: Any) -> None:
    """Accepts every value."""


def string(maximum: int | None = None, minimum: int = 1) -> Rule:
    def check(report: Report, pointer: str, value: Any) -> None:
        if not isinstance(value, str):
            report.add(pointer, "invalid_type", "must be a string", type="type", expected="string")
        elif len(value) < minimum:
            report.add(pointer, "too_short", f"must be more than {minimum - 1} characters", min_length=minimum)
        elif maximum is not None and len(value) > maximum:
            report.add(pointer, "too_long", f"must be less than {maximum + 1} characters", max_length=maximum)

    return check


def boolean(report: Report, pointer: str, value: Any) -> None:
    if not isinstance(value, bool):
        report.add(pointer, "invalid_type", "must be a boolean", type="type", expected="boolean")


def number(report: Report, pointer: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        report.add(pointer, "invalid_type", "must be a number", type="type", expected="number")


def integer(low: int | None = None, high: int | None = None) -> Rule:
    def check(report: Report, pointer: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            report.add(pointer, "invalid_type", "must be an integer", type="type", expected="integer")
        elif (low is not None and value < low) or (high is not None and value > high):
            report.add(pointer, "out_of_range", f"must be between {low} and {high}", minimum=low, maximum=high)

    return check


def one_of(*choices: str) -> Rule:
    def check(report: Report, pointer: str, value: Any) -> None:
        if value not in choices:
            listed = ", ".join(choices)
            report.add(pointer, "invalid_value", f"must be one of: {listed}", type="enum", expected=list(choices))

    return check


def array(item: Rule, minimum: int = 0, maximum: int | None = None) -> Rule:
    def check(report: Report, pointer: str, value: Any) -> None:
        if not isinstance(value, list):
            report.add(pointer, "invalid_type", "must be an array", type="type", expected="array")
            return
        if len(value) < minimum:
            report.add(pointer, "too_few_items", f"no less than {minimum} items allowed", min_items=minimum)
        if maximum is not None and len(value) > maximum:
            report.add(pointer, "too_many_items", f"no more than {maximum} items allowed", max_items=maximum)
        for index, entry in enumerate(value):
            item(report, f"{pointer}/{index}", entry)

    return check


def record(shape: Shape, *, kind: str | None = None) -> Rule:
    """An object with exactly these fields; `kind` is the value its `type` must have."""

    def check(report: Report, pointer: str, value: Any) -> None:
        if not isinstance(value, dict):
            report.add(pointer, "invalid_type", "must be an object", type="type", expected="object")
            return
        if kind is not None and value.get("type") != kind:
            report.add(f"{pointer}/type", "invalid_value", f"must be {kind}", type="enum", expected=[kind])
        for name in value.keys() - shape.keys() - {"type"}:
            report.add(f"{pointer}/{name}", "additional_property", f"invalid additional property: {name}")
        for name, (rule, required) in shape.items():
            if name in value:
                rule(report, f"{pointer}/{name}", value[name])
            elif required:
                report.add(pointer, "missing_field", f"missing required field: {name}", field=name)

    return check


def text(maximum: int, *kinds: str) -> Rule:
    """A text object of one of these kinds (default: plain_text or mrkdwn) with at most so many characters."""
    allowed = kinds or ("plain_text", "mrkdwn")
    shape: Shape = {"text": need(string(maximum)), "emoji": may(boolean), "verbatim": may(boolean)}
    inside = record(shape)

    def check(report: Report, pointer: str, value: Any) -> None:
        inside(report, pointer, value)
        if not isinstance(value, dict):
            return
        kind = value.get("type")
        if kind not in allowed:
            expected = " or ".join(allowed)
            report.add(f"{pointer}/type", "invalid_value", f"must be {expected}", type="enum", expected=list(allowed))
        elif kind == "mrkdwn" and "emoji" in value:
            report.add(f"{pointer}/emoji", "additional_property", "invalid additional property: emoji")
        elif kind == "plain_text" and "verbatim" in value:
            report.add(f"{pointer}/verbatim", "additional_property", "invalid additional property: verbatim")

    return check


def plain(maximum: int) -> Rule:
    return text(maximum, "plain_text")


def typed(rules: Mapping[str, Rule], what: str) -> Rule:
    """An object whose `type` decides which of these rules holds."""

    def check(report: Report, pointer: str, value: Any) -> None:
        if not isinstance(value, dict):
            report.add(pointer, "invalid_type", "must be an object", type="type", expected="object")
            return
        rule = rules.get(str(value.get("type")))
        if rule is None:
            report.add(
                f"{pointer}/type",
                "unsupported_type",
                f"unsupported type of {what}: {value.get('type')}",
                type="enum",
                expected=sorted(rules),
                got=value.get("type"),
            )
            return
        rule(report, pointer, value)

    return check


def both(*rules: Rule) -> Rule:
    def check(report: Report, pointer: str, value: Any) -> None:
        for rule in rules:
            rule(report, pointer, value)

    return check


def any_field(*names: str) -> Rule:
    """At least one of these fields must be there."""

    def check(report: Report, pointer: str, value: Any) -> None:
        if isinstance(value, dict) and not any(value.get(name) for name in names):
            report.add(pointer, "missing_field", f"one of these is required: {', '.join(names)}", any_of=list(names))

    return check
