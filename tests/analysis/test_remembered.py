"""A question asked again is answered from the cache, exactly as before, until other data is loaded."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.collection.bills import TAG_KEYS, bill, one_process, read
from tests.conftest import TENANT
from tools.analysis.costs import Costs
from tools.analysis.remembered import RememberedCosts
from tools.model.period import Period
from tools.model.query import CostQuery, Granularity, Metric
from tools.store.database import Database

__all__ = ["one_process"]
AUTUMN = Period(date(2026, 9, 1), date(2026, 12, 1))


class Notebook:
    """A memory that counts and never forgets."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.hits = 0

    def get(self, key: str) -> bytes | None:
        found = self.kept.get(key)
        self.hits += found is not None
        return found

    def put(self, key: str, value: bytes) -> None:
        self.kept[key] = value


@pytest.fixture
def memory() -> Notebook:
    return Notebook()


def remembered(database: Database, memory: Notebook, tenant: str = TENANT) -> RememberedCosts:
    return RememberedCosts(database, tenant, TAG_KEYS, 2, memory)


@pytest.mark.usefixtures("one_process")
def test_the_second_answer_is_the_first_to_the_last_digit(database: Database, memory: Notebook, tmp_path: Path) -> None:
    """Every metric and granularity comes out of the cache as it went in, receipt and coverage included."""
    read(database, bill(tmp_path / "a.csv", {"BilledCost": "0.123456789012345678"}, {"ListCost": ""}))
    costs = remembered(database, memory)
    for metric in Metric:
        for granularity in Granularity:
            query = CostQuery(AUTUMN, by=("service_name",), metric=metric, granularity=granularity, limit=3)
            first = costs.table(query)
            assert costs.table(query) == first == Costs(database, TENANT, TAG_KEYS, 2).table(query)
    assert memory.hits == len(Metric) * len(Granularity)


@pytest.mark.usefixtures("one_process")
def test_new_data_and_other_customers_are_never_answered_from_the_old(
    database: Database, memory: Notebook, tmp_path: Path
) -> None:
    """A restated bill counts at once; another customer's question is another question."""
    query = CostQuery(AUTUMN)
    read(database, bill(tmp_path / "a.csv", {"BilledCost": "1"}))
    assert remembered(database, memory).table(query).totals[0][1] == Decimal(1)
    read(database, bill(tmp_path / "a.csv", {"BilledCost": "2"}))
    assert remembered(database, memory).table(query).totals[0][1] == Decimal(2)
    assert remembered(database, memory, "another customer").table(query).rows == ()
    assert memory.hits == 0


@pytest.mark.usefixtures("one_process")
def test_what_cannot_be_read_is_asked_anew(database: Database, memory: Notebook, tmp_path: Path) -> None:
    """A spoiled or foreign entry costs time only."""
    read(database, bill(tmp_path / "a.csv", {"BilledCost": "1"}))
    costs = remembered(database, memory)
    true = costs.table(CostQuery(AUTUMN))
    for key in memory.kept:
        memory.kept[key] = b'{"rows": "none"}'
    assert costs.table(CostQuery(AUTUMN)) == true
