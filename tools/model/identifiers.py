"""Identifiers: short random ids with a prefix that says what they name."""

from __future__ import annotations

import uuid
from collections.abc import Callable

NewId = Callable[[str], str]


def random_id(prefix: str) -> str:
    """A new id, 'ro-1a2b3c4d5e6f': 48 random bits behind the prefix."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"
