"""Fact: one number that may be shown, with its meaning and its receipt; and what a tool hands to the mind."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from tools.model.period import Period
from tools.model.query import Coverage, Receipt


@dataclass(frozen=True, slots=True)
class Fact:
    """One checkable number. `unit` is "money", "percent", "count", "days" ...; `currency` only for money."""

    id: str
    label: str
    entity: str
    value: Decimal | None
    unit: str
    currency: str
    period: Period | None
    metric: str
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Table:
    """A table to show: column titles, and rows of cells (str as is, Decimal as a number of `units[column]`)."""

    title: str
    columns: tuple[str, ...]
    units: tuple[str, ...]
    rows: tuple[tuple[str | Decimal | None, ...], ...]
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart to show. `kind` is "line", "bar" or "pie"; each series has one value per label."""

    kind: str
    title: str
    labels: tuple[str, ...]
    series: tuple[tuple[str, tuple[Decimal, ...]], ...]
    unit: str
    currency: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool returns: an echo of what was understood, facts, things to draw, and coverage.

    `query` is JSON-ready: {"tool", "args", "period", "metric", "filters"}. `rollout_id` is set when a card
    should be shown (proposed or asked about).
    """

    query: dict[str, object]
    facts: tuple[Fact, ...]
    headline: str
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    notes: tuple[str, ...] = ()
    coverage: Coverage = field(default_factory=lambda: Coverage(complete_to=None))
    rollout_id: str | None = None
