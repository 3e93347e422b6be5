"""Blocks as plain text for transcripts: tables aligned, charts as small bars, buttons as [Label]."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.slack.markdown import unescape
from sandbox.slack.workspace import Json

Names = Mapping[str, str]
BAR = 24
STATUS = {"pending": "○", "in_progress": "◐", "complete": "●", "error": "✕"}
_DATE = re.compile(r"<!date\^(\d+)\^[^|>]*(?:\|([^>]*))?>")
_TARGET = re.compile(r"<([@#])([A-Z0-9]+)(?:\|([^>]*))?>")
_LINK = re.compile(r"<((?:https?|mailto):[^|>]+)(?:\|([^>]*))?>")


def plain(text: str, names: Names) -> str:
    """mrkdwn as a person reads it; broadcasts such as <!channel> stay as sent, so that nobody overlooks them."""

    def target(found: re.Match[str]) -> str:
        sign, identifier, label = found.groups()
        return f"{sign}{label or names.get(identifier, identifier)}"

    text = _DATE.sub(lambda found: found.group(2) or found.group(1), text)
    text = _TARGET.sub(target, text)
    text = _LINK.sub(lambda found: f"{found.group(2)} ({found.group(1)})" if found.group(2) else found.group(1), text)
    return unescape(text)


def render(blocks: list[Json], text: str, names: Names) -> str:
    """A message as text: its blocks where it has some, else its text."""
    if not blocks:
        return plain(text, names)
    return "\n".join(part for block in blocks if (part := block_text(block, names)))


def block_text(block: Json, names: Names) -> str:
    """One block as text; an unknown type is shown as such, never hidden."""
    draw = DRAW.get(str(block.get("type")))
    return draw(block, names) if draw else f"[{block.get('type')}]"


def _text(value: Any, names: Names) -> str:
    if isinstance(value, dict):
        return plain(value.get("text", ""), names)
    return plain(str(value), names) if value else ""


def _header(block: Json, names: Names) -> str:
    return f"# {_text(block['text'], names)}"


def _section(block: Json, names: Names) -> str:
    lines = [_text(block["text"], names)] if "text" in block else []
    lines += [f"- {_text(field, names)}" for field in block.get("fields", [])]
    if "accessory" in block:
        lines.append(_element(block["accessory"], names))
    return "\n".join(lines)


def _elements(block: Json, names: Names) -> str:
    return " ".join(_element(element, names) for element in block["elements"])


def _context(block: Json, names: Names) -> str:
    return "· " + " · ".join(_element(element, names) for element in block["elements"])


def _element(element: Json, names: Names) -> str:
    kind = element["type"]
    if kind in ("plain_text", "mrkdwn"):
        return _text(element, names)
    if kind == "image":
        return f"[image: {element['alt_text']}]"
    if kind == "overflow":
        return "[⋯ " + " / ".join(_text(option["text"], names) for option in element["options"]) + "]"
    if kind == "feedback_buttons":
        buttons = (element["positive_button"], element["negative_button"])
        return " ".join(f"[{_text(button['text'], names)}]" for button in buttons)
    if "options" in element or "option_groups" in element:
        groups = element.get("option_groups", [])
        options = [*element.get("options", []), *(option for group in groups for option in group["options"])]
        label = _text(element.get("placeholder"), names) or "Choose"
        return f"[{label} ▾ " + " / ".join(_text(option["text"], names) for option in options) + "]"
    label = _text(element.get("text"), names) or _text(element.get("placeholder"), names) or kind
    return f"[{label}]"


def _input(block: Json, names: Names) -> str:
    optional = " (optional)" if block.get("optional") else ""
    return f"{_text(block['label'], names)}{optional}: {_element(block['element'], names)}"


def _rich(block: Json, names: Names) -> str:
    return "\n".join(_rich_part(part, names) for part in block["elements"])


def _rich_part(part: Json, names: Names) -> str:
    if part["type"] == "rich_text_list":
        marks = [f"{i}." if part["style"] == "ordered" else "•" for i in range(1, len(part["elements"]) + 1)]
        rows = zip(marks, part["elements"], strict=True)
        return "\n".join(f"{'  ' * part.get('indent', 0)}{mark} {_rich_part(row, names)}" for mark, row in rows)
    inside = "".join(_inline(element, names) for element in part["elements"])
    return f"> {inside}" if part["type"] == "rich_text_quote" else inside


def _inline(element: Json, names: Names) -> str:
    kind = element["type"]
    if kind == "text":
        return str(element["text"])
    if kind == "link":
        return str(element.get("text") or element["url"])
    if kind in ("user", "usergroup"):
        identifier = element[f"{kind}_id"]
        return f"@{names.get(identifier, identifier)}"
    if kind == "channel":
        return f"#{names.get(element['channel_id'], element['channel_id'])}"
    if kind == "broadcast":
        return f"<!{element['range']}>"
    return str(element.get("fallback") or element.get("name") or element.get("value", ""))


def cell_text(cell: Json, names: Names) -> str:
    return _rich(cell, names) if cell["type"] == "rich_text" else str(cell["text"])


def _table(block: Json, names: Names) -> str:
    rows = [[cell_text(cell, names) for cell in row] for row in block["rows"]]
    numeric = [all(row[i]["type"] == "raw_number" for row in block["rows"][1:]) for i in range(len(rows[0]))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(row: list[str]) -> str:
        cells = zip(row, widths, numeric, strict=True)
        return "  ".join(c.rjust(w) if right else c.ljust(w) for c, w, right in cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    caption = [str(block["caption"])] if block.get("caption") else []
    return "\n".join([*caption, line(rows[0]), rule, *(line(row) for row in rows[1:])])


def _chart(block: Json, _names: Names) -> str:
    chart = block["chart"]
    if chart["type"] == "pie":
        return "\n".join([f"{block['title']} (pie)", *_bars(chart["segments"])])
    lines = [f"{block['title']} ({chart['type']})"]
    for series in chart["series"]:
        lines += [series["name"], *_bars(series["data"])]
    return "\n".join(lines)


def _bars(points: list[Json]) -> list[str]:
    width = max((len(point["label"]) for point in points), default=0)
    most = max((abs(point["value"]) for point in points), default=0) or 1
    return [
        f"  {p['label'].ljust(width)} {'█' * max(1 if p['value'] else 0, round(abs(p['value']) / most * BAR))} {p['value']:g}"
        for p in points
    ]


def _task(block: Json, names: Names) -> str:
    lines = [f"{STATUS.get(block.get('status', 'pending'), '○')} {block['title']}"]
    for name in ("details", "output"):
        if block.get(name):
            lines += [f"    {line}" for line in _rich(block[name], names).splitlines()]
    return "\n".join(lines)


def _plan(block: Json, names: Names) -> str:
    lines = [line for task in block.get("tasks", []) for line in _task(task, names).splitlines()]
    return "\n".join([block["title"], *(f"  {line}" for line in lines)])


def _card(block: Json, names: Names) -> str:
    lines = [f"┌ {_text(block.get('title'), names)}".rstrip()]
    lines += [f"│ {_text(block[name], names)}" for name in ("subtitle", "body") if block.get(name)]
    if block.get("actions"):
        lines.append("│ " + " ".join(_element(element, names) for element in block["actions"]))
    return "\n".join(lines)


def _container(block: Json, names: Names) -> str:
    title = _text(block.get("title"), names) or _rich(block["rich_text_title"], names)
    inside = "\n".join(block_text(child, names) for child in block["child_blocks"])
    return "\n".join([title, *(f"  {line}" for line in inside.splitlines())])


DRAW: dict[str, Callable[[Json, Names], str]] = {
    "header": _header,
    "section": _section,
    "divider": lambda _block, _names: "─" * 40,
    "context": _context,
    "actions": _elements,
    "context_actions": _elements,
    "input": _input,
    "image": lambda block, _names: f"[image: {block['alt_text']}]",
    "file": lambda block, _names: f"[file: {block['external_id']}]",
    "markdown": lambda block, names: plain(block["text"], names),
    "rich_text": _rich,
    "table": _table,
    "data_table": _table,
    "data_visualization": _chart,
    "task_card": _task,
    "plan": _plan,
    "alert": lambda block, names: f"! {_text(block['text'], names)}",
    "card": _card,
    "carousel": lambda block, names: "\n".join(_card(card, names) for card in block["elements"]),
    "container": _container,
}
