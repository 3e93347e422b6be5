"""The three stories of the demo: each drives the product by what people type and press, and checks what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from bot.terminal.demo_world import DemoError, Message, Workspace, command, wait_until

ANSWER_SECONDS = 30.0
STAGE_SECONDS = 90.0
COSTS, APPROVALS = "cloud-costs", "cost-approvals"
APPROVE = "rollout.approve"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the stories play: the world's addresses, the product's environment, and who listens."""

    world: Mapping[str, str]
    env: Mapping[str, str]
    slack: Workspace
    tell: Tell

    @property
    def truth(self) -> Mapping[str, Any]:
        known: Mapping[str, Any] = json.loads(Path(self.world["truth_file"]).read_text(encoding="utf-8"))
        return known

    def ask(self, user: str, text: str, thread: str | None = None) -> tuple[str, str]:
        """Say something to the bot in #cloud-costs; (thread, what it answered)."""
        self.tell(f"  {user} in #{COSTS}: @optiinfra {text}")
        ts = self.slack.say(user, COSTS, f"<@{self.world['slack_bot_user']}> {text}", thread)
        root = thread or ts

        def answered() -> Message | None:
            replies = [m for m in self.slack.messages(COSTS, root) if m["ts"] > ts and m["user"] != "dan"]
            return next((m for m in reversed(replies) if _from_bot(m, self.world)), None)

        message = wait_until(answered, ANSWER_SECONDS, f"An answer to “{text}”")
        self.tell(_quoted(message["rendered"]))
        return root, str(message["rendered"])

    def card(self, title: str) -> Message | None:
        """The rollout card that has this in its title, as it stands now."""
        cards = [m for m in self.slack.messages(APPROVALS) if title in m["rendered"] and not m.get("thread_ts")]
        return cards[-1] if cards else None

    def wait_for_card(self, title: str, what: str, *words: str) -> Message:
        def there() -> Message | None:
            card = self.card(title)
            return card if card and all(w in card["rendered"] for w in words) else None

        return wait_until(there, STAGE_SECONDS, what)

    def lifecycles(self, group: str) -> dict[str, int]:
        """The instances of a group by lifecycle, counted at the sandbox's AWS itself, past the product."""
        fleet = requests.get(f"{self.world['aws_control_url']}fleets", timeout=10).json()[group]
        return {kind: int(fleet[kind]) for kind in ("spot", "on_demand")}


def question(stage: Stage) -> None:
    """Story 1: a question and its follow-up in a thread; the figures are those of the bills."""
    month = date.fromisoformat(stage.world["today"]).replace(day=1) - timedelta(days=1)
    thread, first = stage.ask("dan", "what did we spend per service last month?")
    _expect_amount(first, _spent(stage.truth, f"{month:%Y-%m}"), "last month's total")
    _, second = stage.ask("dan", "and only on Google Cloud?", thread)
    _expect_amount(second, _spent(stage.truth, f"{month:%Y-%m}", "gcp"), "Google Cloud's total")


def rollouts(stage: Stage) -> None:
    """Story 2: one fleet goes to spot in three approved stages; another one is rolled back when errors rise."""
    _to_the_end(stage, "checkout-workers")
    _rolled_back(stage, "search-indexers", "search")


def digest(stage: Stage) -> None:
    """Story 3: the morning's digest names the planted anomaly and its cause."""
    planted = next(a for a in stage.truth["anomalies"] if a["headline"])

    def posted() -> Message | None:
        about = [m for m in stage.slack.messages(COSTS) if _from_bot(m, stage.world) and not m.get("thread_ts")]
        return about[-1] if about else None

    message = wait_until(posted, ANSWER_SECONDS, "The morning's digest")
    stage.tell(f"  #{COSTS}, this morning")
    stage.tell(_quoted(message["rendered"]))
    for word in (planted["series"]["service_name"], planted["where"]["resource_id"]):
        if word not in message["rendered"]:
            raise DemoError(f"The digest does not name {word}, the cause of the planted anomaly.")


