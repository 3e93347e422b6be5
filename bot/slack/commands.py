"""Commands: what can be typed after /cost - a question, or help, recs, anomalies, alerts, rollouts, rollback."""

from __future__ import annotations

from dataclasses import replace

from slack_sdk.web.async_client import AsyncWebClient

from bot.shared.message import Message
from bot.shared.posting import NotDeliveredError
from bot.slack import elements as e
from bot.slack.anomalies import Anomalies
from bot.slack.buttons import Buttons
from bot.slack.cards import error as error_card
from bot.slack.cards import recommendation as recommendation_card
from bot.slack.cards import rollout as rollout_card
from bot.slack.delivery import Voice, place
from bot.slack.envelope import Body, text
from bot.slack.people import Directory, actor, record_refusal
from bot.slack.presses import REASON
from bot.slack.questions import LONGEST, Questions, words
from bot.slack.services import Services
from bot.slack.words import clip, escape
from tools.model.errors import RefusedError
from tools.store import recommendations, rollouts

COMMAND = "/cost"
LISTED = 20
HELP = (
    ("/cost what did we spend per service last month?", "a question; its answer comes in a thread"),
    ("/cost recs", "the savings that could be had"),
    ("/cost anomalies", "what is unusual now, with what is held back or muted"),
    ("/cost alerts 5", "tell at most 5 anomalies a week in the digest; without a number: how many it is now"),
    ("/cost unmute ID", "report a muted series again"),
    ("/cost rollouts", "what is proposed, running or done"),
    ("/cost rollback ID REASON", "roll a rollout back to where it began"),
    ("/cost help", "this"),
)


class Commands:
    """Answers /cost."""

    def __init__(
        self,
        services: Services,
        directory: Directory,
        voice: Voice,
        questions: Questions,
        buttons: Buttons,
        anomalies: Anomalies,
    ) -> None:
        self._services = services
        self._directory = directory
        self._voice = voice
        self._questions = questions
        self._buttons = buttons
        self._anomalies = anomalies

    async def typed(self, client: AsyncWebClient, body: Body) -> None:
        """Do what the first word says; everything else is a question."""
        said = text(body, "text").strip()
        first, _, rest = said.partition(" ")
        match first.lower():
            case "" | "help":
                await self._voice.whisper(client, place(body), helped())
            case "recs" if not rest:
                await self._listed(client, body, self._recommendations)
            case "rollouts" if not rest:
                await self._listed(client, body, self._rollouts)
            case "anomalies" if not rest:
                await self._anomalies.listed(client, body)
            case "alerts" if len(rest.split()) <= 1:
                await self._anomalies.wanted(client, body, rest.strip())
            case "unmute" if len(rest.split()) == 1:
                await self._anomalies.unmuted(client, body, rest.strip())
            case "rollback":
                await self._rollback(client, body, rest.strip())
            case _:
                await self._question(client, body, said)

    async def _listed(self, client: AsyncWebClient, body: Body, draw: object) -> None:
        acting, where = actor(body), place(body)
        try:
            await self._directory.who(client, acting)
        except RefusedError as error:
            await self._services.threads.in_thread(record_refusal, self._services, acting, "list", "-", error)
            await self._voice.whisper(client, where, error_card.message(error))
            return
        assert callable(draw)
        await self._voice.whisper(client, where, await self._services.threads.in_thread(draw))

    def _recommendations(self) -> Message:
        with self._services.database.read() as tx:
            return recommendation_card.message(recommendations.listing(tx, self._services.tenant))

    def _rollouts(self) -> Message:
        with self._services.database.read() as tx:
            found = rollouts.listing(tx, self._services.tenant)
        if not found:
            return error_card.said("There are no rollouts yet.", fix="/cost recs shows what could be proposed.")
        lines = [rollout_card.one_line(r) for r in found]
        return Message(
            escape(clip("; ".join(lines), 2000)), (e.header("Rollouts"), e.rich([e.bullets(lines, most=LISTED)]))
        )

    async def _rollback(self, client: AsyncWebClient, body: Body, rest: str) -> None:
        rollout_id, _, reason = rest.partition(" ")
        if not rollout_id or len(reason.strip()) < REASON:
            usage = f"Say which rollout and why, in at least {REASON} characters. Nothing was changed."
            fix = "For example: /cost rollback ro-1a2b3c4d5e6f errors rose after the last step"
            await self._voice.whisper(client, place(body), error_card.said(usage, fix=fix))
            return
        done = await self._buttons.decide_now(client, body, rollout_id, rollout_card.ROLLBACK, reason.strip())
        if done is not None:
            told = f"{done.plan.title} ({done.id}) goes back to where it began. Its card shows how far it is."
            await self._voice.whisper(client, place(body), error_card.said(told))

    async def _question(self, client: AsyncWebClient, body: Body, said: str) -> None:
        """The question is shown in the conversation, so that its answer has a thread; where the bot is not, it whispers."""
        acting, where = actor(body), place(body)
        said = words(said, "")
        if len(said) > LONGEST or not await self._may_show(client, body):
            await self._questions.asked(client, acting, where, said, alone=True)
            return
        try:
            ts = await self._voice.say(client, replace(where, response_url=""), asked(where.user, said))
        except NotDeliveredError:
            await self._questions.asked(client, acting, where, said, alone=True)
            return
        await self._questions.asked(client, acting, replace(where, thread_ts=ts), said)

    async def _may_show(self, client: AsyncWebClient, body: Body) -> bool:
        """Whether the person may ask here at all; a refusal is told by the question itself, to them alone."""
        try:
            await self._directory.who(client, actor(body))
        except RefusedError:
            return False
        return True


def asked(user: str, said: str) -> Message:
    """The question as it stands at the root of its thread: their words, shown literally."""
    return Message(
        f"<@{user}> asks: {escape(said)}",
        (e.small_print(f"<@{user}> asks:"), e.section(said)),
    )


def helped() -> Message:
    """What can be typed."""
    lines = [f"{typed} - {what}" for typed, what in HELP]
    return Message(escape("\n".join(lines)), (e.header("What I can do"), e.rich([e.bullets(lines)])))
