"""Buttons: a click or a filled-in form becomes a decision for exactly what its card showed, or an explained refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.shared.message import Message
from bot.shared.posting import NotDeliveredError
from bot.slack.cards import anomaly as anomaly_card
from bot.slack.cards import error as error_card
from bot.slack.cards import rollout as rollout_card
from bot.slack.delivery import Place, Voice, place
from bot.slack.envelope import Body, text
from bot.slack.people import Actor, Directory, Known, actor, record_refusal
from bot.slack.rendering import rollout_message
from bot.slack.services import Services
from tools.model.access import Principal
from tools.model.anomaly import Anomaly
from tools.model.errors import NotFoundError, OptiInfraError, RefusedError
from tools.model.rollout import Rollout, Seen
from tools.store import findings, outbox, rollouts
from tools.telemetry.logs import get_logger

REASON = 10
MUTED_FOR = timedelta(days=14)
Gate = Callable[[Seen, Principal, str], Rollout]
NOT_MINE = error_card.said(
    "I do not know this button: it is not from a card of mine, or from a version that is gone. Nothing was changed.",
    fix="Use the newest card, or /cost rollouts.",
)
TOO_SLOW = error_card.said("Slack closed the form before it was open. Nothing was changed.", fix="Press it again.")
_log = get_logger(__name__)


class Buttons:
    """Everything that people press and submit."""

    def __init__(self, services: Services, directory: Directory, voice: Voice) -> None:
        self._services = services
        self._directory = directory
        self._voice = voice
        gates = services.gates
        self._gates: dict[str, Gate] = {
            rollout_card.APPROVE: gates.approve,
            rollout_card.REJECT: gates.reject,
            rollout_card.STOP: gates.abort,
            rollout_card.ROLLBACK: gates.rollback,
            rollout_card.RETRY: gates.retry,
            rollout_card.HAPPENED: lambda seen, person, reason: gates.resolve(seen, person, True, reason),
            rollout_card.NOT_HAPPENED: lambda seen, person, reason: gates.resolve(seen, person, False, reason),
        }

    async def decide(
        self,
        client: AsyncWebClient,
        body: Body,
        action: str,
        carried: str,
        reason: str = "",
        where: Place | None = None,
    ) -> bool:
        """Take a decision through its gate; True when it counts. Every refusal is told to the person, and audited."""
        acting, where = actor(body), where or place(body)
        # A form is submitted outside the channel in which it was opened.
        acting = replace(acting, channel=acting.channel or where.channel)
        seen = rollout_card.seen(carried)
        if seen is None:
            await self._voice.whisper(client, where, NOT_MINE)
            return False
        known = await self._let_in(client, acting, where, action, seen.rollout_id)
        if known is None:
            return False
        return await self._through(client, body, where, action, seen, known, reason)

    async def _through(
        self, client: AsyncWebClient, body: Body, where: Place, action: str, seen: Seen, known: Known, reason: str
    ) -> bool:
        services, name = self._services, action.partition(".")[2]
        try:
            await services.threads.in_thread(self._gates[action], seen, known.principal, reason)
        except OptiInfraError as error:
            if isinstance(error, RefusedError):
                services.metrics.refusals.labels(error.reason).inc()
            await self._voice.whisper(client, where, error_card.message(error))
            await self._refresh(client, body, seen.rollout_id)
            return False
        services.metrics.decisions.labels(name).inc()
        services.ring()
        return True

    async def decide_now(
        self, client: AsyncWebClient, body: Body, rollout_id: str, action: str, reason: str
    ) -> Rollout | None:
        """For commands: decide on what is stored at this moment, as a fresh card would show it."""
        acting, where = actor(body), place(body)
        known = await self._let_in(client, acting, where, action, rollout_id)
        if known is None:
            return None
        try:
            rollout = await self._services.threads.in_thread(self._rollout, rollout_id)
        except NotFoundError as error:
            await self._voice.whisper(client, where, error_card.message(error))
            return None
        counts = await self._through(client, body, where, action, rollout.seen, known, reason)
        return rollout if counts else None

    async def ask_reason(self, client: AsyncWebClient, body: Body, action: str, carried: str) -> None:
        """Open the form that asks for a reason."""
        acting, where = actor(body), place(body)
        seen = rollout_card.seen(carried)
        if seen is None:
            await self._voice.whisper(client, where, NOT_MINE)
            return
        if await self._let_in(client, acting, where, action, seen.rollout_id) is None:
            return
        try:
            rollout = await self._services.threads.in_thread(self._rollout, seen.rollout_id)
        except NotFoundError as error:
            await self._voice.whisper(client, where, error_card.message(error))
            return
        await self._open(client, body, rollout_card.reason_view(action, rollout, _note(carried, where)))

    async def _open(self, client: AsyncWebClient, body: Body, view: dict[str, object]) -> None:
        try:
            await client.views_open(trigger_id=text(body, "trigger_id"), view=view)
        except SlackApiError as error:
            _log.info("form_not_opened", error=str(error.response.get("error")))
            await self._voice.whisper(client, place(body), TOO_SLOW)

    async def submitted(self, client: AsyncWebClient, body: Body, action: str) -> None:
        """A form with a reason came back."""
        carried, where = _noted(body)
        where = replace(where, user=actor(body).user)
        await self.decide(client, body, action, carried, reason(body), where)

    async def expected(self, client: AsyncWebClient, body: Body, anomaly_id: str) -> None:
        """Open the form that asks why an anomaly was to be expected."""
        acting, where = actor(body), place(body)
        if await self._let_in(client, acting, where, anomaly_card.EXPECTED, anomaly_id) is not None:
            await self._open(client, body, anomaly_card.expected_view(anomaly_id, _note(anomaly_id, where)))

    async def expected_submitted(self, client: AsyncWebClient, body: Body) -> None:
        """Keep that somebody expected an anomaly, and say so in the thread."""
        anomaly_id, where = _noted(body)
        acting = replace(actor(body), channel=where.channel)
        where = replace(where, user=acting.user)
        known = await self._let_in(client, acting, where, anomaly_card.EXPECTED, anomaly_id)
        if known is None:
            return
        why = reason(body)
        said = f"{known.principal.name} expected this: {why}"
        await self._keep_word(client, where, anomaly_id, known, "expected", why, said, "It will not be reported again.")

    async def useful(self, client: AsyncWebClient, body: Body, anomaly_id: str) -> None:
        """Keep that an anomaly was worth telling: its like counts more from now on."""
        acting, where = actor(body), place(body)
        where = replace(where, thread_ts=where.thread_ts or text(body, "container", "message_ts"))
        known = await self._let_in(client, acting, where, anomaly_card.USEFUL, anomaly_id)
        if known is not None:
            said = f"{known.principal.name} found this useful."
            await self._keep_word(client, where, anomaly_id, known, "useful", "", said, "Its like will come first.")

    async def mute(self, client: AsyncWebClient, body: Body, anomaly_id: str) -> None:
        """Open the form that asks until when a series shall be silent, and why."""
        acting, where = actor(body), place(body)
        if await self._let_in(client, acting, where, anomaly_card.MUTE, anomaly_id) is None:
            return
        try:
            anomaly = await self._services.threads.in_thread(self._anomaly, anomaly_id)
        except NotFoundError as error:
            await self._voice.whisper(client, where, error_card.message(error))
            return
        until = (self._services.now() + MUTED_FOR).date()
        await self._open(client, body, anomaly_card.mute_view(anomaly, _note(anomaly_id, where), until))

    async def mute_submitted(self, client: AsyncWebClient, body: Body) -> None:
        """Keep that a series is silent until a day, and say so in the thread."""
        anomaly_id, where = _noted(body)
        acting = replace(actor(body), channel=where.channel)
        where = replace(where, user=acting.user)
        known = await self._let_in(client, acting, where, anomaly_card.MUTE, anomaly_id)
        until = chosen_day(body)
        if known is None or until is None:
            return
        said = f"{known.principal.name} muted this series until {until.day} {until:%b %Y}: {reason(body)}"
        fix = "It stays listed, and is not reported."
        await self._keep_word(client, where, anomaly_id, known, "mute", reason(body), said, fix, until)

    async def _keep_word(
        self,
        client: AsyncWebClient,
        where: Place,
        anomaly_id: str,
        known: Known,
        verdict: str,
        why: str,
        said: str,
        fix: str,
        until: date | None = None,
    ) -> None:
        """Store what a person says of an anomaly, and repeat it where others see it."""
        try:
            await self._services.threads.in_thread(self._note_word, anomaly_id, known.principal, verdict, why, until)
        except OptiInfraError as error:
            await self._voice.whisper(client, where, error_card.message(error))
            return
        await self._say(client, where, error_card.said(said, fix=fix))

    async def investigate(self, client: AsyncWebClient, body: Body, anomaly_id: str) -> None:
        """Put what is known about an anomaly into the thread of the message it stands in."""
        acting, where = actor(body), place(body)
        where = replace(where, thread_ts=where.thread_ts or text(body, "container", "message_ts"))
        if await self._let_in(client, acting, where, anomaly_card.INVESTIGATE, anomaly_id) is None:
            return
        try:
            anomaly = await self._services.threads.in_thread(self._anomaly, anomaly_id)
            tree = await self._services.threads.in_thread(self._services.investigate, anomaly)
        except OptiInfraError as error:
            await self._voice.whisper(client, where, error_card.message(error))
            return
        await self._say(client, where, anomaly_card.investigation(anomaly, tree))

    async def propose(self, client: AsyncWebClient, body: Body, recommendation_id: str) -> None:
        """Propose a rollout of a recommendation; its card appears where rollouts are decided."""
        acting, where = actor(body), place(body)
        known = await self._let_in(client, acting, where, "recommendation.propose", recommendation_id)
        if known is None:
            return
        propose = self._services.propose
        try:
            rollout = await self._services.threads.in_thread(propose, recommendation_id, known.principal, where.channel)
        except OptiInfraError as error:
            if isinstance(error, RefusedError):
                self._services.metrics.refusals.labels(error.reason).inc()
            await self._voice.whisper(client, where, error_card.message(error))
            return
        self._services.ring()
        proposed = f"Proposed: {rollout.plan.title} ({rollout.id}). Its card appears where rollouts are decided."
        await self._voice.whisper(client, where, error_card.said(proposed, fix="Somebody else must approve it."))

    async def unknown(self, client: AsyncWebClient, body: Body) -> None:
        """No click is ever swallowed: what nobody knows is said to be unknown."""
        await self._voice.whisper(client, place(body), NOT_MINE)

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

    async def _say(self, client: AsyncWebClient, where: Place, message: Message) -> None:
        try:
            await self._voice.say(client, where, message)
        except NotDeliveredError:
            await self._voice.whisper(client, replace(where, thread_ts=""), message)

    async def _refresh(self, client: AsyncWebClient, body: Body, rollout_id: str) -> None:
        """The card shows again what is stored: through the outbox where it is ours, directly where it was left behind."""
        channel, ts = text(body, "container", "channel_id"), text(body, "container", "message_ts")
        message, ours = await self._services.threads.in_thread(self._card, rollout_id, channel, ts)
        self._services.ring()
        if message is not None and ts and not ours:
            try:
                await self._voice.rewrite(client, channel, ts, message)
            except NotDeliveredError as error:
                _log.info("old_card_not_refreshed", reason=error.reason)

    def _card(self, rollout_id: str, channel: str, ts: str) -> tuple[Message | None, bool]:
        services = self._services
        message = rollout_message(services.database, services.tenant, rollout_id)
        with services.database.begin() as tx:
            standing = outbox.posted(tx, services.tenant, "rollout", rollout_id)
            if message is not None and standing:
                outbox.put(tx, services.tenant, "rollout", rollout_id, now=services.now(), channel=next(iter(standing)))
        return message, standing.get(channel) == ts

    def _rollout(self, rollout_id: str) -> Rollout:
        with self._services.database.read() as tx:
            return rollouts.get(tx, self._services.tenant, rollout_id[:64])

    def _anomaly(self, anomaly_id: str) -> Anomaly:
        with self._services.database.read() as tx:
            known = findings.anomalies(tx, self._services.tenant)
        found = next((a for a in known if a.id == anomaly_id), None)
        if found is None:
            raise NotFoundError("This anomaly is not known any more.", fix="Ask me to list the anomalies.")
        return found

    def _note_word(self, anomaly_id: str, person: Principal, verdict: str, why: str, until: date | None) -> None:
        self._anomaly(anomaly_id)
        services = self._services
        with services.database.begin() as tx:
            findings.give_feedback(
                tx,
                services.tenant,
                anomaly_id,
                verdict,
                actor=person.id,
                reason=why,
                now=services.now(),
                until=until,
            )


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


def _note(carried: str, where: Place) -> str:
    return json.dumps({"about": carried[:2000], "channel": where.channel, "thread": where.thread_ts})


def _noted(body: Body) -> tuple[str, Place]:
    """What a form was about, and where it was opened; nothing when the note is not ours."""
    try:
        note = json.loads(text(body, "view", "private_metadata") or "{}")
    except ValueError:
        note = {}
    note = note if isinstance(note, dict) else {}
    return text(note, "about"), Place(text(note, "channel"), text(note, "thread"), "")
