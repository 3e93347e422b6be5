"""Buttons: a click or a filled-in form becomes a decision for exactly what its card showed, or an explained refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from slack_sdk.web.async_client import AsyncWebClient

from bot.shared.message import Message
from bot.shared.posting import NotDeliveredError
from bot.slack.cards import error as error_card
from bot.slack.cards import rollout as rollout_card
from bot.slack.delivery import Place, Voice, place
from bot.slack.envelope import Body, text
from bot.slack.people import Directory, Known, actor
from bot.slack.presses import Presses, note, noted, reason
from bot.slack.rendering import rollout_message
from bot.slack.services import Services
from tools.model.access import Principal
from tools.model.errors import NotFoundError, OptiInfraError, RefusedError
from tools.model.rollout import Rollout, Seen
from tools.store import outbox, rollouts
from tools.telemetry.logs import get_logger

Gate = Callable[[Seen, Principal, str], Rollout]
NOT_MINE = error_card.said(
    "I do not know this button: it is not from a card of mine, or from a version that is gone. Nothing was changed.",
    fix="Use the newest card, or /cost rollouts.",
)
_log = get_logger(__name__)


class Buttons(Presses):
    """What people press and submit about rollouts and recommendations."""

    def __init__(self, services: Services, directory: Directory, voice: Voice) -> None:
        super().__init__(services, directory, voice)
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
        await self._open(client, body, rollout_card.reason_view(action, rollout, note(carried, where)))

    async def submitted(self, client: AsyncWebClient, body: Body, action: str) -> None:
        """A form with a reason came back."""
        back = noted(body)
        await self.decide(client, body, action, back.about, reason(body), back.where)

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
