"""Remembered costs: the same question asked again shortly after is answered from a cache, until new data is loaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from tools.analysis.costs import Costs
from tools.model.query import CostQuery, CostTable

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Memory(Protocol):
    """Keeps small values for a short time, and may forget any of them."""

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, value: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class RememberedCosts(Costs):
    """Costs whose tables are kept under customer, load version and question: a new load is a new key."""

    memory: Memory

    def table(self, query: CostQuery) -> CostTable:
        key = self._key(query)
        kept = self.memory.get(key)
        known = _read(kept) if kept is not None else None
        if known is not None and known.query == query:
            return known
        table = Costs.table(self, query)
        self.memory.put(key, _codec().dump_json(table))
        return table

    def _key(self, query: CostQuery) -> str:
        asked = repr((self.tenant, self.version(), self.tag_keys, self.provisional_days, query))
        return "costs:" + hashlib.sha256(asked.encode()).hexdigest()


@lru_cache(maxsize=1)
def _codec() -> TypeAdapter[CostTable]:
    from pydantic import TypeAdapter

    return TypeAdapter(CostTable)


def _read(kept: bytes) -> CostTable | None:
    """What was kept, or None when it cannot be read: a cache is shared, and another version may have written it."""
    from pydantic import ValidationError

    try:
        return _codec().validate_json(kept)
    except ValidationError:
        return None
