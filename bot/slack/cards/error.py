"""The error card: what happened, whether anything was changed, what to do, and a reference to give to an operator."""

from __future__ import annotations

from bot.shared.message import Message
from bot.slack import elements as e
from bot.slack.words import escape
from tools.model.errors import OptiInfraError

UNKNOWN = "Something went wrong on my side."
UNKNOWN_CHANGED = "Whatever you decided counts only if its card says so."
UNKNOWN_FIX = "Try again in a minute; if it happens again, give the reference to whoever runs this bot."


def message(error: OptiInfraError, reference: str = "") -> Message:
    """A refusal or failure that is known, in its own words."""
    return _drawn(error.what, error.changed, error.fix, reference)


def unknown(reference: str) -> Message:
    """A failure that nobody thought of: nothing of its inside is shown."""
    return _drawn(UNKNOWN, UNKNOWN_CHANGED, UNKNOWN_FIX, reference)


def said(what: str, *, fix: str = "") -> Message:
    """One plain sentence, and what to do."""
    return _drawn(what, "", fix, "")


def _drawn(what: str, changed: str, fix: str, reference: str) -> Message:
    lines = [line for line in (what, changed, fix) if line]
    blocks = [e.section("\n".join(lines))]
    if reference:
        blocks.append(e.context(f"Reference: {reference}"))
    text = " ".join(lines) + (f" Reference: {reference}" if reference else "")
    return Message(escape(text), tuple(blocks))
