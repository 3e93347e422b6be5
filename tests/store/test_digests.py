"""A digest comes back from the database exactly as it was composed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from tests.conftest import NOW, TENANT
from tools.model.anomaly import Anomaly
from tools.model.digest import Digest
from tools.model.driver import Driver, DriverTree
from tools.model.fact import Chart, Table
from tools.model.forecast import Forecast, ForecastPoint
from tools.model.period import Period
from tools.model.query import Coverage, Receipt
from tools.store import digests
from tools.store.database import Database

DAY = date(2026, 11, 23)
RECEIPT = Receipt("SELECT 1", (("tenant", "default"),), 12, NOW)
DRIVER = Driver((("service_name", "S3"),), "usage", Decimal("62.10"), Decimal("962.1234567890123456"))
ANOMALY = Anomaly(
    "an-1",
    (("provider", "AWS"), ("service_name", "S3")),
    "up",
    date(2026, 11, 17),
    3,
    Decimal("2886.3"),
    Decimal("186.3"),
    "USD",
    Decimal("8.1"),
    "high",
    "open",
    "S3 costs 962 USD a day, usually 62.",
    (DRIVER,),
)
DIGEST = Digest(
    DAY,
    "Yesterday cost 4,812.10 USD.",
    "S3 rose.",
    Decimal("4812.10"),
    None,
    "USD",
    (ANOMALY,),
    DriverTree(
        Period(date(2026, 11, 16), DAY),
        Period(date(2026, 11, 9), date(2026, 11, 16)),
        Decimal(1),
        Decimal(2),
        "USD",
        (DRIVER,),
        Decimal("-0.5"),
        RECEIPT,
    ),
    Forecast(
        (),
        "USD",
        (ForecastPoint(DAY, Decimal(1), Decimal(2), Decimal(3)),),
        Decimal(1),
        Decimal(2),
        Decimal(3),
        "30 days",
    ),
    Table("Movers", ("service", "change"), ("", "money"), (("S3", Decimal("900.02")), ("EC2", None)), "USD"),
    Chart("line", "14 days", ("22 Nov",), (("actual", (Decimal("4812.10"),)),), "money", "USD"),
    ("checkout-workers to spot (ro-1)",),
    Coverage(DAY, Decimal("0.25"), ("Azure is a day late",)),
    RECEIPT,
)


@pytest.mark.stores
def test_it_comes_back_to_the_last_digit(database: Database) -> None:
    """Decimals, dates and nested parts survive; another day or customer has none."""
    with database.begin() as tx:
        assert digests.save(tx, TENANT, DIGEST, now=NOW)
        assert digests.one(tx, TENANT, DAY) == DIGEST
        assert digests.one(tx, TENANT, date(2026, 11, 24)) is None
        assert digests.one(tx, "another customer", DAY) is None


@pytest.mark.stores
def test_saving_the_same_again_is_no_change_and_a_correction_is_one(database: Database) -> None:
    """Only a digest that says something else replaces the first."""
    corrected = replace(DIGEST, spend=Decimal("4900.00"))
    with database.begin() as tx:
        assert digests.save(tx, TENANT, DIGEST, now=NOW)
        assert not digests.save(tx, TENANT, DIGEST, now=NOW)
        assert digests.save(tx, TENANT, corrected, now=NOW)
        assert digests.one(tx, TENANT, DAY) == corrected
