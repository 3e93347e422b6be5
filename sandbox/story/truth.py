"""The planted truth, told beside the files: what a good answer would say, to the last digit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from sandbox import inventory as have
from sandbox import organisation as org
from sandbox.story import aws_services, columns, other_lines
from sandbox.story.amounts import LATE_DAYS, Calendar, charges, late, quantities
from sandbox.story.events import MAIN, Event
from sandbox.story.lines import Kind, Line, amount

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOURS_PER_MONTH = 730
DAYS_PER_MONTH = Decimal(HOURS_PER_MONTH) / 24
# What interruptions cost: work done twice, and hours on demand while no spot capacity is to be had.
SPOT_OVERHEAD = {"low": Decimal("0.12"), "expected": Decimal("0.05"), "high": Decimal(0)}
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Story:
    """Everything a story is made from."""

    seed: int
    calendar: Calendar
    lines: tuple[Line, ...]
    planted: tuple[Event, ...]


def text(value: Decimal | int) -> str:
    """A decimal number without exponent and without trailing zeros."""
    number = Decimal(value)
    shown = format(number, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def tell(story: Story, database: duckdb.DuckDBPyConnection) -> dict[str, object]:
    """The whole truth but for the files and restatements, JSON-ready; amounts are decimal strings in USD."""
    calendar = story.calendar
    yesterday = calendar.today - timedelta(days=1)
    return {
        "organisation": org.NAME,
        # How the bills themselves call the providers.
        "provider_names": {name: columns.provider_name(name) for name in ("aws", "gcp", "azure", "vultr")},
        "seed": story.seed,
        "today": calendar.today.isoformat(),
        "anchor": calendar.anchor.isoformat(),
        "months": calendar.length,
        "currency": "USD",
        "first_day": calendar.first.isoformat(),
        "last_day": yesterday.isoformat(),
        # Half-open: from this day on, bills are incomplete.
        "complete_to": (calendar.today - timedelta(days=LATE_DAYS)).isoformat(),
        "totals": _grouped(database, "provider"),
        "services": _grouped(database, "provider", "service_name"),
        "accounts": _grouped(database, "provider", "sub_account_id", "sub_account_name"),
        "teams": _teams(database),
        "anomalies": [anomaly(story, event) for event in story.planted],
        "late": _late(story),
        "waste": waste(),
        "spot": [spot(fleet) for fleet in org.FLEETS],
        "commitments": _commitments(database),
        "credits": _credits(database),
    }


def _grouped(database: duckdb.DuckDBPyConnection, *keys: str) -> list[dict[str, str]]:
    """Billed and effective cost per billing period and `keys`."""
    names = ", ".join(keys)
    found = database.execute(
        f"SELECT {names}, strftime(period_start, '%Y-%m'), plain(sum(billed)), plain(sum(effective)), count(*)"  # noqa: S608 - our own column names
        " FROM charge GROUP BY ALL"
    ).fetchall()
    columns = (*keys, "period", "billed_cost", "effective_cost", "rows")
    return [dict(zip(columns, row, strict=True)) for row in sorted(found, key=lambda row: row[: len(keys) + 1])]


def _teams(database: duckdb.DuckDBPyConnection) -> list[dict[str, str]]:
    """Billed cost per team tag and billing period; an empty team is cost without the tag."""
    found = database.execute(
        'SELECT coalesce(regexp_extract(lower(tags_json), \'"team": "([^"]*)"\', 1), \'\'),'
        " strftime(period_start, '%Y-%m'), plain(sum(billed)), plain(sum(effective)) FROM charge GROUP BY ALL ORDER BY 1, 2"
    ).fetchall()
    return [dict(zip(("team", "period", "billed_cost", "effective_cost"), row, strict=True)) for row in found]


def _effective(story: Story, line: Line, units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Effective cost per day of the calendar, in 10^-13 USD."""
    rows = charges(0, line, story.calendar, units)
    per_day = np.zeros(len(story.calendar.ordinals), dtype=np.int64)
    per_day[rows.day - story.calendar.ordinals[0]] = rows.effective
    return per_day


