"""Drawing: tables and charts of the domain as Slack's own blocks, within Slack's limits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from bot.shared.message import Block
from bot.slack.blockkit import CHART_LABEL, CHART_POINTS, CHART_SERIES, CHART_TITLE, TABLE_COLUMNS
from bot.slack.elements import NOTHING, more
from bot.slack.words import clip, money, percent
from tools.model.fact import Chart, Table
from tools.model.money import plain

CELL = 150
ROWS = 30
KINDS = {"line": "line", "bar": "bar", "area": "area", "pie": "pie"}


def table(shown: Table, *, most: int = ROWS) -> Block | None:
    """The table with its first rows, the rest counted; None when it has no rows or columns."""
    width = min(len(shown.columns), TABLE_COLUMNS)
    if not shown.rows or not width:
        return None
    heads = [_title(c, u, shown.currency) for c, u in zip(shown.columns, shown.units, strict=False)][:width]
    rows = [[_text(head) for head in heads + [NOTHING] * (width - len(heads))]]
    for row in shown.rows[:most]:
        cells = [_cell(value, _unit(shown, n), shown.currency) for n, value in enumerate(row[:width])]
        rows.append(cells + [_text(NOTHING)] * (width - len(cells)))
    if len(shown.rows) > most:
        rows.append([_text(more(len(shown.rows) - most))] + [_text(NOTHING)] * (width - 1))
    return {
        "type": "data_table",
        "caption": clip(shown.title, CELL).strip() or "Table",
        "rows": rows,
        "page_size": min(10, len(rows) - 1),
    }


def _unit(shown: Table, column: int) -> str:
    return shown.units[column] if column < len(shown.units) else ""


def _title(column: str, unit: str, currency: str) -> str:
    return f"{column} ({currency})" if unit == "money" and currency and currency not in column else column


def _text(text: str) -> Block:
    return {"type": "raw_text", "text": clip(text.replace("\n", " "), CELL).strip() or NOTHING}


def _cell(value: str | Decimal | None, unit: str, currency: str) -> Block:
    if value is None:
        return _text("unknown")
    if isinstance(value, Decimal):
        if not value.is_finite():
            return _text("unknown")
        return {"type": "raw_number", "value": float(value), "text": number(value, unit, currency)}
    return _text(value)


def number(value: Decimal, unit: str, currency: str) -> str:
    """A number of a fact or table in words: '12.50 USD', '38 %', '20'."""
    if unit == "money":
        return money(value, currency)
    if unit == "percent":
        return percent(value / 100)
    shown = value if value == value.to_integral_value() else value.quantize(Decimal("0.01"))
    return f"{plain(shown)} {unit}" if unit not in {"", "count", "number", "text"} else plain(shown)


def chart(drawn: Chart) -> Block | None:
    """The chart, or None when Slack has nothing to draw (no points, no positive slice)."""
    kind = KINDS.get(drawn.kind, "bar")
    labels, series, step = _few_points(drawn) if kind != "pie" else (drawn.labels, drawn.series, 1)
    title = drawn.title if step == 1 else f"{clip(drawn.title, CHART_TITLE - 16)} (sums of {step})"
    payload = _pie(labels, series) if kind == "pie" else _axes(kind, labels, series, drawn)
    if payload is None:
        return None
    return {"type": "data_visualization", "title": clip(title, CHART_TITLE).strip() or "Chart", "chart": payload}


Series = tuple[tuple[str, tuple[Decimal, ...]], ...]


def _few_points(drawn: Chart) -> tuple[tuple[str, ...], Series, int]:
    """At most as many points as Slack draws: neighbours are added up; the last number says how many."""
    count = len(drawn.labels)
    if count <= CHART_POINTS or drawn.kind == "bar":
        return drawn.labels[:CHART_POINTS], tuple((name, values[:CHART_POINTS]) for name, values in drawn.series), 1
    step = next(n for n in (7, *range(2, count + 1)) if -(-count // n) <= CHART_POINTS)
    starts = range(0, count, step)
    labels = tuple(drawn.labels[n] for n in starts)
    summed = tuple(
        (name, tuple(sum(values[n : n + step], Decimal(0)) for n in starts)) for name, values in drawn.series
    )
    return labels, summed, step


def _pie(labels: Sequence[str], series: Series) -> Block | None:
    """Positive slices, the smallest put together as 'Other'."""
    if not series:
        return None
    slices = sorted(
        ((v, n) for n, v in zip(labels, series[0][1], strict=False) if v.is_finite() and v > 0), reverse=True
    )
    if not slices:
        return None
    shown = slices if len(slices) <= CHART_SERIES else slices[: CHART_SERIES - 1]
    rest = sum((v for v, _ in slices[len(shown) :]), Decimal(0))
    named = [(name, value) for value, name in shown] + ([("Other", rest)] if rest > 0 else [])
    names = _different([name for name, _ in named])
    segments = [{"label": n, "value": float(v)} for n, (_, v) in zip(names, named, strict=True) if float(v) > 0]
    return {"type": "pie", "segments": segments} if segments else None


def _axes(kind: str, labels: Sequence[str], series: Series, drawn: Chart) -> Block | None:
    if not labels or not series:
        return None
    names = _different([name for name, _ in series[:CHART_SERIES]])
    categories = _different([_label(label) for label in labels])
    drawn_series = []
    for name, (_, values) in zip(names, series, strict=False):
        padded = [*values, *([Decimal(0)] * (len(categories) - len(values)))]
        points = [
            {"label": c, "value": float(v) if v.is_finite() else 0.0} for c, v in zip(categories, padded, strict=False)
        ]
        drawn_series.append({"name": name, "data": points})
    axis: Block = {"categories": categories}
    unit = drawn.currency if drawn.unit == "money" else drawn.unit
    if unit.strip():
        axis["y_label"] = clip(unit, CHART_TITLE)
    return {"type": kind, "series": drawn_series, "axis_config": axis}


def _label(label: str) -> str:
    """A day as '23 Nov', everything else as it is."""
    try:
        moment = date.fromisoformat(label)
    except ValueError:
        return label
    return f"{moment.day} {moment:%b}"


def _different(names: Sequence[str]) -> list[str]:
    """The names clipped to what fits, told apart by a number where they became equal."""
    made: list[str] = []
    for name in names:
        short = clip(name.replace("\n", " "), CHART_LABEL).strip() or NOTHING
        count = 1
        unique = short
        while unique in made:
            count += 1
            unique = clip(short, CHART_LABEL - len(str(count)) - 1).strip() + f" {count}"
        made.append(unique)
    return made
