"""Presses: what every pressed button and form needs - who presses it, a form to open, a word in the thread."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.shared.message import Message
from bot.shared.posting import NotDeliveredError
from bot.slack.cards import error as error_card
from bot.slack.delivery import Place, Voice, place
from bot.slack.envelope import Body, text
from bot.slack.people import Actor, Directory, Known, record_refusal
from bot.slack.services import Services
from tools.model.errors import RefusedError
from tools.telemetry.logs import get_logger

REASON = 10
TOO_SLOW = error_card.said("Slack closed the form before it was open. Nothing was changed.", fix="Press it again.")
_log = get_logger(__name__)


class Presses:
    """The ground on which buttons stand."""

    def __init__(self, services: Services, directory: Directory, voice: Voice) -> None:
        self._services = services
        self._directory = directory
        self._voice = voice

    async def _let_in(
        self, client: AsyncWebClient, acting: Actor, where: Place, action: str, subject: str
    ) -> Known | None:
        """The person, or None after the refusal was audited and told."""
        try:
            return await self._directory.who(client, acting)
        except RefusedError as error:
            await self._services.threads.in_thread(record_refusal, self._services, acting, action, subject, error)
            await self._voice.whisper(client, where, error_card.message(error))
            return None

    async def _open(self, client: AsyncWebClient, body: Body, view: dict[str, object]) -> None:
        try:
            await client.views_open(trigger_id=text(body, "trigger_id"), view=view)
        except SlackApiError as error:
            _log.info("form_not_opened", error=str(error.response.get("error")))
            await self._voice.whisper(client, place(body), TOO_SLOW)

    async def _say(self, client: AsyncWebClient, where: Place, message: Message) -> None:
        try:
            await self._voice.say(client, where, message)
        except NotDeliveredError:
            await self._voice.whisper(client, replace(where, thread_ts=""), message)


def reason(body: Body) -> str:
    """The reason that was typed into a form."""
    return text(body, "view", "state", "values", "reason", "value", "value").strip()


def chosen_day(body: Body) -> date | None:
    """The day that was picked in a form; None where there is none."""
    picked = text(body, "view", "state", "values", "until", "value", "selected_date")
    try:
        return date.fromisoformat(picked)
    except ValueError:
        return None


def missing_reason(body: Body) -> dict[str, str]:
    """What to show at the form's field; empty when the reason will do. Spaces are no reason."""
    if len(reason(body)) >= REASON:
        return {}
    return {"reason": f"Please say it in at least {REASON} characters: others will read it."}


def note(carried: str, where: Place, *, message: str = "", reply: str = "") -> str:
    """What travels with a form: what it is about, where it was opened, from which message, and where to redraw that.

    `reply` is the address at which an answer to one person alone is redrawn.
    """
    known = {"about": carried[:1500], "channel": where.channel, "thread": where.thread_ts}
    return json.dumps(known | {name: value for name, value in (("message", message), ("reply", reply)) if value})


@dataclass(frozen=True, slots=True)
class Noted:
    """What came back with a form; empty where the note is not ours."""

    about: str
    where: Place
    message: str
    reply: str


def noted(body: Body) -> Noted:
    """What a form was about, where it was opened, and from which message."""
    try:
        known = json.loads(text(body, "view", "private_metadata") or "{}")
    except ValueError:
        known = {}
    known = known if isinstance(known, dict) else {}
    where = Place(text(known, "channel"), text(known, "thread"), text(body, "user", "id"))
    return Noted(text(known, "about"), where, text(known, "message"), text(known, "reply"))
