"""Desk: what lies before a tool while it works - who asks, when, and the rooms below it may use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from agent.planner.vocabulary import Vocabulary, words
from tools.model.access import Principal
from tools.model.anomaly import Anomaly
from tools.model.errors import InputError
from tools.model.fact import Fact
from tools.model.identifiers import NewId
from tools.model.period import Period
from tools.model.query import CostTable, Coverage, Filter, Receipt, dimension
from tools.settings import Settings
from tools.store.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Select

    from tools.analysis.costs import Costs
    from tools.providers.base import Change


class AmbiguousError(InputError):
    """More than one thing fits what was said; `choices` are full questions that say which."""

    code = "ambiguous"

    def __init__(self, what: str, choices: tuple[str, ...]) -> None:
        super().__init__(what)
        self.choices = choices


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything a tool needs for one question. `change` gives an executable kind of change by its name,
    `detected` the anomalies of all settled days before a day."""

    settings: Settings
    database: Database
    costs: Costs
    principal: Principal
    today: date
    now: Callable[[], datetime]
    new_id: NewId
    vocabulary: Vocabulary
    change: Callable[[str], Change]
    detected: Callable[[date], tuple[Anomaly, ...]]
    channel: str = ""

    @property
    def tenant(self) -> str:
        return self.settings.tenant


@dataclass(slots=True)
class Facts:
    """Collects the facts of one tool call; ids count up and are made unique over the answer later."""

    receipt: Receipt
    period: Period | None = None
    metric: str = ""
    currency: str = ""
    made: list[Fact] | None = None

    def add(
        self,
        label: str,
        entity: str,
        value: Decimal | int | None,
        unit: str = "money",
        *,
        currency: str | None = None,
        period: Period | None = None,
        receipt: Receipt | None = None,
    ) -> Fact:
        """Note one number with its meaning."""
        self.made = self.made if self.made is not None else []
        fact = Fact(
            f"F{len(self.made) + 1}",
            label,
            entity,
            Decimal(value) if isinstance(value, int) else value,
            unit,
            (self.currency if currency is None else currency) if unit == "money" else "",
            period or self.period,
            self.metric,
            receipt or self.receipt,
        )
        self.made.append(fact)
        return fact

    @property
    def all(self) -> tuple[Fact, ...]:
        return tuple(self.made or ())


def filters(desk: Desk, where: Mapping[str, list[str]], exclude: Mapping[str, list[str]]) -> tuple[Filter, ...]:
    """Filters of the query layer, with dimensions and values in the data's own spelling."""
    made = []
    for source, excluded in ((where, False), (exclude, True)):
        for word, values in source.items():
            name = dimension(word, desk.settings.tag_keys)
            found = tuple(dict.fromkeys(v for value in values for v in _spelt(desk.vocabulary, name, value)))
            made.append(Filter(name, found, excluded))
    return tuple(made)


def _spelt(vocabulary: Vocabulary, name: str, value: str) -> tuple[str, ...]:
    if value == "" or value in vocabulary.values.get(name, ()):
        return (value,)
    readings = vocabulary.index.get(words(value), ())
    return next((r.values for r in readings if r.dimension == name), (value,))


def dimensions(desk: Desk, by: Iterable[str]) -> tuple[str, ...]:
    """Dimensions in the house's own names."""
    return tuple(dict.fromkeys(dimension(word, desk.settings.tag_keys) for word in by))


def stored(desk: Desk, query: Select[tuple[object, ...]], rows: int) -> Receipt:
    """The receipt of something read from the state database: the statement as it was sent."""
    compiled = query.compile(dialect=desk.database.engine.dialect)
    parameters = tuple((str(k), str(v)) for k, v in compiled.params.items())
    return Receipt(str(compiled), parameters, rows, desk.now())


def echo(
    tool: str, args: dict[str, object], period: Period | None, metric: str, where: tuple[Filter, ...]
) -> dict[str, object]:
    """What was understood, JSON-plain, for the answer's `query`."""
    return {
        "tool": tool,
        "args": args,
        "period": {"start": period.start.isoformat(), "end": period.end.isoformat()} if period else None,
        "metric": metric or None,
        "filters": [{"dimension": f.dimension, "values": list(f.values), "exclude": f.exclude} for f in where],
    }


def scope(where: tuple[Filter, ...]) -> str:
    """Filters in words: 'AWS, team checkout', '' when there are none."""
    from agent.planner.aliases import shown
    from agent.words import listed, name

    parts = []
    for f in where:
        plain = shown(f.dimension)
        if f.values == ("",):
            parts.append(
                f"{'with' if f.exclude else 'without'} a {plain} tag" if "tag:" in f.dimension else f"no {plain}"
            )
            continue
        values = listed(f.values, 3)
        bare = f.dimension in {"provider", "service_name"} and not f.exclude
        parts.append(values if bare else f"{'excluding ' if f.exclude else ''}{plain} {name(values)}")
    return ", ".join(parts)


def on(where: str) -> str:
    """A scope behind a verb: ' on AWS', ' without a team tag', '' for everything."""
    if not where:
        return ""
    return f" {where}" if where.startswith(("with", "excluding", "no ")) else f" on {where}"


def coverage_notes(coverage: Coverage, period: Period) -> tuple[str, ...]:
    """What a person must know about the data behind a number."""
    from agent.words import last_day, listed

    notes = []
    told = any("complete up to" in m for m in coverage.missing)
    if not told and coverage.complete_to and period.start < coverage.complete_to < period.end:
        notes.append(f"Cost data is complete up to {last_day(coverage.complete_to)}; later days may be missing.")
    elif coverage.complete_to and coverage.complete_to <= period.start:
        notes.append(f"Cost data ends on {last_day(coverage.complete_to)}, before this period.")
    if coverage.missing:
        notes.append(f"Missing: {listed(coverage.missing)}.")
    return tuple(notes)


def empty(table: CostTable) -> bool:
    """No charge at all is behind the answer: that is not the same as a cost of nothing."""
    return not table.rows and table.receipt.rows == 0
