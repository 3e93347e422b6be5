"""Message: what is shown to people, as plain data that any door can carry."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """A message in the thread of another one, posted once per `key`; `broadcast` also shows it in the channel.

    One with `blocks` is a card of its own: it is edited in place when it changes. A sentence stays as it was said.
    """

    key: str
    text: str
    broadcast: bool = False
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """`text` is the whole message for notifications and screen readers (escaped); `blocks` is what is drawn."""

    text: str
    blocks: tuple[Block, ...] = ()
    replies: tuple[Reply, ...] = ()

    @property
    def content_hash(self) -> str:
        """Changes exactly when what people see in the message itself changes."""
        shown = json.dumps([self.text, list(self.blocks)], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()
