"""Elements: builds Block Kit's parts; text from data or people goes in as plain text, clipped to what Slack takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.shared.message import Block
from bot.slack.words import clean, clip

NOTHING = "-"


def plain(text: str, limit: int) -> Block:
    """Text that is shown literally."""
    return {"type": "plain_text", "text": clip(text, limit).strip() or NOTHING, "emoji": False}


def marked(markup: str, limit: int = 3000) -> Block:
    """Markup of our own making: never hand data or people's text to this without `escape`."""
    return {"type": "mrkdwn", "text": clip(markup, limit) or NOTHING, "verbatim": True}


def header(text: str) -> Block:
    return {"type": "header", "text": plain(text.replace("\n", " "), 150)}


def section(text: str) -> Block:
    return {"type": "section", "text": plain(text, 3000)}


def context(*parts: str) -> Block:
    """Small print, shown literally."""
    return {"type": "context", "elements": [plain(part, 2000) for part in parts if part.strip()][:10] or [plain("", 9)]}


def small_print(markup: str) -> Block:
    """Small print with markup of our own making (moments, links)."""
    return {"type": "context", "elements": [marked(markup, 2000)]}


def divider() -> Block:
    return {"type": "divider"}


def fields(pairs: Sequence[tuple[str, str]]) -> Block:
    """Up to ten labelled values, as label: value lines that no markup can come out of."""
    return rich([line for label, value in pairs[:10] for line in labelled(label, value)])


def rich(elements: list[Block]) -> Block:
    return {"type": "rich_text", "elements": elements}


def labelled(label: str, value: str) -> list[Block]:
    """One line: the label in bold, then the value."""
    words = [said(f"{clip(label, 100)}: ", bold=True), said(clip(value, 600) or NOTHING)]
    return [{"type": "rich_text_section", "elements": words}]


def heading(text: str) -> Block:
    """A line in bold."""
    return {"type": "rich_text_section", "elements": [said(text, bold=True)]}


def line(text: str) -> Block:
    """A line of plain words."""
    return {"type": "rich_text_section", "elements": [said(text)]}


def said(text: str, *, bold: bool = False) -> Block:
    element: Block = {"type": "text", "text": clip(text, 3000) if len(text) > 3000 else clean(text) or NOTHING}
    return element | {"style": {"bold": True}} if bold else element


def bullets(lines: Iterable[str], *, most: int = 12) -> Block:
    """A list; what is too long for it is counted at its end."""
    wanted = [clip(line, 400) for line in lines]
    shown = wanted[:most] + ([more(len(wanted) - most)] if len(wanted) > most else [])
    items = [{"type": "rich_text_section", "elements": [said(line)]} for line in shown]
    return {"type": "rich_text_list", "style": "bullet", "elements": items}


def code(text: str, limit: int = 2800) -> Block:
    """Preformatted text, literally."""
    return {"type": "rich_text_preformatted", "elements": [said(clip(text, limit))]}


def more(count: int) -> str:
    return f"… +{count} more"


def button(text: str, action: str, value: str, *, style: str = "", confirm: Block | None = None) -> Block:
    """A button; `value` is what comes back when it is pressed."""
    made: Block = {"type": "button", "text": plain(text, 75), "action_id": action, "value": value}
    if style:
        made["style"] = style
    if confirm is not None:
        made["confirm"] = confirm
    return made


def confirm(title: str, text: str, yes: str, no: str) -> Block:
    """The question that Slack asks before a button counts."""
    return {
        "title": plain(title, 100),
        "text": plain(text, 300),
        "confirm": plain(yes, 30),
        "deny": plain(no, 30),
    }


def select(placeholder: str, action: str, options: Sequence[tuple[str, str]]) -> Block:
    """A menu of (text, value) choices."""
    made = [{"text": plain(text, 75), "value": value} for text, value in options[:100]]
    return {
        "type": "static_select",
        "action_id": action,
        "placeholder": plain(placeholder, 150),
        "options": made,
    }


def actions(*elements: Block) -> Block:
    return {"type": "actions", "elements": list(elements)[:25]}


def text_input(label: str, name: str, *, hint: str = "", least: int = 0, most: int = 500) -> Block:
    """A required text field of a modal; its value is found under block `name`, action "value"."""
    element: Block = {
        "type": "plain_text_input",
        "action_id": "value",
        "multiline": True,
        "max_length": most,
    }
    if least:
        element["min_length"] = least
    made: Block = {"type": "input", "block_id": name, "label": plain(label, 2000), "element": element}
    return made | {"hint": plain(hint, 2000)} if hint else made


def modal(title: str, callback: str, blocks: Sequence[Block], *, submit: str = "", note: str = "") -> Block:
    """A modal view; `note` comes back with its submission."""
    view: Block = {
        "type": "modal",
        "title": plain(title, 24),
        "close": plain("Close" if not submit else "Cancel", 24),
        "callback_id": callback,
        "blocks": list(blocks)[:100],
    }
    if submit:
        view["submit"] = plain(submit, 24)
    if note:
        view["private_metadata"] = note
    return view
