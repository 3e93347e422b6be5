"""Rejects what Slack rejects: blocks, messages and views against the documented types, limits and surfaces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sandbox.slack import elements as el
from sandbox.slack.rules import (
    Problem,
    Report,
    Rule,
    any_field,
    anything,
    array,
    boolean,
    both,
    integer,
    may,
    need,
    number,
    one_of,
    plain,
    record,
    string,
    text,
    typed,
)
from sandbox.slack.workspace import Json, elements_of

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
STREAM_BLOCKS = 50
MESSAGE_TEXT = 40_000
UPDATE_TEXT = 4_000
MARKDOWN_SUM = 12_000
BLOCKS_JSON = 13_200
CHARTS_PER_MESSAGE = 2
TABLE_TEXT = 20_000
VIEW_JSON = 250_000

MESSAGE, MODAL, HOME = "message", "modal", "home"
SURFACES = {
    "alert": (MODAL,),
    "data_table": (MESSAGE, HOME),
    "data_visualization": (MESSAGE, HOME),
    "table": (MESSAGE, HOME),
    "container": (MESSAGE, HOME),
    "carousel": (MESSAGE, HOME),
    "markdown": (MESSAGE,),
    "plan": (MESSAGE,),
    "task_card": (MESSAGE,),
    "context_actions": (MESSAGE,),
    "file": (MESSAGE,),
}

BLOCK_ID = {"block_id": may(string(255))}
CARD_TEXT = may(text(150))


def _same_width(report: Report, pointer: str, value: Any) -> None:
    widths = {len(row) for row in value if isinstance(row, list)} if isinstance(value, list) else set()
    if len(widths) > 1:
        report.add(pointer, "invalid_value", "all rows must have the same number of cells")


def _plain_header(report: Report, pointer: str, value: Any) -> None:
    header = value[0] if isinstance(value, list) and value and isinstance(value[0], list) else []
    for index, cell in enumerate(header):
        if isinstance(cell, dict) and cell.get("type") == "rich_text":
            report.add(f"{pointer}/0/{index}/type", "invalid_value", "rich_text cannot be used for header cells")


def _table_text(report: Report, pointer: str, value: Any) -> None:
    total = sum(len(found) for found in _strings(value))
    if total > TABLE_TEXT:
        report.add(pointer, "too_long", f"no more than {TABLE_TEXT} characters in all cells", max_length=TABLE_TEXT)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, entry in value.items():
            if name == "text" and isinstance(entry, str):
                yield entry
            else:
                yield from _strings(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _strings(entry)


CELL = typed(
    {
        "raw_text": record({"text": need(string())}),
        "raw_number": record({"value": need(number), "text": need(string())}),
        "rich_text": el.RICH_TEXT,
    },
    "cell",
)


def _row_header_exists(report: Report, pointer: str, value: Any) -> None:
    rows = value.get("rows") or [[]]
    width = len(rows[0]) if isinstance(rows, list) and isinstance(rows[0], list) else 0
    index = value.get("row_header_column_index", 0)
    if isinstance(index, int) and width and index >= width:
        report.add(f"{pointer}/row_header_column_index", "out_of_range", "must be the index of a column")


POINT = record({"label": need(string(20)), "value": need(number)})
SERIES = record({"name": need(string(20)), "data": need(array(POINT, 1, 20))})
AXIS = record({"categories": need(array(string(20), 1, 20)), "x_label": may(string(50)), "y_label": may(string(50))})


def _series_fit(report: Report, pointer: str, value: Any) -> None:
    series = [entry for entry in value.get("series") or [] if isinstance(entry, dict)]
    names = [str(entry.get("name")) for entry in series]
    if len(names) != len(set(names)):
        report.add(f"{pointer}/series", "duplicate_value", "series names must be unique")
    axis = value.get("axis_config")
    categories = axis.get("categories") if isinstance(axis, dict) else None
    for index, entry in enumerate(series):
        labels = [point.get("label") for point in entry.get("data") or [] if isinstance(point, dict)]
        if isinstance(categories, list) and labels != categories:
            where = f"{pointer}/series/{index}/data"
            report.add(where, "invalid_value", "labels must match axis_config.categories")


def _positive_sum(report: Report, pointer: str, value: Any) -> None:
    for index, segment in enumerate(value.get("segments") or []):
        amount = segment.get("value") if isinstance(segment, dict) else None
        if isinstance(amount, int | float) and amount <= 0:
            report.add(f"{pointer}/segments/{index}/value", "out_of_range", "must be more than 0")


_XY = both(record({"series": need(array(SERIES, 1, 6)), "axis_config": need(AXIS)}), _series_fit)
CHART = typed(
    {
        "pie": both(record({"segments": need(array(POINT, 1, 6))}), _positive_sum),
        "bar": _XY,
        "area": _XY,
        "line": _XY,
    },
    "chart",
)

TASK = {
    "task_id": need(string(255)),
    "title": need(string(256)),
    "status": may(one_of("pending", "in_progress", "complete", "error")),
    "details": may(el.RICH_TEXT),
    "output": may(el.RICH_TEXT),
    "sources": may(array(record({"url": need(el.URL), "text": need(string())}, kind="url"))),
}
TASK_CARD = record(BLOCK_ID | TASK, kind="task_card")
CARD = both(
    record(
        BLOCK_ID
        | {
            "hero_image": may(el.IMAGE),
            "icon": may(el.IMAGE),
            "title": CARD_TEXT,
            "subtitle": CARD_TEXT,
            "body": may(text(200)),
            "actions": may(array(el.elements(el.IN_CARD, "card action"), 1, 3)),
        },
        kind="card",
    ),
    any_field("hero_image", "title", "actions", "body"),
)


def _child(report: Report, pointer: str, value: Any) -> None:
    inside = {name: rule for name, rule in BLOCKS.items() if name not in ("container", "input")}
    typed(inside, "block")(report, pointer, value)


BLOCKS: dict[str, Rule] = {
    "section": both(
        record(
            BLOCK_ID
            | {
                "text": may(text(3000)),
                "fields": may(array(text(2000), 1, 10)),
                "accessory": may(el.elements(el.IN_SECTION, "section accessory")),
                "expand": may(boolean),
            }
        ),
        any_field("text", "fields"),
    ),
    "divider": record(BLOCK_ID),
    "header": record(BLOCK_ID | {"text": need(plain(150)), "level": may(integer(1, 4))}),
    "image": both(
        record(
            BLOCK_ID
            | {
                "image_url": may(el.URL),
                "slack_file": may(el.SLACK_FILE),
                "alt_text": need(string(2000)),
                "title": may(plain(2000)),
            }
        ),
        any_field("image_url", "slack_file"),
    ),
    "actions": record(BLOCK_ID | {"elements": need(array(el.elements(el.IN_ACTIONS, "action element"), 1, 25))}),
    "context": record(BLOCK_ID | {"elements": need(array(el.elements(el.IN_CONTEXT, "context element"), 1, 10))}),
    "context_actions": record(
        BLOCK_ID | {"elements": need(array(el.elements(el.IN_CONTEXT_ACTIONS, "context action"), 1, 5))}
    ),
    "input": record(
        BLOCK_ID
        | {
            "label": need(plain(2000)),
            "element": need(el.elements(el.IN_INPUT, "input element")),
            "hint": may(plain(2000)),
            "optional": may(boolean),
            "dispatch_action": may(boolean),
        }
    ),
    "file": record(BLOCK_ID | {"external_id": need(string()), "source": need(one_of("remote"))}),
    "markdown": record(BLOCK_ID | {"text": need(string(12_000))}),
    "rich_text": el.RICH_TEXT,
    "table": record(
        BLOCK_ID
        | {
            "rows": need(both(array(array(CELL, 1, 20), 1, 100), _same_width, _table_text)),
            "column_settings": may(array(anything, 0, 20)),
        }
    ),
    "data_table": both(
        record(
            BLOCK_ID
            | {
                "caption": need(string()),
                "rows": need(both(array(array(CELL, 1, 20), 2, 101), _same_width, _plain_header, _table_text)),
                "page_size": may(integer(1, 100)),
                "row_header_column_index": may(integer(0, 19)),
            }
        ),
        _row_header_exists,
    ),
    "data_visualization": record(BLOCK_ID | {"title": need(string(50)), "chart": need(CHART)}),
    "task_card": TASK_CARD,
    "plan": record(BLOCK_ID | {"title": need(string(256)), "tasks": may(array(TASK_CARD, 0, 50))}),
    "alert": record(
        BLOCK_ID | {"text": need(text(200)), "level": may(one_of("default", "info", "warning", "error", "success"))}
    ),
    "card": CARD,
    "carousel": record(BLOCK_ID | {"elements": need(array(CARD, 1, 10))}),
    "container": both(
        record(
            BLOCK_ID
            | {
                "title": may(plain(150)),
                "rich_text_title": may(el.RICH_TEXT),
                "subtitle": may(text(150)),
                "child_blocks": need(array(_child, 1, 10)),
                "width": may(one_of("narrow", "standard", "wide", "full")),
                "icon": may(el.IMAGE),
                "is_collapsible": may(boolean),
                "default_collapsed": may(boolean),
                "has_header_divider": may(boolean),
            }
        ),
        any_field("title", "rich_text_title"),
    ),
}
BLOCK = typed(BLOCKS, "block")


def check_blocks(blocks: Any, surface: str, *, pointer: str = "/blocks", most: int | None = None) -> list[Problem]:
    """Every problem of a list of blocks on one surface; an empty list means that Slack would take it."""
    report = Report(surface)
    limit = most or (MESSAGE_BLOCKS if surface == MESSAGE else VIEW_BLOCKS)
    array(BLOCK, 0 if surface != MODAL else 1, limit)(report, pointer, blocks)
    known = [(i, b) for i, b in enumerate(blocks) if isinstance(b, dict)] if isinstance(blocks, list) else []
    for index, block in known:
        _check_surface(report, f"{pointer}/{index}", block)
        _check_action_ids(report, f"{pointer}/{index}", block)
    _check_block_ids(report, pointer, known)
    if surface == MESSAGE:
        _check_sums(report, pointer, [block for _, block in known])
    return report.problems


def _check_surface(report: Report, pointer: str, block: Json) -> None:
    kind = str(block.get("type"))
    if report.surface not in SURFACES.get(kind, (report.surface,)):
        report.add(pointer, "unsupported_surface", f"{kind} is not supported in a {report.surface}")
    for name in ("child_blocks", "elements"):
        for index, child in enumerate(block.get(name) or []):
            if kind in ("container", "carousel") and isinstance(child, dict):
                _check_surface(report, f"{pointer}/{name}/{index}", child)


def _check_action_ids(report: Report, pointer: str, block: Json) -> None:
    try:
        ids = [e["action_id"] for e in elements_of(block) if isinstance(e, dict) and "action_id" in e]
    except (KeyError, TypeError, AttributeError):
        return  # malformed blocks have been reported already
    if len(ids) != len(set(map(str, ids))):
        report.add(pointer, "duplicate_action_id", "`action_id` must be unique within a block")


def _check_block_ids(report: Report, pointer: str, known: list[tuple[int, Json]]) -> None:
    seen: set[str] = set()
    for index, block in known:
        block_id = block.get("block_id")
        if isinstance(block_id, str) and block_id in seen:
            report.add(f"{pointer}/{index}/block_id", "duplicate_block_id", "`block_id` must be unique")
        seen.add(str(block_id)) if block_id is not None else None


def _check_sums(report: Report, pointer: str, blocks: list[Json]) -> None:
    flat = [*blocks, *(child for b in blocks if b.get("type") == "container" for child in b.get("child_blocks") or [])]
    charts = [b for b in flat if isinstance(b, dict) and b.get("type") == "data_visualization"]
    if len(charts) > CHARTS_PER_MESSAGE:
        message = f"no more than {CHARTS_PER_MESSAGE} data_visualization blocks allowed in a message"
        report.add(pointer, "too_many_items", message, max_items=CHARTS_PER_MESSAGE)
    markdown = [b.get("text") for b in flat if isinstance(b, dict) and b.get("type") == "markdown"]
    if sum(len(found) for found in markdown if isinstance(found, str)) > MARKDOWN_SUM:
        report.add(pointer, "too_long", f"markdown blocks of one message must not exceed {MARKDOWN_SUM} characters")


def blocks_too_long(blocks: list[Json]) -> bool:
    """Slack's undocumented cap on the whole list of a message's blocks."""
    return len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) > BLOCKS_JSON


_VIEW = {
    "blocks": need(anything),
    "private_metadata": may(string(3000, minimum=0)),
    "callback_id": may(string(255, minimum=0)),
    "external_id": may(string(255, minimum=0)),
}
_MODAL = record(
    _VIEW
    | {
        "title": need(plain(24)),
        "submit": may(plain(24)),
        "close": may(plain(24)),
        "clear_on_close": may(boolean),
        "notify_on_close": may(boolean),
        "submit_disabled": may(boolean),
    }
)
_HOME = record(_VIEW)


def check_view(view: Any, *, pointer: str = "/view") -> list[Problem]:
    """Every problem of a modal or a Home tab."""
    if not isinstance(view, dict) or view.get("type") not in (MODAL, HOME):
        return [Problem(f"{pointer}/type", "invalid_value", "must be modal or home")]
    report = Report(str(view["type"]))
    (_MODAL if view["type"] == MODAL else _HOME)(report, pointer, view)
    blocks = view.get("blocks")
    has_input = isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "input" for b in blocks)
    if view["type"] == MODAL and has_input and "submit" not in view:
        report.add(pointer, "missing_field", "submit is required when there is an input block", field="submit")
    return [*report.problems, *check_blocks(blocks, report.surface, pointer=f"{pointer}/blocks")]
