"""Tables: gathers every table file, so that migrations see the whole schema."""

from __future__ import annotations

from tools.store import (
    clock_tables,
    delivery_tables,
    fact_tables,
    finding_tables,
    resource_tables,
    rollout_tables,
    saving_tables,
)

__all__ = [
    "clock_tables",
    "delivery_tables",
    "fact_tables",
    "finding_tables",
    "resource_tables",
    "rollout_tables",
    "saving_tables",
]
