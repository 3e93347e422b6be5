"""Load: what one reading of cost data did to one account's billing period."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tools.model.charge import Partition


class LoadStatus(StrEnum):
    """What became of it. Nothing stored was touched by UNCHANGED and REFUSED."""

    LOADED = "loaded"
    UNCHANGED = "unchanged"
    REPLACED = "replaced"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what was read. `row` counts records from 1; 0 means the whole file.

    `rejected` tells whether the row was left out because of it; otherwise it was loaded all the same.
    """

    file: str
    row: int
    column: str
    problem: str
    rejected: bool = True


@dataclass(frozen=True, slots=True)
class Totals:
    """Exact sums of one currency. A list or contracted cost is None when a row behind it has none."""

    currency: str
    rows: int
    billed_cost: Decimal
    effective_cost: Decimal
    list_cost: Decimal | None
    contracted_cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Difference:
    """How a restated period differs from what stood there before, in one currency."""

    currency: str
    rows: int
    billed_cost: Decimal
    effective_cost: Decimal


@dataclass(frozen=True, slots=True)
class Check:
    """A law that cost data should obey and does not: `law` names it, `detail` gives the figures.

    It is told, never fatal: partial data may break a law and still be true.
    """

    law: str
    detail: str


@dataclass(frozen=True, slots=True)
class Load:
    """The outcome for one partition. `rows` were loaded (or stand there unchanged), `rejected` were left out.

    `problems` is cut at a limit; `problems_total` counts all. `partition` is None for rejected rows that do not
    say where they belong.
    """

    partition: Partition | None
    status: LoadStatus
    rows: int
    rejected: int
    totals: tuple[Totals, ...] = ()
    differences: tuple[Difference, ...] = ()
    problems: tuple[Problem, ...] = ()
    problems_total: int = 0
    checks: tuple[Check, ...] = ()
    focus_versions: tuple[str, ...] = ()
    loaded_at: datetime | None = None
    reason: str = field(default="")
