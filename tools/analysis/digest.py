"""Digest: composes the morning message - what was spent against usual, what changed and why, and where the month ends."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.analysis import alerting, budgets, corrections, drivers, episodes, forecast, trends
from tools.analysis.alerting import Alerts
from tools.analysis.naming import Names, account_names, named
from tools.analysis.numbers import total
from tools.analysis.settled import settled
from tools.analysis.words import change, listed, money, on
from tools.model.anomaly import Anomaly
from tools.model.digest import Digest
from tools.model.driver import DriverTree
from tools.model.errors import InputError
from tools.model.fact import Chart
from tools.model.forecast import Forecast
from tools.model.outcome import Outcome
from tools.model.period import Period
from tools.model.query import CostQuery, Dimension, Filter, Granularity, Metric
from tools.store.alerts import MOST_PER_WEEK, Told
from tools.store.findings import Feedback

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

METRIC = Metric.EFFECTIVE
CHART_DAYS = 14
USUAL_WEEKS = 4
MOST_ANOMALIES = 8
NOTABLE = Decimal("0.05")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of earlier mornings and of people: alerts that were told, their words, and how many they want."""

    told: Mapping[str, Told] = field(default_factory=dict)
    feedback: tuple[Feedback, ...] = ()
    alerts_per_week: int = MOST_PER_WEEK
    outcomes: tuple[Outcome, ...] = ()


def compose(
    costs: Costs,
    day: date,
    *,
    anomalies: Sequence[Anomaly],
    waiting: tuple[str, ...],
    budget: Decimal | None,
    known: Known | None = None,
) -> Digest:
    """The digest of the morning of `day`: it tells of the last settled day before it.

    `anomalies` are all that are found; of those that go on or ended in the last three days, as many are told as the
    week has room for. Raises InputError when no cost is stored.
    """
    known = known or Known()
    told = _told_day(costs, day)
    currency = next(iter(costs.currencies()), "")
    where = (Filter(str(Dimension.CURRENCY), (currency,)),)
    chart_days = Period(told - timedelta(days=CHART_DAYS - 1 + 7 * USUAL_WEEKS), told + timedelta(days=1))
    query = CostQuery(chart_days, where=where, metric=METRIC, granularity=Granularity.DAY)
    series = costs.series(query)
    values = dict(zip(chart_days, series[0].values, strict=True)) if series else {}
    spend, usual = values.get(told, Decimal(0)), _usual(values, told, costs)
    alerts = alerting.choose(anomalies, told, told=known.told, feedback=known.feedback, per_week=known.alerts_per_week)
    current = alerts.told[:MOST_ANOMALIES]
    names = account_names(costs)
    tree = _tree(costs, told, where, currency)
    month = _month_end(costs, day, currency, budget)
    today = Period(told, told + timedelta(days=1))
    week = Period(told - timedelta(days=6), told + timedelta(days=1))
    receipt = costs.table(CostQuery(today, where=where, metric=METRIC)).receipt
    held = (*alerts.held, *(one for one in alerts.told if one not in current))
    why = _why(current, names) if current else _no_news(alerts, _moved_by(tree, spend, usual, names), currency)
    corrected = corrections.told(costs, told, currency, METRIC)
    return Digest(
        day=told,
        headline=_headline(told, spend, usual, currency),
        why=" ".join([why, *corrected]),
        spend=spend,
        usual=usual,
        currency=currency,
        anomalies=current,
        drivers=tree,
        month_end=month,
        movers=trends.movers(
            costs, week, week.previous(), by=str(Dimension.SERVICE), currency=currency, metric=METRIC, where=where
        ),
        chart=_chart(values, told, costs, currency),
        waiting=waiting,
        coverage=costs.coverage(week),
        receipt=receipt,
        held=len(held),
        held_excess=_excess(held),
        saved=_saved(known.outcomes, currency),
        reminded=tuple(one.id for one in alerts.again),
        calm=not (current or alerts.held or alerts.quiet or waiting or corrected) and not _moved(spend, usual),
    )


def _saved(outcomes: Sequence[Outcome], currency: str) -> str:
    """'Savings realised: $1,200 a month from 3 rollouts, $1,500 was expected; 1 more is being measured.'"""
    mine = [one for one in outcomes if one.currency == currency]
    measured = [one for one in mine if one.realised_monthly is not None]
    if not mine:
        return ""
    rest = len(mine) - len(measured)
    more = f"; {rest} more {'is' if rest == 1 else 'are'} being measured" if rest else ""
    if not measured:
        return (
            f"Savings realised: not known yet; {rest} {'rollout is' if rest == 1 else 'rollouts are'} being measured."
        )
    realised = money(total(one.realised_monthly or Decimal(0) for one in measured), currency)
    hoped = money(total(one.estimated_monthly for one in measured), currency)
    count = f"{len(measured)} {'rollout' if len(measured) == 1 else 'rollouts'}"
    return f"Savings realised: {realised} a month from {count}, {hoped} was expected{more}."


def _moved(spend: Decimal, usual: Decimal | None) -> bool:
    return usual is not None and usual > 0 and abs(spend - usual) > usual * NOTABLE