def _to_the_end(stage: Stage, group: str) -> None:
    stage.ask("ben", f"move {group} to spot")
    for percent, spot in ((10, 2), (50, 10), (100, 20)):
        card = stage.wait_for_card(group, f"The card asking for {percent} %", f"Approve {percent} %")
        if percent == 10:
            stage.tell(_quoted(card["rendered"]))
        stage.tell(f"  carla presses [Approve {percent} %]")
        stage.slack.click("carla", card, APPROVE)
        _wait_for_spot(stage, group, spot)
    stage.wait_for_card(group, f"The end of {group}'s rollout", "Healthy")
    stage.tell(f"  {group} runs on spot: {_counts(stage, group)}. The card says: Healthy.")


def _rolled_back(stage: Stage, group: str, service: str) -> None:
    stage.ask("ben", f"move {group} to spot")
    for percent, spot in ((10, 2), (50, 10)):
        card = stage.wait_for_card(group, f"The card asking for {percent} %", f"Approve {percent} %")
        stage.tell(f"  carla presses [Approve {percent} %]")
        stage.slack.click("carla", card, APPROVE)
        if percent == 50:
            stage.tell(f"  … and {service}'s spot instances begin to fail: 25 % errors")
            body = {"service": service, "lifecycle": "spot", "error_rate": 0.25}
            requests.post(f"{stage.world['prometheus_control_url']}health", json=body, timeout=10).raise_for_status()
        else:
            _wait_for_spot(stage, group, spot)
    stage.wait_for_card(group, f"The automatic rollback of {group}", "Rolled back")
    _wait_for_spot(stage, group, 0)
    card = stage.wait_for_card(group, f"The end of {group}'s rollback", "Rolled back")
    stage.tell(_quoted(card["rendered"]))
    stage.tell(f"  {group} is back where it began: {_counts(stage, group)}.")


def _wait_for_spot(stage: Stage, group: str, spot: int) -> None:
    def reached() -> bool:
        return stage.lifecycles(group).get("spot", 0) == spot

    wait_until(reached, STAGE_SECONDS, f"{spot} spot instances in {group}")
    stage.tell(f"    counted at AWS: {_counts(stage, group)}")


def _counts(stage: Stage, group: str) -> str:
    counts = stage.lifecycles(group)
    return f"{counts.get('spot', 0)} spot, {counts.get('on_demand', 0)} on demand"


def _spent(truth: Mapping[str, Any], period: str, provider: str = "") -> Decimal:
    rows = (r for r in truth["totals"] if r["period"] == period and provider in ("", r["provider"]))
    return sum((Decimal(r["billed_cost"]) for r in rows), Decimal(0))


def _expect_amount(text: str, amount: Decimal, what: str) -> None:
    shown = f"{amount:,.2f}"
    if shown not in text:
        raise DemoError(f"The answer should name {what}, {shown}, and does not.")


def _from_bot(message: Message, world: Mapping[str, str]) -> bool:
    return bool(message["user"] == world["slack_bot_user"])


def _quoted(text: str) -> str:
    return "\n".join(f"    | {line}" for line in text.strip().splitlines())


def check_loaded(env: Mapping[str, str], truth: Mapping[str, Any]) -> str:
    """Every provider's every month in the database equals the truth, to the last digit; say how many there are."""
    months = sorted({row["period"] for row in truth["totals"]})
    start = date.fromisoformat(f"{months[0]}-01")
    end = date.fromisoformat(truth["last_day"]) + timedelta(days=1)
    answer = command(env, "costs", "--from", f"{start}", "--to", f"{end}", "--granularity", "month", "--by", "provider")
    total = sum((Decimal(row["cost"]) for row in answer["rows"]), Decimal(0))
    expected = sum((Decimal(row["billed_cost"]) for row in truth["totals"]), Decimal(0))
    if total != expected or len(answer["rows"]) != len(truth["totals"]):
        raise DemoError(f"The database holds {total}, the bills say {expected}.")
    return f"{len(months)} months of {len(truth['totals']) // len(months)} clouds, {expected:,.2f} in all, to the last digit"
