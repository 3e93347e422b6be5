"""What was planted: events that change how much a few lines use, each with its cause in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from sandbox.inventory import CLICKSTREAM_BUCKET
from sandbox.organisation import AWS_DATA, AWS_PRODUCTION, AWS_STAGING, AZURE_PRODUCTION
from sandbox.story import other_lines
from sandbox.story.lines import Kind, Line, Shape
from sandbox.story.services import BIGQUERY, CLOUDFRONT, EC2, OPENAI, S3

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Change = Callable[[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]

SATURDAY = 5
MAIN = "s3-requests"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the cost. `start` and `last` are days relative to the anchor, inclusive.

    `change` gets the day's use as a share of the usual one, the relative day and the weekday (Monday 0), and
    returns the changed share. `ordinary` says what would have been without the event: the old share, or nothing.
    """

    id: str
    kind: str
    direction: str
    provider: str
    account: str
    service: str
    region: str
    start: int
    last: int | None
    matches: Callable[[Line], bool]
    change: Change
    cause: str
    where: tuple[tuple[str, str], ...] = ()
    new: bool = False


def new_lines() -> tuple[Line, ...]:
    """Lines that exist only because of an event."""
    return tuple(
        other_lines.azure_line(
            AZURE_PRODUCTION,
            OPENAI,
            sku,
            "1K",
            price,
            quantity,
            Shape.SHOP,
            resource="lumen-assistant",
            group="assistant",
            provider="Microsoft.CognitiveServices/accounts",
            tags=(("team", "web"), ("env", "production"), ("service", "assistant")),
        )
        for sku, price, quantity in (
            ("gpt 4.1 Input Tokens", "0.0022", "14500"),
            ("gpt 4.1 Output Tokens", "0.0088", "2100"),
        )
    )


def from_day(start: int, factor: float, last: int | None = None) -> Change:
    """Times `factor` from `start` on."""

    def change(
        share: NDArray[np.float64], relative: NDArray[np.int64], weekday: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        return np.where((relative >= start) & (relative <= (0 if last is None else last)), share * factor, share)

    return change


def ramp(start: int, per_day: float) -> Change:
    """A little more each day from `start` on."""

    def change(
        share: NDArray[np.float64], relative: NDArray[np.int64], weekday: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        return share * (1 + per_day * np.clip(relative - start + 1, 0, None))

    return change


def running_weekends(start: int) -> Change:
    """What was off at weekends runs through from `start` on."""

    def change(
        share: NDArray[np.float64], relative: NDArray[np.int64], weekday: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        return np.where((relative >= start) & (weekday >= SATURDAY), 1.0, share)

    return change


def appearing(start: int) -> Change:
    """Nothing before `start`, then quickly up to the usual use."""

    def change(
        share: NDArray[np.float64], relative: NDArray[np.int64], weekday: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        grown = np.clip(0.7 + 0.1 * (relative - start), 0.0, 1.0)
        return np.where(relative >= start, share * grown, 0.0)

    return change


def lost_weekend(anchor_weekday: int) -> int:
    """The relative day of the Saturday that lies two full weekends before the last complete days."""
    back = (anchor_weekday - SATURDAY) % 7
    return -(back + 14) if back >= 4 else -(back + 21)


def events(anchor_weekday: int) -> tuple[Event, ...]:
    """All planted events of the story; `anchor_weekday` is the anchor's (Monday 0)."""
    weekend = lost_weekend(anchor_weekday)
    return (
        Event(
            MAIN, "spike", "up", "aws", AWS_DATA, S3, "eu-west-1", -6, None,
            lambda line: line.account == AWS_DATA and line.sku == "EU-Requests-Tier1"
            and line.resource_name == CLICKSTREAM_BUCKET,
            from_day(-6, 15.5),
            f"A new consumer lists the whole bucket {CLICKSTREAM_BUCKET} for every event: ListBucket requests "
            "(EU-Requests-Tier1) went up fifteenfold.",
            (("resource_id", CLICKSTREAM_BUCKET), ("sku", "EU-Requests-Tier1"), ("operation", "ListBucket")),
        ),
        Event(
            "bigquery-ramp", "ramp", "up", "gcp", "lumen-analytics", BIGQUERY, "europe-west1", -45, None,
            lambda line: line.service == BIGQUERY and line.sku.startswith("Analysis"),
            ramp(-45, 0.028),
            "A dashboard query without a partition filter reads the whole, growing events table: scanned bytes "
            "grow a little every day.",
            (("sku", "Analysis (europe-west1)"), ("resource_name", "reporting")),
        ),
        Event(
            "staging-weekends", "lost_weekend", "up", "aws", AWS_STAGING, EC2, "eu-west-1", weekend, None,
            lambda line: line.account == AWS_STAGING and line.key.startswith("instance/"),
            running_weekends(weekend),
            "The schedule that stopped the staging machines at weekends was removed; they run through.",
            (("env", "staging"), ("sku", "EU-BoxUsage:m5.xlarge")),
        ),
        Event(
            "azure-openai", "new_service", "up", "azure", AZURE_PRODUCTION, OPENAI, "westeurope", -19, None,
            lambda line: line.service == OPENAI,
            appearing(-19),
            "The web team started the shopping assistant: Azure OpenAI tokens are new on the bill.",
            (("service", "assistant"), ("team", "web")),
            new=True,
        ),
        Event(
            "backup-stopped", "vanished", "down", "aws", AWS_PRODUCTION, "AWS Backup", "eu-west-1", -12, None,
            lambda line: line.service == "AWS Backup",
            from_day(-12, 0.0),
            "The nightly backup vault is gone from the bill: somebody deleted the backup plan and its vault.",
            (("resource_name", "nightly-vault"),),
        ),
        Event(
            "nat-replay", "spike", "up", "aws", AWS_PRODUCTION, EC2, "eu-west-1", -133, -131,
            lambda line: line.account == AWS_PRODUCTION and line.sku == "EU-NatGateway-Bytes",
            from_day(-133, 4.2, -131),
            "A replay of old events pulled three days of traffic through the NAT gateways; it ended by itself.",
            (("sku", "EU-NatGateway-Bytes"),),
        ),
    )  # fmt: skip


def restatement(month: date, anchor: date, provider: str = "aws") -> Event:
    """What a provider corrects afterwards: of one whole, earlier month it had billed too much.

    Amazon corrects content delivery alone, the others all that was used.
    """
    start = month.toordinal() - anchor.toordinal()
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    last = following.toordinal() - anchor.toordinal() - 1
    if provider != "aws":
        return Event(
            f"{provider}-restated", "restatement", "down", provider, "", "", "", start, last,
            lambda line: line.provider == provider and line.kind is Kind.USAGE,
            from_day(start, 0.93, last),
            f"The use of {month:%Y-%m} was measured again: it was 7 % less than first billed.",
        )  # fmt: skip
    return Event(
        "cloudfront-restated", "restatement", "down", "aws", AWS_PRODUCTION, CLOUDFRONT, "eu-west-1", start, last,
        lambda line: line.service == CLOUDFRONT,
        from_day(start, 0.93, last),
        f"Amazon rated CloudFront usage of {month:%Y-%m} again: 7 % less data was delivered than first billed.",
    )  # fmt: skip