def _no_news(alerts: Alerts, moved_by: str, currency: str) -> str:
    """When no anomaly is told: what is held back, what goes on since it was told, and what moved the day all the same."""
    held, quiet = len(alerts.held), len(alerts.quiet)
    if not held and not quiet:
        if moved_by:
            return f"No series left its usual path; against a week before, it was {moved_by}."
        return "Nothing unusual: no service left its usual path."
    said = []
    if held:
        what = "1 new anomaly is" if held == 1 else f"{held} new anomalies are"
        said.append(
            f"{what} held back, {money(_excess(alerts.held), currency)} so far: this week's alerts are used up."
        )
    if quiet:
        what = "1 anomaly goes on that was told" if quiet == 1 else f"{quiet} anomalies go on that were told"
        said.append(f"{'' if held else 'Nothing new is unusual; '}{what} in the last days.")
    if moved_by:
        said.append(f"Against a week before, it was {moved_by}.")
    return " ".join(said)


def _excess(found: Sequence[Anomaly]) -> Decimal:
    """The money of these, up or down."""
    return total(abs(one.excess) for one in found)


def _moved_by(tree: DriverTree | None, spend: Decimal, usual: Decimal | None, names: Names) -> str:
    """What moved a day that cost much more or less than usual."""
    if not _moved(spend, usual) or tree is None:
        return ""
    told = [drivers.in_words(d, tree.currency, names=names) for d in tree.drivers[:3]]
    return listed([t for t in told if t])


def _told_day(costs: Costs, day: date) -> date:
    """The last settled day before `day`."""
    known = settled(costs, day)
    if known is None:
        raise InputError(
            f"No costs are stored from before {on(day)}, so there is nothing to tell.",
            fix="Load some first: optiinfra ingest PATH",
        )
    return known.end - timedelta(days=1)


def _usual(values: dict[date, Decimal], day: date, costs: Costs) -> Decimal | None:
    """Median of the same weekday of the four weeks before; None when fewer than two of them are stored."""
    span = costs.span()
    before = [day - timedelta(days=7 * n) for n in range(1, USUAL_WEEKS + 1)]
    known = [values[d] for d in before if d in values and span is not None and d >= span.start]
    return statistics.median(known) if len(known) >= 2 else None


def _headline(day: date, spend: Decimal, usual: Decimal | None, currency: str) -> str:
    """One full sentence: what was spent, and how that compares with a usual day of that name."""
    said = f"{money(spend, currency)} was spent on {on(day)}"
    if usual is None:
        return f"{said}; there is not enough history yet to say what is usual."
    difference = spend - usual
    if usual == 0 or abs(difference) < usual * Decimal("0.01"):
        return f"{said}, as usual for a {day:%A}."
    more = "more" if difference > 0 else "less"
    grown = change(spend, usual)
    grown = f" ({grown})" if grown else ""
    return f"{said}, {money(abs(difference), currency)}{grown} {more} than usual for a {day:%A}."


def _why(current: Sequence[Anomaly], names: Names) -> str:
    """The top finding with its drivers in words."""
    first = episodes.group(current)[0] if current[0].direction == "up" else (current[0],)
    lead = first if current[0] in first else (current[0],)
    return _finding(lead, names) + _more(len(current) - len(lead))


def _finding(members: Sequence[Anomaly], names: Names) -> str:
    """One finding; several services of one account that began on one day are one."""
    if len(members) == 1:
        return members[0].why
    excess = total(m.excess for m in members)
    place = named([pair for pair in members[0].keys if pair[0] in {"provider", "sub_account_id"}], names)
    services = listed([_what(m) for m in members[:4]])
    return (
        f"{len(members)} services of {place} rose together on {on(members[0].started)}, "
        f"{money(excess, members[0].currency)} above expected: {services}. {members[0].why}"
    )


def _what(one: Anomaly) -> str:
    return dict(one.keys).get(str(Dimension.SERVICE)) or one.title


def _more(count: int) -> str:
    return "" if count <= 0 else f" {count} more {'anomaly' if count == 1 else 'anomalies'} below."


def _tree(costs: Costs, told: date, where: tuple[Filter, ...], currency: str) -> DriverTree | None:
    """The day against the same weekday a week before."""
    span = costs.span()
    before = told - timedelta(days=7)
    if span is None or before < span.start:
        return None
    day, against = (Period(d, d + timedelta(days=1)) for d in (told, before))
    return drivers.explain(costs, day, against, where=where, metric=METRIC, currency=currency)


def _month_end(costs: Costs, day: date, currency: str, budget: Decimal | None) -> Forecast | None:
    """Where the month ends on the invoice, with the budget beside it in words."""
    found = forecast.month_end(costs, day, metric=Metric.BILLED, currency=currency)
    if found is None or budget is None:
        return found
    return replace(found, basis=f"{budgets.in_words(found, budget)} Based on {found.basis}")


def _chart(values: dict[date, Decimal], told: date, costs: Costs, currency: str) -> Chart:
    """Fourteen days, actual and usual; days without a usual show the actual."""
    days = [told - timedelta(days=n) for n in reversed(range(CHART_DAYS))]
    actual = tuple(values.get(d, Decimal(0)) for d in days)
    usual = tuple(_usual(values, d, costs) for d in days)
    beside = tuple(a if u is None else u for a, u in zip(actual, usual, strict=True))
    labels = tuple(f"{d.day} {d:%b}" for d in days)
    return Chart(
        "line", f"Cost per day, {CHART_DAYS} days", labels, (("actual", actual), ("usual", beside)), "money", currency
    )
