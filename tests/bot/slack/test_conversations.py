"""People ask in a channel, in a direct message and by command, and are answered in a thread with numbers they can check."""

from __future__ import annotations

from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp

from bot.shared.limits import LocalLimiter
from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.bot.slack.world import World

COSTS = "cloud-costs"


def reply_to(ts: str) -> Any:
    """A message of the bot's in the thread of that message."""
    return lambda m: m["bot"] and m["thread_ts"] == ts and not m["ephemeral_to"]


def whisper_to(user: str, words: str = "") -> Any:
    """Something that only this person sees."""
    return lambda m: m["ephemeral_to"] == user and words in m["text"]


def kinds(message: dict[str, Any]) -> list[str]:
    return [block["type"] for block in message["blocks"]]


async def test_a_question_and_its_follow_up(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """Priya mentions the bot, reads table and chart in the thread, and asks on without mentioning it again."""
    asked = workspace.say("priya", COSTS, "@optiinfra what did we spend in October?")
    answer = await workspace.aio.wait_for(reply_to(asked))
    assert answer["text"] == "Answer to: what did we spend in October?"
    assert {"section", "data_visualization", "data_table", "context", "actions"} <= set(kinds(answer))
    assert "1-31 Oct 2026" in answer["rendered"]
    assert "billed cost" in answer["rendered"]
    assert "complete before Sun 22 Nov 2026" in answer["rendered"]
    assert "Azure is one day late" in answer["rendered"]

    workspace.say("priya", COSTS, "and in September?", thread_ts=asked)
    await workspace.aio.wait_for(lambda m: m["bot"] and "and in September?" in m["text"])
    assert {q.thread for q in world.mind.asked} == {f"T0LUMEN:C0COSTS:{asked}"}
    assert world.mind.asked[0].principal.id == "priya@lumen.example"
    methods = [c["method"] for c in workspace.calls]
    assert methods.index("assistant.threads.setStatus") < methods.index("chat.postMessage")


async def test_the_bot_stays_out_of_threads_that_are_not_its_own(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """People talk to each other; the bot neither answers nor keeps anything of it."""
    first = workspace.say("ben", COSTS, "who broke the build?")
    workspace.say("priya", COSTS, "not me", thread_ts=first)
    asked = workspace.say("priya", COSTS, "@optiinfra what did we spend?")
    await workspace.aio.wait_for(reply_to(asked))
    assert len(world.mind.asked) == 1


async def test_a_direct_message_needs_no_mention(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """In a direct message everything is a question."""
    asked = workspace.say("dan", "dm:dan", "what did we spend?")
    answer = await workspace.aio.wait_for(reply_to(asked))
    assert answer["text"] == "Answer to: what did we spend?"
    assert world.mind.asked[0].principal.name == "Dan Ito"


async def test_show_query_opens_what_every_number_rests_on(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """The button opens SQL, parameters, rows and as-of."""
    asked = workspace.say("priya", COSTS, "@optiinfra what did we spend?")
    answer = await workspace.aio.wait_for(reply_to(asked))
    await workspace.aio.press("priya", answer, "answer.receipt")
    shown = (await workspace.aio.wait_for_view("priya"))["rendered"]
    for part in ("SELECT service_name", "start = 2026-10-01", "4711 rows", "as of 2026-11-23 08:00 UTC"):
        assert part in shown


async def test_an_ambiguous_question_offers_its_readings(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """The bot does not guess: it asks back with buttons, and answers what was chosen in the same thread."""
    asked = workspace.say("priya", COSTS, "@optiinfra something ambiguous")
    question = await workspace.aio.wait_for(reply_to(asked))
    assert "[billed costs]" in question["rendered"]
    await workspace.aio.press("priya", question, "answer.choose.1")
    await workspace.aio.wait_for(lambda m: m["bot"] and m["text"] == "Answer to: effective costs")
    assert world.mind.asked[1].thread == world.mind.asked[0].thread


async def test_many_or_long_readings_come_as_a_menu(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """What fits no button is chosen whole from a menu."""
    asked = workspace.say("priya", COSTS, "@optiinfra a long one")
    question = await workspace.aio.wait_for(reply_to(asked))
    menu = question["blocks"][-1]["elements"][0]
    await workspace.aio.press("priya", question, menu["action_id"], menu["options"][6]["value"])
    await workspace.aio.wait_for(lambda m: m["bot"] and "choice 6" in m["text"])
    assert world.mind.asked[1].text == "choice 6 " + "x" * 100


async def test_cost_questions_get_a_thread(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """/cost shows the question in the channel and answers beneath it."""
    await workspace.aio.command("priya", COSTS, "/cost", "what did we spend <!channel> & more?")
    root = await workspace.aio.wait_for(lambda m: m["bot"] and "asks:" in m["text"])
    answer = await workspace.aio.wait_for(reply_to(root["ts"]))
    assert "Answer to:" in answer["text"]
    assert "<!channel>" not in root["text"] + answer["text"]


async def test_cost_where_the_bot_is_not_answers_privately(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """In a channel without the bot only the person who asked sees the answer."""
    await workspace.aio.command("priya", "random", "/cost", "what did we spend?")
    answer = await workspace.aio.wait_for(whisper_to("U0PRIYA", "Answer to"))
    assert "data_table" in kinds(answer)


async def test_help_and_lists(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """The commands say what they can do and what there is."""
    await workspace.aio.command("dan", COSTS, "/cost", "help")
    assert "/cost recs" in (await workspace.aio.wait_for(whisper_to("U0DAN")))["text"]
    await workspace.aio.command("dan", COSTS, "/cost", "recs")
    await workspace.aio.wait_for(whisper_to("U0DAN", "nothing to recommend"))
    await workspace.aio.command("dan", COSTS, "/cost", "rollouts")
    await workspace.aio.wait_for(whisper_to("U0DAN", "no rollouts yet"))
    await workspace.aio.command("gus", COSTS, "/cost", "recs")
    await workspace.aio.wait_for(whisper_to("U0GUS", "Guests of this workspace"))


async def test_a_known_failure_says_what_happened_and_what_to_do(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """What happened, that nothing was changed, what to do, and a reference."""
    asked = workspace.say("priya", COSTS, "@optiinfra something broken")
    told = (await workspace.aio.wait_for(reply_to(asked)))["text"]
    assert told.startswith(
        "The cost data could not be read. Nothing was changed. Try again in a minute. Reference: err-"
    )


async def test_an_unknown_failure_shows_nothing_of_the_inside(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """No stack trace reaches a person; the reference does."""
    workspace.say("priya", COSTS, "@optiinfra please crash")
    told = await workspace.aio.wait_for(whisper_to("U0PRIYA", "Reference: err-"))
    assert "secret" not in told["text"]
    assert "Traceback" not in told["rendered"]


async def test_one_answer_however_often_slack_tells_of_a_message(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """Duplicate deliveries and lost acknowledgements do not double an answer, nor does a retry get lost."""
    workspace.fault("duplicate")
    workspace.fault("drop_acks", times=1)
    asked = workspace.say("priya", COSTS, "@optiinfra what did we spend?")
    await workspace.aio.wait_for(reply_to(asked))
    await workspace.aio.until(lambda: sum(d["type"] == "events_api" for d in workspace.status()["deliveries"]) >= 3)
    assert len(world.mind.asked) == 1


async def test_too_many_questions_are_answered_plainly(
    workspace: SlackWorkspace, bot: AsyncApp, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks too much is told when to ask again."""
    small = LocalLimiter(1)
    monkeypatch.setattr(world.limiter, "wait_for", small.wait_for)
    first = workspace.say("priya", COSTS, "@optiinfra one")
    await workspace.aio.wait_for(reply_to(first))
    workspace.say("priya", COSTS, "@optiinfra two")
    await workspace.aio.wait_for(whisper_to("U0PRIYA", "You have asked a lot"))
    assert len(world.mind.asked) == 1
    assert b'optiinfra_ratelimited_total{door="slack"} 1.0' in world.metrics.text()


async def test_ten_kilobytes_of_text_are_refused_politely(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """A wall of text gets a sentence and not the mind."""
    workspace.say("priya", COSTS, "@optiinfra " + "all the costs of everything " * 370)
    await workspace.aio.wait_for(whisper_to("U0PRIYA", "I read up to 3000"))
    assert not world.mind.asked


async def test_strangers_guests_and_shared_channels_see_no_costs(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """A partner's employee, a guest, and a channel that others read along get a reason and no number."""
    workspace.say("olga", "partner-lumen", "@optiinfra what do they spend?")
    await workspace.aio.wait_for(whisper_to("U0OLGA", "not a member of this workspace"))
    workspace.say("gus", COSTS, "@optiinfra what do they spend?")
    await workspace.aio.wait_for(whisper_to("U0GUS", "Guests"))
    workspace.say("priya", "partner-lumen", "@optiinfra what do we spend?")
    await workspace.aio.wait_for(whisper_to("U0PRIYA", "shared with another company"))
    assert not world.mind.asked


async def test_a_question_about_a_rollout_leads_to_its_card(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """The answer links the card that stands in the approvals channel."""
    from tests.bot.slack.world import proposal

    world.mind.rollout_id = world.add(proposal()).id
    await workspace.aio.until(lambda: world.outbox(workspace.api_url).deliver() or True)
    asked = workspace.say("priya", COSTS, "@optiinfra how is the rollout?")
    answer = await workspace.aio.wait_for(reply_to(asked))
    assert "Open the card" in answer["rendered"]
