"""Review: what one reviewer says of a change before it is proposed - approve, concern or block, with what it saw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Opinion(StrEnum):
    """A concern is shown to whoever approves; a block means that nothing is proposed."""

    APPROVE = "approve"
    CONCERN = "concern"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Review:
    """One reviewer's word: `why` is a sentence, `evidence` are the facts that it rests on."""

    reviewer: str
    opinion: Opinion
    why: str
    evidence: tuple[str, ...]
    at: datetime
