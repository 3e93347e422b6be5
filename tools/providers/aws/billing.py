"""Billing: what AWS accounts without an export cost a month, from Cost Explorer - all pages, checked against its totals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from tools.model.errors import DeniedError, ProviderError, TransientError
from tools.model.money import EXACT
from tools.model.period import Period
from tools.providers.aws.connection import PROVIDER, Connection
from tools.providers.aws.explorer import READING, Explorer, Question, Told, fresh_until, settled_until
from tools.providers.aws.mapping import ACCOUNT, RECORD, SERVICE, SPLITS, Bill, Part, has_net, is_usage, rows
from tools.providers.aws.organisation import payer_of
from tools.providers.aws.refusals import our_words
from tools.providers.base import Access, PaidRequests
from tools.providers.focus.rows import month_of

# Cost Explorer keeps the open month and the twelve before it (more only where somebody switched that on).
MONTHS = 13
# A month is final once its invoice is: a few days after its end.
SETTLED_DAYS = 7
# Cost Explorer rounds every group to ten digits behind the point.
TOLERANCE = Decimal("0.005")


@dataclass(frozen=True, slots=True)
class AwsBilling:
    """The Billing of paying accounts that are read through Cost Explorer, and which months it tells differently now.

    A month is asked for by record type (usage, tax, credit, a commitment's fee ...), each by day, linked account and
    service; one question for the totals of all months tells what there is to ask, and checks what came.
    """

    connection: Connection
    accounts: tuple[str, ...]
    paid: PaidRequests
    most: int
    split: str
    now: Callable[[], datetime]
    provider: str = PROVIDER
    _explorers: dict[str, Explorer] = field(default_factory=dict, repr=False, compare=False)

    def check_access(self) -> tuple[Access, ...]:
        """One Access per paying account: that we are there, and that it is the one that pays."""
        return tuple(self._access(account_id) for account_id in self.accounts)

    def _access(self, account_id: str) -> Access:
        try:
            with our_words("asking who we are"):
                me = self.connection.client("sts", account_id, self.connection.home).get_caller_identity()
            problem = f"The credentials lead to account {me['Account']}." if me["Account"] != account_id else ""
            payer = payer_of(self.connection.client("organizations", account_id, self.connection.home), account_id)
        except ProviderError as error:
            missing = (error.permission,) if isinstance(error, DeniedError) and error.permission else ()
            return Access(PROVIDER, account_id, "", False, error.what, missing)
        if not problem and payer != account_id:
            # Its cost is part of the payer's bill: read from here as well, it would count twice.
            problem = f"Account {account_id} does not pay its bill: {payer} does."
        return Access(PROVIDER, account_id, "" if problem else str(me["Arn"]), not problem, problem)

    def charges(self, account_id: str, period: Period) -> Iterable[Mapping[str, str]]:
        """The month's charges, whole; [] before the account began. Raises a ProviderError rather than give a part."""
        explorer = self._explorer(account_id)
        for _ in range(2):
            totals = [told for told in self._totals(explorer) if told.start == period.start]
            parts = list(self._parts(explorer, period, totals))
            if _agree(totals, parts):
                bill = Bill(account_id, period, explorer.names, self.split, has_net(totals))
                return list(rows(parts, bill))
            # Either was asked before AWS renewed its data, the other after that.
            explorer.forget()
        raise TransientError(
            f"Cost Explorer's total of {period.start:%b %Y} and its parts do not add up; nothing of it is used.",
            fix="It is read again at the next collection.",
        )

    def restated(self, account_id: str, known: Mapping[date, tuple[Decimal, Decimal]]) -> frozenset[date]:
        """Of these months, those whose totals are not what they were: one question tells all."""
        totals = self._totals(self._explorer(account_id))
        net = {start: has_net(t for t in totals if t.start == start) for start in known}
        found = set()
        for start, (billed, effective) in known.items():
            mine = [told for told in totals if told.start == start]
            bill = Bill(account_id, Period(*month_of(start)), {}, net=net[start])
            now = (_sum(t.unblended for t in mine), _sum(bill.effective(t) for t in mine))
            if mine and max(abs(now[0] - billed), abs(now[1] - effective)) > TOLERANCE:
                found.add(start)
        return frozenset(found)

    def _explorer(self, account_id: str) -> Explorer:
        return self._explorers.setdefault(
            account_id, Explorer(self.connection, account_id, self.paid, self.most, self.now)
        )

    def _totals(self, explorer: Explorer) -> list[Told]:
        """What every month cost, by record type and linked account."""
        start, tomorrow = self.now().date().replace(day=1), self.now().date() + timedelta(days=1)
        for _ in range(MONTHS - 1):
            start = month_of(start - timedelta(days=1))[0]
        question = Question(start, tomorrow, (RECORD, ACCOUNT), granularity="MONTHLY")
        return explorer.ask(question, fresh_until(self.now()), doing="telling what the months cost")

    def _parts(self, explorer: Explorer, period: Period, totals: Sequence[Told]) -> Iterator[Part]:
        """Every charge of the month: a question per record type, and per linked account where usage is split."""
        now = self.now()
        end = min(period.end, now.date() + timedelta(days=1))
        settled = now.date() >= period.end + timedelta(days=SETTLED_DAYS)
        until = settled_until(now) if settled else fresh_until(now)
        asked = list(dict.fromkeys(self._asked(told) for told in totals))
        for number, (record, account) in enumerate(asked):
            where = ((RECORD, record), *(((ACCOUNT, account),) if account else ()))
            groups = (SERVICE, SPLITS[self.split]) if account else (ACCOUNT, SERVICE)
            doing = f"reading {period.start:%b %Y}"
            question = Question(period.start, end, groups, where)
            for told in explorer.ask(question, until, doing=doing, left=len(asked) - number):
                if told.start not in period:
                    raise ProviderError(
                        f"Cost Explorer told costs of days that were not asked for while {READING}; nothing is used.",
                        fix="It is read again at the next collection.",
                    )
                first, second = told.keys
                whose = (account, first, second) if account else (first, second, "")
                yield Part(record, *whose, told)

    def _asked(self, told: Told) -> tuple[str, str]:
        record, account = told.keys
        return (record, account) if self.split and is_usage(record) else (record, "")


def _agree(totals: Iterable[Told], parts: Iterable[Part]) -> bool:
    """Whether the parts of each record type and linked account add up to its total, by every metric and currency."""
    wanted: dict[tuple[str, ...], Decimal] = {}
    for told in totals:
        _count(wanted, told.keys, told, 1)
    for part in parts:
        _count(wanted, (part.record, part.account), part.told, -1)
    return all(abs(left) <= TOLERANCE for left in wanted.values())


def _count(found: dict[tuple[str, ...], Decimal], keys: tuple[str, ...], told: Told, sign: int) -> None:
    for metric, amount in (("", told.unblended), ("amortised", told.amortised), ("net", told.net or Decimal(0))):
        key = (*keys, told.currency, metric)
        found[key] = EXACT.add(found.get(key, Decimal(0)), amount * sign)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
