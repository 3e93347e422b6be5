"""Anomalies: what people press and type about them - kept once, shown on the card to everybody, or refused with a reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from slack_sdk.web.async_client import AsyncWebClient

from bot.shared.message import Message
from bot.slack.cards import anomaly as card
from bot.slack.cards import error as error_card
from bot.slack.delivery import Place, place
from bot.slack.envelope import Body, text
from bot.slack.people import Known, actor
from bot.slack.presses import Presses, chosen_day, missing_reason, note, noted, reason
from bot.slack.words import day
from tools.analysis import verdicts
from tools.analysis.verdicts import Said
from tools.model.access import Principal
from tools.model.anomaly import Anomaly
from tools.model.errors import OptiInfraError, RefusedError
from tools.store import alerts, findings, outbox

_KEPT = {
    "useful": "Kept. Anomalies like this one will come first.",
    "expected": "Kept. It is not reported again, and those days count as usual from now on.",
    "mute": "Kept. {title} stays listed, and is not reported until {until} is over.",
    "unmute": "{title} is reported again.",
    "reopen": "Kept: it was not expected. It is reported again if it goes on.",
}
_STANDS = {
    "useful": "You said so already.",
    "expected": "You said so already, with the same reason.",
    "mute": "You muted it already, until the same day and with the same reason.",
    "unmute": "It is not muted (any more).",
    "reopen": "Nobody calls it expected (any more).",
}
NO_DAY = {"until": "Choose the last day on which it shall be silent."}


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where something was pressed: the place to answer in, the message, and where to redraw it if it is for one alone."""

    where: Place
    message: str
    reply: str = ""


