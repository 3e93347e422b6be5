"""Tables: gathers every table file, so that migrations see the whole schema."""

from __future__ import annotations

from tools.store import (
    allocation_tables,
    clock_tables,
    coverage_tables,
    delivery_tables,
    fact_tables,
    finding_tables,
    paid_tables,
    resource_tables,
    rollout_tables,
    saving_tables,
)

__all__ = [
    "allocation_tables",
    "clock_tables",
    "coverage_tables",
    "delivery_tables",
    "fact_tables",
    "finding_tables",
    "paid_tables",
    "resource_tables",
    "rollout_tables",
    "saving_tables",
]