def anomaly(story: Story, event: Event) -> dict[str, object]:
    """One planted event: its series, its days with actual and expected cost of the lines it touched, its cause."""
    calendar = story.calendar
    actual = np.zeros(len(calendar.ordinals), dtype=np.int64)
    expected = actual.copy()
    for line in story.lines:
        if event.matches(line):
            units = late(line, calendar, quantities(line, calendar, story.seed, story.planted), story.seed)
            without = quantities(line, calendar, story.seed, story.planted, ordinary=True)
            actual += _effective(story, line, units)
            expected += _effective(story, line, without)
    end = event.last if event.last is not None else 10**6
    touched = (calendar.relative >= event.start) & (calendar.relative <= end) & ((actual != expected) | (expected > 0))
    complete = calendar.ordinals < calendar.today.toordinal() - LATE_DAYS
    days = [_day(calendar, int(i), actual, expected, bool(complete[i])) for i in np.flatnonzero(touched)]
    changed = [day for day in days if day["complete"] and day["extra"] != "0"]
    prefix = "/subscriptions/" if event.provider == "azure" else ""
    return {
        "id": event.id,
        "headline": event.id == MAIN,
        "kind": event.kind,
        "direction": event.direction,
        "series": {
            "provider": event.provider,
            "sub_account_id": prefix + event.account,
            "sub_account_name": org.account_name(event.account),
            "service_name": event.service,
        },
        "region_id": event.region,
        "where": dict(event.where),
        "start": (calendar.anchor + timedelta(days=event.start)).isoformat(),
        "last": (calendar.anchor + timedelta(days=event.last)).isoformat() if event.last is not None else None,
        "days": len(changed),
        "extra": text(sum((Decimal(str(day["extra"])) for day in changed), Decimal(0))),
        "per_day": days,
        "cause": event.cause,
    }


def _day(
    calendar: Calendar, index: int, actual: NDArray[np.int64], expected: NDArray[np.int64], complete: bool
) -> dict[str, object]:
    return {
        "day": date.fromordinal(int(calendar.ordinals[index])).isoformat(),
        "actual": text(amount(actual[index])),
        "expected": text(amount(expected[index])),
        "extra": text(amount(actual[index] - expected[index])),
        "complete": complete,
    }


def _late(story: Story) -> list[dict[str, object]]:
    """What of the last days has not arrived yet."""
    calendar = story.calendar
    missing = {day: [0, 0] for day in calendar.ordinals[-LATE_DAYS:]}
    for line in story.lines:
        if line.kind is not Kind.USAGE:
            continue
        units = quantities(line, calendar, story.seed, story.planted)
        known = late(line, calendar, units, story.seed)
        gone = _effective(story, line, units) - _effective(story, line, known)
        for offset in range(1, LATE_DAYS + 1):
            missing[calendar.ordinals[-offset]][0] += bool(units[-offset]) and not known[-offset]
            missing[calendar.ordinals[-offset]][1] += int(gone[-offset])
    return [
        {"day": date.fromordinal(int(day)).isoformat(), "rows_missing": rows, "billed_missing": text(amount(units))}
        for day, (rows, units) in missing.items()
    ]


