"""The part of PromQL that the sandbox's Prometheus understands: parsed as written, refused where it ends."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "min": min,
    "max": max,
    "count": lambda values: float(len(values)),
    "avg": lambda values: sum(values) / len(values),
}
RANGE_FUNCTIONS = ("increase", "rate")
Labels = tuple[tuple[str, str], ...]
Vector = dict[Labels, float]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_TOKEN = re.compile(
    r"\s*(?:(?P<duration>(?:\d+(?:ms|[smhdw]))+)|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_:][\w:]*)"
    r"|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<operator>=~|!~|!=|[=(){}\[\],]))"
)


class PromQLError(ValueError):
    """A query that cannot be parsed or is not supported; the text is Prometheus's own kind of sentence."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label."""

    label: str
    operator: str
    value: str

    def accepts(self, labels: dict[str, str]) -> bool:
        found = labels.get(self.label, "")
        if self.operator in {"=", "!="}:
            return (found == self.value) is (self.operator == "=")
        return bool(re.fullmatch(self.value, found)) is (self.operator == "=~")


@dataclass(frozen=True, slots=True)
class Selector:
    """Series by name and labels; with `seconds`, what they did in that time."""

    name: str
    matchers: tuple[Matcher, ...]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Over:
    """increase(...) or rate(...) of a selector with a range."""

    function: str
    selector: Selector


@dataclass(frozen=True, slots=True)
class Aggregate:
    """sum by (label) (...) and its like; `without` turns the labels around."""

    function: str
    labels: tuple[str, ...]
    without: bool
    inner: Expression


Expression = Selector | Over | Aggregate


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Reader:
    """Reads a query from left to right."""

    def __init__(self, query: str) -> None:
        self.tokens = _tokens(query)
        self.next = 0

    def parse(self) -> Expression:
        expression = self.expression()
        if self.peek().kind != "end":
            raise self.unexpected()
        return expression

    def expression(self) -> Expression:
        if self.peek().text == "(":
            self.take("(")
            inner = self.expression()
            self.take(")")
            return inner
        if self.peek().kind == "name":
            following = self.tokens[self.next + 1].text
            name = self.peek().text
            if name in AGGREGATIONS and following in {"(", "by", "without"}:
                return self.aggregate()
            if following == "(":
                return self.over()
        selector = self.selector()
        if selector.seconds:
            raise PromQLError(
                'invalid expression type "range vector" for range query, must be Scalar or instant Vector'
            )
        return selector

    def aggregate(self) -> Aggregate:
        function = self.take_kind("name").text
        labels, without = self.grouping()
        self.take("(")
        inner = self.expression()
        self.take(")")
        if not labels and not without:
            labels, without = self.grouping()
        return Aggregate(function, labels, without, inner)

    def grouping(self) -> tuple[tuple[str, ...], bool]:
        if self.peek().text not in {"by", "without"}:
            return (), False
        without = self.take_kind("name").text == "without"
        self.take("(")
        labels: list[str] = []
        while self.peek().text != ")":
            labels.append(self.take_kind("name").text)
            if self.peek().text != ")":
                self.take(",")
        self.take(")")
        return tuple(labels), without

    def over(self) -> Over:
        function = self.take_kind("name")
        if function.text not in RANGE_FUNCTIONS:
            raise PromQLError(f'1:{function.at + 1}: parse error: unknown function with name "{function.text}"')
        self.take("(")
        selector = self.selector()
        if not selector.seconds:
            raise PromQLError(
                f'1:{function.at + 1}: parse error: expected type range vector in call to function "{function.text}",'
                " got instant vector"
            )
        self.take(")")
        return Over(function.text, selector)

    def selector(self) -> Selector:
        name = self.take_kind("name").text if self.peek().kind == "name" else ""
        matchers: list[Matcher] = []
        if self.peek().text == "{":
            self.take("{")
            while self.peek().text != "}":
                matchers.append(self.matcher())
                if self.peek().text != "}":
                    self.take(",")
            self.take("}")
        if not name and not matchers:
            raise self.unexpected()
        seconds = 0.0
        if self.peek().text == "[":
            self.take("[")
            seconds = _seconds(self.take_kind("duration").text)
            self.take("]")
        return Selector(name, tuple(matchers), seconds)

    def matcher(self) -> Matcher:
        label = self.take_kind("name").text
        operator = self.take_kind("operator")
        if operator.text not in {"=", "!=", "=~", "!~"}:
            raise self.unexpected(operator)
        value = _unquoted(self.take_kind("string").text)
        if operator.text in {"=~", "!~"}:
            _check_pattern(value, operator.at)
        return Matcher(label, operator.text, value)

    def peek(self) -> _Token:
        return self.tokens[self.next]

    def take(self, text: str) -> None:
        if self.peek().text != text:
            raise self.unexpected()
        self.next += 1

    def take_kind(self, kind: str) -> _Token:
        token = self.peek()
        if token.kind != kind:
            raise self.unexpected()
        self.next += 1
        return token

    def unexpected(self, token: _Token | None = None) -> PromQLError:
        token = token or self.peek()
        what = "end of input" if token.kind == "end" else f'"{token.text}"'
        return PromQLError(f"1:{token.at + 1}: parse error: unexpected {what}")


def parse(query: str) -> Expression:
    """Parse a query; raises PromQLError for what is wrong and for what this subset does not know."""
    return _Reader(query).parse()


def evaluate(
    expression: Expression,
    select: Callable[[Selector], list[tuple[dict[str, str], Callable[[float], float]]]],
    at: float,
) -> Vector:
    """The instant vector of an expression at a moment. `select` gives the series and their value over time."""
    if isinstance(expression, Selector):
        return {_key({"__name__": expression.name} | labels): value(at) for labels, value in select(expression)}
    if isinstance(expression, Over):
        seconds = expression.selector.seconds
        divisor = seconds if expression.function == "rate" else 1.0
        found = select(expression.selector)
        return {_key(labels): (value(at) - value(at - seconds)) / divisor for labels, value in found}
    groups: dict[Labels, list[float]] = {}
    for labels, number in evaluate(expression.inner, select, at).items():
        kept = {k: v for k, v in labels if k != "__name__" and (k in expression.labels) is not expression.without}
        groups.setdefault(_key(kept), []).append(number)
    return {key: float(AGGREGATIONS[expression.function](numbers)) for key, numbers in groups.items()}


def _key(labels: dict[str, str]) -> Labels:
    return tuple(sorted((k, v) for k, v in labels.items() if v))


def _tokens(query: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while query[position:].strip():
        match = _TOKEN.match(query, position)
        if match is None or match.lastgroup is None:
            raise PromQLError(f'1:{position + 1}: parse error: unexpected character: "{query[position:].strip()[0]}"')
        tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        position = match.end()
    return [*tokens, _Token("end", "", len(query))]


def _seconds(text: str) -> float:
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdw])", text))


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _check_pattern(pattern: str, at: int) -> None:
    try:
        re.compile(pattern)
    except re.error as problem:
        raise PromQLError(f"1:{at + 1}: parse error: error parsing regexp: {problem}") from None
