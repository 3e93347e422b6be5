"""People: which of our principals a Slack user is - by team and user id from the envelope, or a refusal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.delivery import SLACK_DOWN
from bot.slack.envelope import Body, text
from bot.slack.services import Services
from tools.model.access import Principal, Role
from tools.model.audit import AuditEntry
from tools.model.errors import InputError, RefusedError
from tools.store import audit, people
from tools.store.database import Database

REMEMBER_SECONDS = 60.0
_KEPT = 5000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, where, as the envelope says it: nothing here was typed by a person."""

    team: str
    user: str
    channel: str
    shared: bool


@dataclass(frozen=True, slots=True)
class Known:
    """A person of ours with what Slack says of them."""

    principal: Principal
    today_offset: timedelta

    def today(self, now: datetime) -> datetime:
        return now + self.today_offset


@dataclass(frozen=True, slots=True)
class Profile:
    """What users.info says, as far as it decides who somebody is."""

    team: str
    email: str
    name: str
    offset: timedelta
    refusal: str


def actor(body: Body) -> Actor:
    """Who acts: the user's own team, never the team in which the message stands."""
    event = body.get("event")
    shared = body.get("is_ext_shared_channel") is True
    if isinstance(event, dict):
        team = text(event, "user_team") or text(event, "team") or text(body, "team_id")
        channel = text(event, "channel") or text(event, "channel", "id")
        return Actor(team, text(event, "user"), channel, shared)
    if isinstance(body.get("user"), dict):
        team = text(body, "user", "team_id")
        channel = text(body, "channel", "id") or text(body, "container", "channel_id")
        return Actor(team, text(body, "user", "id"), channel, shared)
    return Actor(text(body, "team_id"), text(body, "user_id"), text(body, "channel_id"), shared)


_TOLD = {
    "foreign_team": "You are not a member of this workspace, so I cannot act for you or show you costs.",
    "guest": "Guests of this workspace cannot use me.",
    "bot": "I take no orders from other bots.",
    "deleted": "This account has been deactivated.",
    "unknown_user": "Slack does not tell me who you are, so I cannot act for you.",
    "not_confirmed": "Slack did not confirm who you are just now, so I do nothing rather than guess.",
    "shared_channel": "This channel is shared with another company, so I neither show costs nor take decisions here.",
    "inactive": "You are no longer active here.",
}
_FIX = {
    "not_confirmed": "Try again in a minute.",
    "shared_channel": "Ask me in a direct message or in a channel of your own company.",
    "inactive": "Ask an administrator to activate you: optiinfra people set E-MAIL ROLE.",
}


def refused(reason: str) -> RefusedError:
    """The refusal with that fixed word, in a sentence."""
    return RefusedError(reason, _TOLD[reason], fix=_FIX.get(reason, ""))


def judge(info: dict[str, Any], installed: str) -> Profile:
    """What users.info means: the first thing that forbids to act for this user, or their e-mail."""
    profile = info.get("profile") if isinstance(info.get("profile"), dict) else {}
    assert isinstance(profile, dict)
    offset = info.get("tz_offset")
    refusal = next((reason for reason, holds in _forbidden(info, installed) if holds), "")
    return Profile(
        team=str(info.get("team_id") or ""),
        email=str(profile.get("email") or "").strip().lower(),
        name=str(profile.get("real_name") or info.get("real_name") or info.get("name") or ""),
        offset=timedelta(seconds=offset) if isinstance(offset, int) and abs(offset) <= 86400 else timedelta(0),
        refusal=refusal,
    )


def _forbidden(info: dict[str, Any], installed: str) -> tuple[tuple[str, bool], ...]:
    return (
        ("deleted", info.get("deleted") is True),
        ("bot", info.get("is_bot") is True or info.get("id") == "USLACKBOT"),
        ("foreign_team", info.get("team_id") != installed or info.get("is_stranger") is True),
        ("guest", info.get("is_restricted") is True or info.get("is_ultra_restricted") is True),
    )