class Anomalies(Presses):
    """The buttons and forms of anomaly cards, and the commands about alerts."""

    async def press(self, client: AsyncWebClient, body: Body, action: str, anomaly_id: str) -> None:
        """Useful, unmute, not expected: kept at once."""
        await self._keep(client, body, action, anomaly_id, _spot(body))

    async def ask(self, client: AsyncWebClient, body: Body, action: str, anomaly_id: str) -> None:
        """Expected, mute: open the form that asks why (and until when)."""
        spot = _spot(body)
        if await self._let_in(client, actor(body), spot.where, action, anomaly_id) is None:
            return
        try:
            anomaly = await self._services.threads.in_thread(self._anomaly, anomaly_id)
        except OptiInfraError as error:
            await self._voice.whisper(client, spot.where, error_card.message(error))
            return
        travels = note(anomaly_id, spot.where, message=spot.message, reply=spot.reply)
        if action == card.EXPECTED:
            await self._open(client, body, card.expected_view(anomaly_id, travels))
            return
        until = (self._services.now() + verdicts.USUAL_MUTE).date()
        await self._open(client, body, card.mute_view(anomaly, travels, until))

    def missing(self, body: Body) -> dict[str, str]:
        """What is wrong with a filled-in mute, per field; empty when it will do."""
        until = chosen_day(body)
        if until is None:
            return NO_DAY | missing_reason(body)
        problem = verdicts.mute_problem(until, self._services.now().date())
        return ({"until": problem} if problem else {}) | missing_reason(body)

    async def submitted(self, client: AsyncWebClient, body: Body, action: str) -> None:
        """A form came back: keep what it says."""
        back = noted(body)
        until = chosen_day(body) if action == card.MUTE else None
        spot = _Spot(back.where, back.message, back.reply)
        await self._keep(client, body, action, back.about, spot, reason(body), until)

    async def _keep(
        self,
        client: AsyncWebClient,
        body: Body,
        action: str,
        anomaly_id: str,
        spot: _Spot,
        why: str = "",
        until: date | None = None,
    ) -> None:
        """Store the word once, tell the person what becomes of it, and show everybody on the card."""
        acting = replace(actor(body), channel=spot.where.channel)
        known = await self._let_in(client, acting, spot.where, action, anomaly_id)
        if known is None:
            return
        verdict = action.partition(".")[2]
        try:
            said = await self._services.threads.in_thread(self._say_it, anomaly_id, verdict, known, why, until, spot)
        except OptiInfraError as error:
            if isinstance(error, RefusedError):
                self._services.metrics.refusals.labels(error.reason).inc()
            await self._voice.whisper(client, spot.where, error_card.message(error))
            return
        if said.changed:
            self._services.ring()
        if spot.reply:
            await self._redraw(client, spot)
        else:
            await self._voice.whisper(client, spot.where, _answer(said, verdict, until))

    async def _redraw(self, client: AsyncWebClient, spot: _Spot) -> None:
        """The list that only this person sees is drawn anew; where that is too late, beneath it."""
        shown = await self._services.threads.in_thread(self._board)
        if not await self._voice.redraw(replace(spot.where, response_url=spot.reply), shown):
            await self._voice.whisper(client, replace(spot.where, response_url=""), shown)

    def _say_it(self, anomaly_id: str, verdict: str, known: Known, why: str, until: date | None, spot: _Spot) -> Said:
        services, now = self._services, self._services.now()
        self._anomaly(anomaly_id)
        said = verdicts.say(
            services.database,
            services.tenant,
            anomaly_id,
            verdict,
            known.principal,
            reason=why,
            until=until,
            now=now,
        )
        # Also when it stood already: the card that was pressed may be older than what is stored.
        with services.database.begin() as tx:
            told = alerts.told(tx, services.tenant).get(anomaly_id)
            days = {told.first, told.last} if told else set()
            for subject in {f"{d}" for d in days} | outbox.standing_at(
                tx, services.tenant, "digest", spot.where.channel, (spot.message, spot.where.thread_ts)
            ):
                for channel in outbox.posted(tx, services.tenant, "digest", subject):
                    outbox.put(tx, services.tenant, "digest", subject, now=now, channel=channel)
        return said

    async def investigate(self, client: AsyncWebClient, body: Body, anomaly_id: str) -> None:
        """Put the exact reasons of an anomaly into the thread of the message it stands in."""
        spot = _spot(body)
        if await self._let_in(client, actor(body), spot.where, card.INVESTIGATE, anomaly_id) is None:
            return
        try:
            anomaly = await self._services.threads.in_thread(self._anomaly, anomaly_id)
            tree = await self._services.threads.in_thread(self._services.investigate, anomaly)
        except OptiInfraError as error:
            await self._voice.whisper(client, spot.where, error_card.message(error))
            return
        answer = card.investigation(anomaly, tree)
        if spot.reply:
            await self._voice.whisper(client, spot.where, answer)
        else:
            await self._say(client, replace(spot.where, thread_ts=spot.where.thread_ts or spot.message), answer)

    # what is typed

    async def listed(self, client: AsyncWebClient, body: Body) -> None:
        """/cost anomalies: what goes on, with what is held back and muted."""
        where = place(body)
        if await self._let_in(client, actor(body), where, "list", "-") is not None:
            await self._voice.whisper(client, where, await self._services.threads.in_thread(self._board))

    async def unmuted(self, client: AsyncWebClient, body: Body, anomaly_id: str) -> None:
        """/cost unmute ID."""
        await self._keep(client, body, card.UNMUTE, anomaly_id[:64], _Spot(place(body), ""))

    async def wanted(self, client: AsyncWebClient, body: Body, typed: str) -> None:
        """/cost alerts [N]: show or set how many alerts a week are wanted."""
        where = place(body)
        known = await self._let_in(client, actor(body), where, "alerts.set" if typed else "list", "alerts")
        if known is None:
            return
        if typed and not (typed.isascii() and typed.isdigit() and len(typed) <= 6):
            usage = "Say how many alerts a week you want, as a whole number; 0 is none. Nothing was changed."
            await self._voice.whisper(client, where, error_card.said(usage, fix="For example: /cost alerts 5"))
            return
        try:
            told = await self._services.threads.in_thread(self._want, typed, known.principal)
        except OptiInfraError as error:
            await self._voice.whisper(client, where, error_card.message(error))
            return
        await self._voice.whisper(client, where, error_card.said(told))

    def _want(self, typed: str, person: Principal) -> str:
        services = self._services
        if typed:
            verdicts.want(services.database, services.tenant, int(typed), person, now=services.now())
        return card.alerts(services.board(), changed=bool(typed))

    def _board(self) -> Message:
        return card.board(self._services.board())

    def _anomaly(self, anomaly_id: str) -> Anomaly:
        with self._services.database.read() as tx:
            return findings.one(tx, self._services.tenant, anomaly_id)


def _answer(said: Said, verdict: str, until: date | None) -> Message:
    """To the person alone: what becomes of it, or that it stood already."""
    if not said.changed:
        return error_card.said(_STANDS[verdict], fix="Nothing was changed.")
    title = said.anomaly.title or "All costs"
    return error_card.said(_KEPT[verdict].format(title=title, until=day(until) if until else ""))


def _spot(body: Body) -> _Spot:
    """Where a button was pressed."""
    where = place(body)
    message = text(body, "container", "message_ts")
    container = body.get("container")
    alone = isinstance(container, dict) and container.get("is_ephemeral") is True
    return _Spot(where, message, where.response_url if alone else "")
