"""Explorer: asks Cost Explorer, page by page; every page costs money, so it is counted, limited and remembered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from tools.model.errors import ProviderError, QuotaExceededError
from tools.model.money import EXACT
from tools.providers.aws.connection import PROVIDER, Connection
from tools.providers.aws.refusals import our_words
from tools.providers.base import PaidRequests

# Cost Explorer answers from one place only, whatever the account's regions are.
REGION = "us-east-1"
PRICE = Decimal("0.01")
UNBLENDED, AMORTISED, NET_AMORTISED = "UnblendedCost", "AmortizedCost", "NetAmortizedCost"
METRICS = (UNBLENDED, AMORTISED, NET_AMORTISED)
# AWS renews the data up to three times a day: within eight hours the same question has the same answer.
FRESH_HOURS = 8
READING = "reading costs from Cost Explorer"


@dataclass(frozen=True, slots=True)
class Question:
    """Costs from `start` to before `end`, per day or month, by two dimensions at most, where dimensions have values."""

    start: date
    end: date
    groups: tuple[str, ...]
    where: tuple[tuple[str, str], ...] = ()
    granularity: str = "DAILY"

    def body(self) -> dict[str, Any]:
        """The parameters of GetCostAndUsage."""
        asked: dict[str, Any] = {
            "TimePeriod": {"Start": self.start.isoformat(), "End": self.end.isoformat()},
            "Granularity": self.granularity,
            "Metrics": list(METRICS),
            "GroupBy": [{"Type": "DIMENSION", "Key": key} for key in self.groups],
        }
        parts = [{"Dimensions": {"Key": key, "Values": [value]}} for key, value in self.where]
        if parts:
            asked["Filter"] = parts[0] if len(parts) == 1 else {"And": parts}
        return asked


@dataclass(frozen=True, slots=True)
class Told:
    """What one group cost in one day or month: `amortised` is spread over use, `net` too and after discounts."""

    start: date
    keys: tuple[str, ...]
    unblended: Decimal
    amortised: Decimal
    net: Decimal | None
    currency: str
    estimated: bool


@dataclass(frozen=True, slots=True)
class Explorer:
    """Cost Explorer of one paying account. At most `most` requests a day are made, by all processes together."""

    connection: Connection
    account_id: str
    paid: PaidRequests
    most: int
    now: Callable[[], datetime]
    # What dimension values are called, "100000000002" -> "shop": told beside the costs.
    names: dict[str, str] = field(default_factory=dict)

    def ask(self, question: Question, until: datetime, *, doing: str, left: int = 1) -> list[Told]:
        """Every group, all pages. Answers are kept until `until`; `left` is how many requests are needed at least.

        Raises QuotaExceededError when the day's requests are used up, before anything is paid.
        """
        found: list[Told] = []
        for page in self._pages(question.body(), until, doing, left):
            self._note_names(page)
            found += told(page, len(question.groups))
        return found

    def _pages(self, body: dict[str, Any], until: datetime, doing: str, left: int) -> Iterator[Mapping[str, Any]]:
        seen: set[str] = set()
        token = ""
        while True:
            page = self._page(body | ({"NextPageToken": token} if token else {}), until, doing, left)
            yield page
            token = str(page.get("NextPageToken") or "")
            if not token:
                return
            if token in seen:
                raise ProviderError(
                    f"Cost Explorer named the same page twice while {READING}; nothing of it is used.",
                    fix="It is read again at the next collection.",
                )
            seen.add(token)

    def _page(self, body: dict[str, Any], until: datetime, doing: str, left: int) -> Mapping[str, Any]:
        key = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        kept = self.paid.recall(PROVIDER, self.account_id, key, self.now())
        if kept is not None:
            known: dict[str, Any] = json.loads(kept)
            return known
        client = self.connection.client("ce", self.account_id, REGION)
        self._pay(doing, left)
        with our_words(READING):
            answer = client.get_cost_and_usage(**body)
        page = {k: v for k, v in answer.items() if k != "ResponseMetadata"}
        self.paid.keep(PROVIDER, self.account_id, key, json.dumps(page), until)
        return page

    def _pay(self, doing: str, left: int) -> None:
        if self.paid.take(PROVIDER, self.account_id, self.now().date(), self.most) is None:
            raise QuotaExceededError(
                f"Cost Explorer was not asked: the {self.most} requests that a day may cost (USD {self.most * PRICE}) "
                f"are made, and {doing} takes at least {left} more (USD {left * PRICE}).",
                fix="What is missing is read at the next collection from tomorrow (UTC) on; "
                "or raise OPTIINFRA_AWS_COST_EXPLORER_REQUESTS.",
            )

    def forget(self) -> None:
        """Ask anew from now on."""
        self.paid.forget(PROVIDER, self.account_id)

    def _note_names(self, page: Mapping[str, Any]) -> None:
        for value in page.get("DimensionValueAttributes", ()):
            if name := value.get("Attributes", {}).get("description"):
                self.names[str(value["Value"])] = str(name)


def fresh_until(now: datetime) -> datetime:
    """When AWS may have renewed its data next: all answers of a collection grow old together."""
    hours = int(now.timestamp() // 3600)
    return datetime.fromtimestamp((hours // FRESH_HOURS + 1) * FRESH_HOURS * 3600, UTC)


def settled_until(now: datetime) -> datetime:
    """How long the answer about a month that is closed is kept: a week, in case its reading is interrupted."""
    return now + timedelta(days=7)


def told(page: Mapping[str, Any], keys: int) -> list[Told]:
    """The groups of one page. Raises ProviderError for a page that is not as described."""
    try:
        return [_told(result, group, keys) for result in page["ResultsByTime"] for group in result["Groups"]]
    except (KeyError, TypeError, ValueError, InvalidOperation):
        raise ProviderError(
            f"Cost Explorer answered something that is not as AWS describes it while {READING}; nothing of it is used.",
            fix="It is read again at the next collection; look for a newer version of OptiInfra if it stays so.",
        ) from None


def _told(result: Mapping[str, Any], group: Mapping[str, Any], keys: int) -> Told:
    metrics = group["Metrics"]
    if len(group["Keys"]) != keys or len({m["Unit"] for m in metrics.values()}) != 1:
        raise ValueError(keys)
    return Told(
        date.fromisoformat(result["TimePeriod"]["Start"]),
        tuple(str(key) for key in group["Keys"]),
        _amount(metrics[UNBLENDED]),
        _amount(metrics[AMORTISED]),
        _amount(metrics[NET_AMORTISED]) if NET_AMORTISED in metrics else None,
        str(metrics[UNBLENDED]["Unit"]),
        bool(result["Estimated"]),
    )


def _amount(metric: Mapping[str, Any]) -> Decimal:
    value = EXACT.create_decimal(metric["Amount"])
    if not value.is_finite():
        raise ValueError(metric)
    return Decimal(value)