class Directory:
    """Answers who somebody is; asks Slack at most once a minute per user and channel, and fails closed."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._services = services
        self._clock = clock
        self._profiles: dict[tuple[str, str], tuple[float, Profile]] = {}
        self._shared: dict[str, tuple[float, bool]] = {}
        self._installed = ""

    async def who(self, client: AsyncWebClient, acting: Actor) -> Known:
        """The person behind this envelope; raises RefusedError."""
        installed = await self.installed(client)
        if not acting.user or not acting.team:
            raise refused("unknown_user")
        if acting.team != installed:
            raise refused("foreign_team")
        profile = await self._profile(client, acting, installed)
        if profile.refusal:
            raise refused(profile.refusal)
        if await self._is_shared(client, acting):
            raise refused("shared_channel")
        principal = await self._services.threads.in_thread(self._principal, acting, profile)
        return Known(principal, profile.offset)

    async def installed(self, client: AsyncWebClient) -> str:
        """The team that this bot is installed in, from Slack itself."""
        if not self._installed:
            try:
                self._installed = str((await client.auth_test())["team_id"])
            except SLACK_DOWN as error:
                raise refused("not_confirmed") from error
        return self._installed

    async def _profile(self, client: AsyncWebClient, acting: Actor, installed: str) -> Profile:
        key = (acting.team, acting.user)
        known = self._profiles.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        try:
            info = (await client.users_info(user=acting.user)).get("user")
        except SLACK_DOWN as error:
            code = error.response.get("error") if isinstance(error, SlackApiError) else ""
            raise refused(
                "unknown_user" if code in {"user_not_found", "user_not_visible"} else "not_confirmed"
            ) from error
        if not isinstance(info, dict) or info.get("id") != acting.user:
            raise refused("unknown_user")
        profile = judge(info, installed)
        self._profiles[key] = (self._clock() + REMEMBER_SECONDS, profile)
        self._forget()
        return profile

    async def _is_shared(self, client: AsyncWebClient, acting: Actor) -> bool:
        """Whether outsiders can read along. A conversation that Slack does not tell about is not trusted."""
        if acting.shared:
            return True
        if not acting.channel or acting.channel.startswith("D"):
            return False
        known = self._shared.get(acting.channel)
        if known is not None and known[0] > self._clock():
            return known[1]
        try:
            found = (await client.conversations_info(channel=acting.channel)).get("channel")
        except SlackApiError as error:
            # A slash command can be typed where the bot is not; its answer is seen by its author only.
            if error.response.get("error") == "channel_not_found":
                return False
            raise refused("not_confirmed") from error
        except SLACK_DOWN as error:
            raise refused("not_confirmed") from error
        channel = found if isinstance(found, dict) else {}
        shared = any(channel.get(name) is True for name in ("is_ext_shared", "is_pending_ext_shared"))
        self._shared[acting.channel] = (self._clock() + REMEMBER_SECONDS, shared)
        return shared

    def _principal(self, acting: Actor, profile: Profile) -> Principal:
        """The bound person; else the person with that e-mail, bound now; else a member who may look."""
        tenant, database = self._services.tenant, self._services.database
        with database.read() as tx:
            bound = people.by_slack(tx, tenant, acting.team, acting.user)
            everybody = () if bound is not None else people.listing(tx, tenant)
        if bound is not None:
            return bound
        slack_id = f"slack:{acting.team}:{acting.user}"
        if any((p.slack_team, p.slack_user) == (acting.team, acting.user) for p in everybody):
            raise refused("inactive")
        found = next((p for p in everybody if profile.email and p.email == profile.email), None)
        if found is None:
            return Principal(profile.email or slack_id, tenant, profile.name or slack_id, Role.VIEWER)
        if not found.active:
            raise refused("inactive")
        if found.slack_user or not self._bind(database, tenant, acting, profile.email):
            # An e-mail that belongs to another Slack user already gives nobody else that person's rights.
            return Principal(slack_id, tenant, profile.name or slack_id, Role.VIEWER)
        return Principal(found.id, tenant, found.name, found.role)

    def _bind(self, database: Database, tenant: str, acting: Actor, email: str) -> bool:
        try:
            with database.begin() as tx:
                people.bind_slack(tx, tenant, email, acting.team, acting.user)
        except InputError:
            return False
        return True

    def _forget(self) -> None:
        if len(self._profiles) > _KEPT:
            now = self._clock()
            self._profiles = {k: v for k, v in self._profiles.items() if v[0] > now}


def record_refusal(services: Services, acting: Actor, action: str, subject: str, error: RefusedError) -> None:
    """Keep that somebody was turned away before any gate was reached."""
    with services.database.begin() as tx:
        audit.record(
            tx,
            AuditEntry(
                services.tenant,
                services.now(),
                f"slack:{acting.team[:40]}:{acting.user[:40]}",
                action[:64],
                subject[:128] or "-",
                "refused",
                error.reason,
                {"channel": acting.channel[:64]},
            ),
        )
    services.metrics.refusals.labels(error.reason).inc()