def waste() -> list[dict[str, object]]:
    """Things nobody uses: what they are, where, and their list price per month."""
    host = have.IDLE_HOST
    idle_addresses = [a for a in have.ADDRESSES if not a.attached]
    old = [s for s in have.SNAPSHOTS if s.age_days > have.OLD_SNAPSHOT_DAYS]
    forgotten = [b for b in have.LOAD_BALANCERS if not b.targets]
    idle_at_vultr = [line for line in other_lines.vultr_lines() if line.resource_name in other_lines.VULTR_WASTE]
    return [
        *(_wasted("unattached_volume", v.account_id, v.id, v.name, v.monthly_cost) for v in have.UNATTACHED_VOLUMES),
        *(_wasted("old_snapshot", s.account_id, s.id, s.name, s.monthly_cost) for s in old),
        *(_wasted("idle_address", a.account_id, a.id, a.name, a.monthly_cost) for a in idle_addresses),
        *(
            _wasted("idle_load_balancer", b.account_id, b.arn, b.name, have.LOAD_BALANCER_PRICE * HOURS_PER_MONTH)
            for b in forgotten
        ),
        _wasted(
            "idle_instance", host.account_id, host.id, host.name, have.ON_DEMAND[host.instance_type] * HOURS_PER_MONTH
        ),
        *(
            _wasted("idle", v.account, v.resource_id, v.resource_name, v.price * v.quantity * DAYS_PER_MONTH, "vultr")
            for v in idle_at_vultr
        ),
    ]


def _wasted(
    kind: str, account: str, resource: str, name: str, monthly: Decimal, provider: str = "aws"
) -> dict[str, object]:
    return {
        "kind": kind,
        "provider": provider,
        "account_id": account,
        "id": resource,
        "name": name,
        "monthly_cost": text(monthly.quantize(_CENT)),
    }


def spot(fleet: org.Fleet) -> dict[str, object]:
    """What moving a fleet's on-demand instances to spot would honestly save a month, and whether it may be done."""
    on_demand = have.on_demand_count(fleet.size, fleet.on_demand_percent)
    paid = have.ON_DEMAND[fleet.instance_type] * (1 - aws_services.DISCOUNT)
    prices = [have.spot_price(fleet.instance_type, zone) for zone in have.ZONES]
    market = sum(prices, Decimal(0)) / len(prices)
    saving = {
        name: text(
            ((paid - market) * on_demand * HOURS_PER_MONTH - paid * on_demand * HOURS_PER_MONTH * share).quantize(_CENT)
        )
        for name, share in SPOT_OVERHEAD.items()
    }
    return {
        "fleet": fleet.name,
        "service": fleet.service,
        "account_id": fleet.account_id,
        "region": fleet.region,
        "instance_type": fleet.instance_type,
        "size": fleet.size,
        "on_demand": on_demand,
        "candidate": fleet.stateless and fleet.mixed and on_demand > 0 and fleet.on_demand_percent == 100,
        "paid_per_hour": text(paid),
        "spot_per_hour": text(market.quantize(Decimal("0.000001"))),
        "monthly_saving": saving,
    }


def _commitments(database: duckdb.DuckDBPyConnection) -> list[dict[str, object]]:
    found = database.execute(
        "SELECT provider, commitment_id, any_value(commitment_name), any_value(commitment_category),"
        " any_value(commitment_type), plain(sum(billed)),"
        " plain(coalesce(sum(effective) FILTER (commitment_status = 'Used'), 0)),"
        " plain(coalesce(sum(effective) FILTER (commitment_status = 'Unused'), 0))"
        " FROM charge WHERE commitment_id IS NOT NULL GROUP BY ALL ORDER BY 1, 2"
    ).fetchall()
    names = ("provider", "id", "name", "category", "type", "purchased", "used", "unused")
    return [dict(zip(names, row, strict=True)) for row in found]


def _credits(database: duckdb.DuckDBPyConnection) -> list[dict[str, object]]:
    found = database.execute(
        "SELECT provider, sub_account_id, description, plain(sum(billed)), strftime(min(day), '%Y-%m-%d'),"
        " strftime(max(day), '%Y-%m-%d') FROM charge WHERE charge_category = 'Credit' GROUP BY ALL ORDER BY 1, 2, 3"
    ).fetchall()
    names = ("provider", "sub_account_id", "description", "billed_cost", "first_day", "last_day")
    return [dict(zip(names, row, strict=True)) for row in found]
