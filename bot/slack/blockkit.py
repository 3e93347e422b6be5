"""Block Kit: Slack's limits, a validator that names what is wrong, and a fit that makes any message acceptable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from bot.shared.message import Block, Message
from bot.slack.elements import NOTHING, more
from bot.slack.words import clip, size

MESSAGE, MODAL, HOME = "message", "modal", "home"
BLOCKS_IN = {MESSAGE: 50, MODAL: 100, HOME: 100}
CHARTS = 2
TABLE_ROWS, TABLE_COLUMNS, TABLE_CHARACTERS = 101, 20, 20_000
CHART_TITLE, CHART_LABEL, CHART_POINTS, CHART_SERIES = 50, 20, 20, 6
TEXT_LIMIT = 4000
# Slack refuses messages whose blocks are longer than about 13,200 characters of JSON; it does not say so anywhere.
JSON_LIMIT = 12_000
_KINDS = {
    "header": {MESSAGE, MODAL, HOME},
    "section": {MESSAGE, MODAL, HOME},
    "context": {MESSAGE, MODAL, HOME},
    "divider": {MESSAGE, MODAL, HOME},
    "actions": {MESSAGE, MODAL, HOME},
    "rich_text": {MESSAGE, MODAL, HOME},
    "input": {MODAL, HOME},
    "data_table": {MESSAGE, HOME},
    "data_visualization": {MESSAGE, HOME},
}
_ELEMENTS = {"button", "static_select", "overflow", "datepicker"}
_INPUTS = {"plain_text_input", "static_select", "datepicker"}


@dataclass(frozen=True, slots=True)
class Problem:
    """What Slack would refuse: where (JSON pointer), a short code, and why."""

    pointer: str
    code: str
    why: str


Problems = Iterator[Problem]


def problems(blocks: Sequence[Block], surface: str = MESSAGE) -> tuple[Problem, ...]:
    """Everything in these blocks that Slack would refuse on this surface."""
    return tuple(_all(blocks, surface))


def _all(blocks: Sequence[Block], surface: str) -> Problems:
    if len(blocks) > BLOCKS_IN[surface]:
        yield Problem("", "too_many_blocks", f"{len(blocks)} blocks; {BLOCKS_IN[surface]} are allowed")
    if surface == MESSAGE and length(blocks) > JSON_LIMIT:
        yield Problem("", "blocks_too_long", f"{length(blocks)} characters of JSON; {JSON_LIMIT} are safe")
    if sum(b.get("type") == "data_visualization" for b in blocks) > CHARTS:
        yield Problem("", "too_many_charts", f"more than {CHARTS} charts")
    if sum(_characters(b) for b in blocks if b.get("type") == "data_table") > TABLE_CHARACTERS:
        yield Problem("", "tables_too_long", f"more than {TABLE_CHARACTERS} characters in tables")
    seen: set[str] = set()
    for n, block in enumerate(blocks):
        yield from _block(f"/{n}", block, surface)
        name = block.get("block_id")
        if name is not None and (name in seen or not 0 < size(str(name)) <= 255):
            yield Problem(f"/{n}/block_id", "block_id", "block ids are unique and at most 255 characters")
        seen.add(str(name))


def _block(at: str, block: Block, surface: str) -> Problems:
    kind = str(block.get("type"))
    if kind not in _KINDS:
        yield Problem(f"{at}/type", "unknown_block", f"there is no block {kind!r}")
    elif surface not in _KINDS[kind]:
        yield Problem(f"{at}/type", "wrong_surface", f"{kind} does not go into a {surface}")
    elif kind in _CHECKS:
        yield from _CHECKS[kind](at, block)


def _text(at: str, value: object, limit: int, *, markup: bool = False) -> Problems:
    if not isinstance(value, dict) or value.get("type") not in ({"plain_text", "mrkdwn"} if markup else {"plain_text"}):
        yield Problem(at, "text_object", "a plain_text object is needed" + (" (or mrkdwn)" if markup else ""))
    else:
        yield from _string(f"{at}/text", value.get("text"), limit)


def _string(at: str, value: object, limit: int) -> Problems:
    if not isinstance(value, str) or not 0 < size(value) <= limit:
        yield Problem(at, "length", f"a text of 1 to {limit} characters is needed")


def _header(at: str, block: Block) -> Problems:
    yield from _text(f"{at}/text", block.get("text"), 150)


def _section(at: str, block: Block) -> Problems:
    if "text" not in block and "fields" not in block:
        yield Problem(at, "empty", "a section needs a text or fields")
    if "text" in block:
        yield from _text(f"{at}/text", block["text"], 3000, markup=True)
    listed = block.get("fields", [])
    if len(listed) > 10:
        yield Problem(f"{at}/fields", "too_many", "at most 10 fields")
    for n, field in enumerate(listed):
        yield from _text(f"{at}/fields/{n}", field, 2000, markup=True)
    if "accessory" in block:
        yield from _element(f"{at}/accessory", block["accessory"], _ELEMENTS)


def _context(at: str, block: Block) -> Problems:
    elements = block.get("elements", [])
    if not 0 < len(elements) <= 10:
        yield Problem(f"{at}/elements", "count", "1 to 10 elements")
    for n, element in enumerate(elements):
        yield from _text(f"{at}/elements/{n}", element, 2000, markup=True)


def _actions(at: str, block: Block) -> Problems:
    elements = block.get("elements", [])
    if not 0 < len(elements) <= 25:
        yield Problem(f"{at}/elements", "count", "1 to 25 elements")
    names = [e.get("action_id") for e in elements]
    if len(names) != len(set(names)):
        yield Problem(f"{at}/elements", "action_id", "action ids are unique in a block")
    for n, element in enumerate(elements):
        yield from _element(f"{at}/elements/{n}", element, _ELEMENTS)


def _input(at: str, block: Block) -> Problems:
    yield from _text(f"{at}/label", block.get("label"), 2000)
    if "hint" in block:
        yield from _text(f"{at}/hint", block["hint"], 2000)
    yield from _element(f"{at}/element", block.get("element"), _INPUTS)


def _element(at: str, element: object, allowed: set[str]) -> Problems:
    if not isinstance(element, dict) or element.get("type") not in allowed:
        yield Problem(f"{at}/type", "element", f"one of {', '.join(sorted(allowed))} is needed here")
        return
    yield from _string(f"{at}/action_id", element.get("action_id"), 255)
    if element["type"] == "button":
        yield from _button(at, element)
    elif element["type"] in {"static_select", "overflow"}:
        yield from _options(at, element, 5 if element["type"] == "overflow" else 100)


def _button(at: str, element: Block) -> Problems:
    yield from _text(f"{at}/text", element.get("text"), 75)
    if "value" in element:
        yield from _string(f"{at}/value", element["value"], 2000)
    if "url" in element:
        yield from _string(f"{at}/url", element["url"], 3000)
    if element.get("style", "primary") not in {"primary", "danger"}:
        yield Problem(f"{at}/style", "style", "primary or danger")
    if "confirm" in element:
        asked = element["confirm"]
        for name, limit in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
            yield from _text(f"{at}/confirm/{name}", asked.get(name), limit, markup=name == "text")


def _options(at: str, element: Block, most: int) -> Problems:
    options = element.get("options", [])
    if not 0 < len(options) <= most:
        yield Problem(f"{at}/options", "count", f"1 to {most} options")
    if "placeholder" in element:
        yield from _text(f"{at}/placeholder", element["placeholder"], 150)
    for n, option in enumerate(options):
        yield from _text(f"{at}/options/{n}/text", option.get("text"), 75)
        yield from _string(f"{at}/options/{n}/value", option.get("value"), 150)


def _rich(at: str, block: Block) -> Problems:
    elements = block.get("elements", [])
    if not elements:
        yield Problem(f"{at}/elements", "count", "at least one element")
    for n, element in enumerate(elements):
        here = f"{at}/elements/{n}"
        if element.get("type") == "rich_text_list":
            if element.get("style") not in {"bullet", "ordered"}:
                yield Problem(f"{here}/style", "style", "bullet or ordered")
            for m, item in enumerate(element.get("elements", [])):
                yield from _line(f"{here}/elements/{m}", item)
        else:
            yield from _line(here, element)


def _line(at: str, element: Block) -> Problems:
    if element.get("type") not in {"rich_text_section", "rich_text_preformatted", "rich_text_quote"}:
        yield Problem(f"{at}/type", "element", "not a part of rich text")
    parts = element.get("elements", [])
    if not parts:
        yield Problem(f"{at}/elements", "count", "at least one element")
    for n, part in enumerate(parts):
        if part.get("type") != "text":
            yield Problem(f"{at}/elements/{n}/type", "element", "only text is used here")
        yield from _string(f"{at}/elements/{n}/text", part.get("text"), 3000)


def _table(at: str, block: Block) -> Problems:
    rows = block.get("rows", [])
    yield from _string(f"{at}/caption", block.get("caption"), 2000)
    if not 2 <= len(rows) <= TABLE_ROWS:
        yield Problem(f"{at}/rows", "count", f"2 to {TABLE_ROWS} rows, the header included")
    width = len(rows[0]) if rows else 0
    if not 0 < width <= TABLE_COLUMNS or any(len(row) != width for row in rows):
        yield Problem(f"{at}/rows", "columns", f"1 to {TABLE_COLUMNS} columns, the same in each row")
    if not 1 <= block.get("page_size", 5) <= 100:
        yield Problem(f"{at}/page_size", "page_size", "1 to 100")
    for n, row in enumerate(rows):
        for m, cell in enumerate(row):
            yield from _cell(f"{at}/rows/{n}/{m}", cell)


def _cell(at: str, cell: Block) -> Problems:
    yield from _string(f"{at}/text", cell.get("text"), TABLE_CHARACTERS)
    if cell.get("type") == "raw_number":
        yield from _number(f"{at}/value", cell.get("value"))
    elif cell.get("type") != "raw_text":
        yield Problem(f"{at}/type", "cell", "raw_text or raw_number")


def _number(at: str, value: object, *, positive: bool = False) -> Problems:
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
    if not fine or (positive and isinstance(value, (int, float)) and value <= 0):
        yield Problem(at, "number", "a finite number is needed" + (" above 0" if positive else ""))


def _chart(at: str, block: Block) -> Problems:
    chart = block.get("chart", {})
    yield from _string(f"{at}/title", block.get("title"), CHART_TITLE)
    if chart.get("type") == "pie":
        segments = chart.get("segments", [])
        if not 0 < len(segments) <= CHART_SERIES:
            yield Problem(f"{at}/chart/segments", "count", f"1 to {CHART_SERIES} segments")
        yield from _points(f"{at}/chart/segments", segments, positive=True)
    elif chart.get("type") in {"line", "bar", "area"}:
        yield from _series(f"{at}/chart", chart)
    else:
        yield Problem(f"{at}/chart/type", "chart", "pie, line, bar or area")


def _series(at: str, chart: Block) -> Problems:
    series = chart.get("series", [])
    labels = chart.get("axis_config", {}).get("categories", [])
    names = [s.get("name") for s in series]
    if not 0 < len(series) <= CHART_SERIES or len(names) != len(set(names)):
        yield Problem(f"{at}/series", "count", f"1 to {CHART_SERIES} series with different names")
    if not 0 < len(labels) <= CHART_POINTS or len(labels) != len(set(labels)):
        yield Problem(f"{at}/axis_config/categories", "count", f"1 to {CHART_POINTS} different labels")
    for n, one in enumerate(series):
        yield from _string(f"{at}/series/{n}/name", one.get("name"), CHART_LABEL)
        yield from _points(f"{at}/series/{n}/data", one.get("data", []))
        if [p.get("label") for p in one.get("data", [])] != labels:
            yield Problem(f"{at}/series/{n}/data", "labels", "one value for each label")
    for name in ("x_label", "y_label"):
        if name in chart.get("axis_config", {}):
            yield from _string(f"{at}/axis_config/{name}", chart["axis_config"][name], CHART_TITLE)


def _points(at: str, points: Sequence[Block], *, positive: bool = False) -> Problems:
    for n, point in enumerate(points):
        yield from _string(f"{at}/{n}/label", point.get("label"), CHART_LABEL)
        yield from _number(f"{at}/{n}/value", point.get("value"), positive=positive)


_CHECKS: dict[str, Callable[[str, Block], Problems]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "input": _input,
    "rich_text": _rich,
    "data_table": _table,
    "data_visualization": _chart,
}


def length(blocks: Sequence[Block]) -> int:
    """How long the blocks are as JSON."""
    return len(json.dumps(list(blocks), separators=(",", ":"), ensure_ascii=False))


def _characters(table: Block) -> int:
    return sum(size(str(cell.get("text", ""))) for row in table.get("rows", []) for cell in row)


def fit(message: Message) -> tuple[Message, tuple[str, ...]]:
    """The message so that Slack takes it, and what had to be done for it (nothing: an empty tuple).

    In this order: shorten tables, leave charts out, leave tables out, cut the end, and at last the text alone.
    """
    steps: list[str] = []
    shown = replace(message, text=clip(message.text, TEXT_LIMIT) or "-")
    for name, repair in _REPAIRS:
        if not problems(shown.blocks):
            break
        repaired = repair(shown.blocks)
        if repaired != shown.blocks:
            shown = replace(shown, blocks=repaired)
            steps.append(name)
    return shown, tuple(steps)


def text_only(message: Message) -> Message:
    """What remains when Slack refuses the blocks."""
    return replace(message, blocks=())


def _without_broken(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    return tuple(b for b in blocks if not any(_block("", b, MESSAGE)))


def _shorter_tables(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    tables = sum(b["type"] == "data_table" for b in blocks)
    if not tables or length(blocks) <= JSON_LIMIT:
        return blocks
    over = length(blocks) - JSON_LIMIT
    return tuple(_cut(b, over // tables + 200) if b["type"] == "data_table" else b for b in blocks)


def _cut(table: Block, characters: int) -> Block:
    """Take rows off the end until that much is gone; the last line says how many."""
    rows: list[list[dict[str, Any]]] = list(table["rows"])
    gone = 0
    while characters > 0 and len(rows) > 4:
        characters -= length(rows.pop())
        gone += 1
    if gone:
        rest = [{"type": "raw_text", "text": NOTHING} for _ in rows[0][1:]]
        rows.append([{"type": "raw_text", "text": more(gone)}, *rest])
    return table | {"rows": rows}


def _without(kind: str) -> Callable[[tuple[Block, ...]], tuple[Block, ...]]:
    return lambda blocks: tuple(b for b in blocks if b["type"] != kind)


def _only_the_start(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """Cut from the end, but keep the last actions: what can be decided must stay decidable."""
    kept = list(blocks)
    while kept and (len(kept) > BLOCKS_IN[MESSAGE] or length(kept) > JSON_LIMIT):
        spare = [n for n, b in enumerate(kept) if b["type"] != "actions"]
        kept.pop(spare[-1] if spare else -1)
    return tuple(kept)


_REPAIRS: tuple[tuple[str, Callable[[tuple[Block, ...]], tuple[Block, ...]]], ...] = (
    ("without_broken_blocks", _without_broken),
    ("tables_shortened", _shorter_tables),
    ("without_charts", _without("data_visualization")),
    ("without_tables", _without("data_table")),
    ("cut", _only_the_start),
    ("text_only", lambda blocks: ()),
)
