"""Resource: one thing that exists at a cloud, as inventory saw it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Resource:
    """`kind` is ours ("instance_group", "volume", ...); `attributes` is JSON-ready; `fingerprint` tells drift."""

    provider: str
    account_id: str
    region: str
    kind: str
    id: str
    name: str
    tags: tuple[tuple[str, str], ...]
    attributes: dict[str, object]
    fingerprint: str
    seen_at: datetime

    def tag(self, key: str) -> str:
        return dict(self.tags).get(key, "")
