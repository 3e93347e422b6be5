"""The real slack_sdk clients against the workspace: what works, and each refusal with Slack's own code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.models.messages.chunk import MarkdownTextChunk, PlanUpdateChunk, TaskUpdateChunk
from slack_sdk.web.async_client import AsyncWebClient

from sandbox import organisation
from sandbox.slack.pytest_plugin import SlackWorkspace
from sandbox.slack.workspace import Workspace
from tests.sandbox.slack.gallery import CARD, FORM, HOME, TASKS

Refused = Callable[..., Any]


def test_who_am_i(web: WebClient) -> None:
    """auth.test, team.info, bots.info and api.test know the app."""
    me = web.auth_test()
    assert (me["team_id"], me["user_id"], me["bot_id"]) == ("T0LUMEN", "U0OPTIINFRA", "B0OPTIINFRA")
    assert web.team_info()["team"]["domain"] == "lumen-market"
    assert web.bots_info(bot="B0OPTIINFRA")["bot"]["user_id"] == "U0OPTIINFRA"
    assert web.api_test(error=None)["ok"]


def test_people_are_found_by_id_and_by_mail(web: WebClient, refused: Refused) -> None:
    """E-mail addresses are there for our own people only; the partner's stay hidden."""
    priya = web.users_info(user="U0PRIYA")["user"]
    assert priya["profile"]["email"] == "priya@lumen.example"
    assert web.users_lookupByEmail(email="Ben@lumen.example")["user"]["id"] == "U0BEN"
    olga = web.users_info(user="U0OLGA")["user"]
    assert (olga["team_id"], olga["is_stranger"], "email" in olga["profile"]) == ("T0PARTNER", True, False)
    assert web.users_info(user="U0GUS")["user"]["is_restricted"]
    assert web.users_info(user="U0OPTIINFRA")["user"]["is_bot"]
    assert "U0OLGA" not in [member["id"] for member in web.users_list()["members"]]
    assert refused(web.users_info, user="U0NOBODY")["error"] == "user_not_found"
    assert refused(web.users_lookupByEmail, email="olga@partner.example")["error"] == "users_not_found"
    assert refused(web.bots_info, bot="B0OTHER")["error"] == "bot_not_found"


def test_tokens_and_scopes(workspace: SlackWorkspace, web: WebClient, refused: Refused) -> None:
    """No token, a wrong one, the wrong kind, a real-looking one, and a scope that was not granted."""
    assert refused(WebClient(base_url=workspace.api_url).auth_test)["error"] == "not_authed"
    assert refused(WebClient("xoxb-other", base_url=workspace.api_url).auth_test)["error"] == "invalid_auth"
    real = "xoxb-" + "123456789012-abcdefghijkl"
    answer = refused(WebClient(real, base_url=workspace.api_url).auth_test)
    assert answer["error"] == "invalid_auth"
    assert "sandbox" in answer["response_metadata"]["messages"][0]
    assert refused(web.apps_connections_open, app_token=organisation.BOT_TOKEN)["error"] == "not_allowed_token_type"
    assert web.apps_connections_open(app_token=organisation.APP_TOKEN)["url"].startswith("ws://127.0.0.1:")

    workspace.sandbox.workspace.scopes -= {"reactions:write"}
    answer = refused(web.reactions_add, channel="C0COSTS", timestamp="1.0", name="eyes")
    assert (answer["error"], answer["needed"]) == ("missing_scope", "reactions:write")
    assert "chat:write" in answer["provided"]
    assert refused(web.api_call, "chat.teleport")["error"] == "unknown_method"


def test_a_message_is_posted_changed_and_deleted(workspace: SlackWorkspace, web: WebClient, refused: Refused) -> None:
    """Its blocks get ids, an edit keeps its place, text alone drops the blocks, and control words stay as sent."""
    sent = web.chat_postMessage(channel="cloud-costs", text="Beware <!channel> & co", blocks=CARD)
    assert sent["channel"] == "C0COSTS"
    assert all(block["block_id"] for block in sent["message"]["blocks"])
    assert workspace.transcript("cloud-costs")[0]["text"] == "Beware <!channel> & co"

    web.chat_update(
        channel="C0COSTS", ts=sent["ts"], text="Changed", metadata={"event_type": "card", "event_payload": {"v": 2}}
    )
    changed = workspace.transcript("cloud-costs")[0]
    assert (changed["text"], changed["blocks"], changed["ts"]) == ("Changed", [], sent["ts"])
    assert changed["edited"]
    assert changed["metadata"] == {"event_type": "card", "event_payload": {"v": 2}}
    link = web.chat_getPermalink(channel="C0COSTS", message_ts=sent["ts"])["permalink"]
    assert link == f"{workspace.url}/archives/C0COSTS/p{sent['ts'].replace('.', '')}"

    web.chat_delete(channel="C0COSTS", ts=sent["ts"])
    assert workspace.transcript("cloud-costs") == []
    assert refused(web.chat_update, channel="C0COSTS", ts=sent["ts"], text="x")["error"] == "message_not_found"
    assert refused(web.chat_delete, channel="C0COSTS", ts=sent["ts"])["error"] == "message_not_found"


def test_where_the_app_may_not_write(workspace: SlackWorkspace, web: WebClient, refused: Refused) -> None:
    """Unknown channels, channels it is not in, other people's messages, nothing to say, too much to say."""
    theirs = workspace.say("ben", "cloud-costs", "mine")
    post = web.chat_postMessage
    assert refused(post, channel="C0NOWHERE", text="x")["error"] == "channel_not_found"
    assert refused(post, channel="random", text="x")["error"] == "not_in_channel"
    assert refused(post, channel="C0COSTS", text="x" * 40_001)["error"] == "msg_too_long"
    assert refused(post, channel="C0COSTS", text="x", thread_ts="1.000000")["error"] == "thread_not_found"
    assert refused(post, channel="C0COSTS", text="x", markdown_text="y")["error"] == "markdown_text_conflict"
    assert refused(web.api_call, "chat.postMessage", json={"channel": "C0COSTS"})["error"] == "no_text"
    assert refused(web.chat_update, channel="C0COSTS", ts=theirs, text="x")["error"] == "cant_update_message"
    assert refused(web.chat_delete, channel="C0COSTS", ts=theirs)["error"] == "cant_delete_message"
    mine = post(channel="C0COSTS", markdown_text="**bold**")
    assert refused(web.chat_update, channel="C0COSTS", ts=mine["ts"], text="x" * 4001)["error"] == "msg_too_long"
    assert (
        refused(post, channel="C0COSTS", text="x", metadata={"event_type": 3})["error"]
        == "metadata_must_be_sent_from_app"
    )
    big = {"event_type": "x", "event_payload": {"x": "x" * 16_001}}
    assert refused(post, channel="C0COSTS", text="x", metadata=big)["error"] == "metadata_too_large"


def test_arguments_come_as_forms_or_as_json(web: WebClient, refused: Refused) -> None:
    """Lists are JSON strings inside forms; broken ones are told."""
    assert web.api_call("chat.postMessage", data={"channel": "C0COSTS", "text": "x", "blocks": '[{"type":"divider"}]'})[
        "ok"
    ]
    assert web.api_call("chat.postMessage", params={"channel": "C0COSTS", "text": "x"})["ok"]
    assert (
        refused(web.api_call, "chat.postMessage", json={"channel": ["C0COSTS"], "text": "x"})["error"]
        == "invalid_arguments"
    )
    assert (
        refused(web.api_call, "chat.postMessage", json={"channel": "C0COSTS", "text": "x", "blocks": {"a": 1}})["error"]
        == "invalid_blocks_format"
    )
    assert (
        refused(web.api_call, "chat.postMessage", json={"channel": "C0COSTS", "text": "x", "metadata": "["})["error"]
        == "invalid_arguments"
    )
    assert refused(web.conversations_list, limit="many")["error"] == "invalid_arguments"  # type: ignore[arg-type]
    assert refused(web.conversations_list, cursor="dreams")["error"] == "invalid_cursor"


def test_only_one_person_sees_an_ephemeral_message(workspace: SlackWorkspace, web: WebClient, refused: Refused) -> None:
    """Gus gets a reason that Ben does not see; people outside the conversation cannot get one."""
    web.chat_postEphemeral(channel="C0COSTS", user="U0GUS", text="You may not approve this.")
    assert [m["text"] for m in workspace.transcript("cloud-costs", user="gus")] == ["You may not approve this."]
    assert workspace.transcript("cloud-costs", user="ben") == []
    assert refused(web.chat_postEphemeral, channel="C0COSTS", user="U0OLGA", text="x")["error"] == "user_not_in_channel"
    assert refused(web.chat_postEphemeral, channel="C0COSTS", user="U0NOBODY", text="x")["error"] == "user_not_found"


def test_conversations_are_listed_page_by_page(workspace: SlackWorkspace, web: WebClient, refused: Refused) -> None:
    """Names, membership, history, threads and direct messages."""
    first = web.conversations_list(limit=3)
    assert first["response_metadata"]["next_cursor"]
    rest = web.conversations_list(limit=3, cursor=first["response_metadata"]["next_cursor"])
    names = [channel["name"] for channel in [*first["channels"], *rest["channels"]]]
    assert names == ["cloud-costs", "cost-approvals", "random", "partner-lumen"]
    assert web.conversations_list(types="im")["channels"][0]["is_im"]
    assert web.conversations_info(channel="C0PARTNER")["channel"]["is_ext_shared"]
    assert "U0OLGA" in web.conversations_members(channel="C0PARTNER")["members"]
    assert "U0OLGA" not in web.conversations_members(channel="C0COSTS")["members"]
    assert web.conversations_open(users="U0CARLA", return_im=True)["channel"]["user"] == "U0CARLA"
    assert web.conversations_open(channel="D0BEN")["channel"]["id"] == "D0BEN"

    top = workspace.say("ben", "cloud-costs", "first")
    reply = workspace.say("dan", "cloud-costs", "second", thread_ts=top)
    history = web.conversations_history(channel="C0COSTS")["messages"]
    assert [(m["text"], m["reply_count"]) for m in history] == [("first", 1)]
    assert [m["ts"] for m in web.conversations_replies(channel="C0COSTS", ts=top)["messages"]] == [top, reply]
    assert web.conversations_history(channel="C0COSTS", oldest=top)["messages"] == []
    assert len(web.conversations_history(channel="C0COSTS", oldest=top, inclusive=True)["messages"]) == 1
    assert refused(web.conversations_history, channel="C0RANDOM")["error"] == "not_in_channel"
    assert refused(web.conversations_info, channel="cloud-costs")["error"] == "channel_not_found"
    assert refused(web.conversations_open, users="U0BEN,U0DAN")["error"] == "too_many_users"
    assert refused(web.conversations_open, users="U0NOBODY")["error"] == "user_not_found"
    assert refused(web.conversations_replies, channel="C0COSTS", ts="1.0")["error"] == "message_not_found"


def test_reactions(workspace: SlackWorkspace, web: WebClient, refused: Refused) -> None:
    """Once each, and only what is there can be removed."""
    ts = workspace.say("ben", "cloud-costs", "x")
    web.reactions_add(channel="C0COSTS", timestamp=ts, name="eyes")
    assert workspace.transcript("cloud-costs")[0]["reactions"][0]["name"] == "eyes"
    assert refused(web.reactions_add, channel="C0COSTS", timestamp=ts, name="eyes")["error"] == "already_reacted"
    web.reactions_remove(channel="C0COSTS", timestamp=ts, name="eyes")
    assert refused(web.reactions_remove, channel="C0COSTS", timestamp=ts, name="eyes")["error"] == "no_reaction"


async def test_an_answer_is_streamed(workspace: SlackWorkspace) -> None:
    """The SDK's own stream helper: plan, tasks, text, final blocks; then it is closed for good."""
    client = AsyncWebClient(organisation.BOT_TOKEN, base_url=workspace.api_url)
    asked = workspace.say("priya", "cloud-costs", "why?")
    stream = await client.chat_stream(
        channel="C0COSTS",
        thread_ts=asked,
        recipient_user_id="U0PRIYA",
        recipient_team_id="T0LUMEN",
        task_display_mode="plan",
    )
    await stream.append(
        chunks=[PlanUpdateChunk(title="Reading"), TaskUpdateChunk(id="1", title="Read costs", status="in_progress")]
    )
    await stream.append(
        chunks=[TaskUpdateChunk(id="1", title="Read costs", status="complete", details="9-15 Nov", output="4,212 rows")]
    )
    await stream.append(chunks=[MarkdownTextChunk(text="**EC2** rose "), MarkdownTextChunk(text="by 26 %.")])
    assert workspace.transcript("cloud-costs", asked)[-1]["streaming"]
    await stream.stop(blocks=CARD[3:4])

    message = workspace.transcript("cloud-costs", asked)[-1]
    assert message["rendered"].splitlines() == [
        "Reading",
        "  ● Read costs",
        "      9-15 Nov",
        "      4,212 rows",
        "**EC2** rose by 26 %.",
        "[Approve 10 %] [Dry run] [Reject…] [Snooze ▾ 7 days / 30 days]",
    ]
    assert not message["streaming"]


def test_streams_have_rules(workspace: SlackWorkspace, web: WebClient, refused: Refused) -> None:
    """In a thread, for somebody, with chunks that exist, and never after the end."""
    asked = workspace.say("priya", "cloud-costs", "why?")
    begin = {"channel": "C0COSTS", "thread_ts": asked, "recipient_user_id": "U0PRIYA", "recipient_team_id": "T0LUMEN"}
    start = web.chat_startStream
    assert refused(start, channel="C0COSTS", thread_ts=asked)["error"] == "missing_recipient_user_id"
    assert refused(start, **(begin | {"recipient_user_id": "U0NO"}))["error"] == "user_not_found"
    assert refused(start, **(begin | {"thread_ts": ""}))["error"] == "invalid_arguments"
    assert refused(start, **begin, task_display_mode="cloud")["error"] == "invalid_arguments"
    stream = start(**begin, markdown_text="x")
    where = {"channel": "C0COSTS", "ts": stream["ts"]}
    append = web.chat_appendStream
    assert refused(append, **where, markdown_text="x" * 12_001)["error"] == "msg_too_long"
    assert refused(append, **where)["error"] == "no_text"
    assert refused(append, **where, chunks=[{"type": "song"}])["error"] == "invalid_chunks"
    assert (
        refused(append, **where, chunks=[{"type": "task_update", "id": "1", "title": "x", "status": "done"}])["error"]
        == "invalid_chunks"
    )
    assert refused(append, **where, chunks=[{"type": "blocks", "blocks": [{"type": "x"}]}])["error"] == "invalid_blocks"
    assert (
        refused(
            web.api_call, "chat.appendStream", json={**where, "markdown_text": "x", "chunks": [{"type": "plan_update"}]}
        )["error"]
        == "invalid_arguments"
    )
    assert refused(web.chat_update, **where, text="x")["error"] == "streaming_state_conflict"
    assert refused(web.chat_stopStream, **where, session_status="asleep")["error"] == "invalid_arguments"
    append(
        **where,
        chunks=[
            {"type": "blocks", "blocks": TASKS[:1]},
            {
                "type": "task_update",
                "id": "1",
                "title": "t",
                "status": "complete",
                "sources": [{"type": "url", "url": "https://example.com", "text": "bill"}],
            },
        ],
    )
    web.chat_stopStream(**where)
    assert refused(append, **where, markdown_text="x")["error"] == "message_not_in_streaming_state"
    assert refused(append, channel="C0COSTS", ts=asked, markdown_text="x")["error"] == "message_not_owned_by_app"
    direct = workspace.say("priya", "dm:priya", "why?")
    assert start(channel="D0PRIYA", thread_ts=direct)["ok"]


def test_an_agent_says_what_it_does(workspace: SlackWorkspace, web: WebClient, refused: Refused) -> None:
    """Status, title, prompts and the session's life; the stop button needs its event."""
    asked = workspace.say("priya", "cloud-costs", "why?")
    where = {"channel_id": "C0COSTS", "thread_ts": asked}
    web.assistant_threads_setStatus(**where, status="is reading…", loading_messages=["Reading the bill"])
    assert web.agents_sessions_setStatus(**where, status="processing", title="Why EC2 rose")["status"] == "processing"
    web.assistant_threads_setTitle(**where, title="EC2")
    assert web.agents_sessions_rename(**where, title="EC2 again")["title"] == "EC2 again"
    web.assistant_threads_setSuggestedPrompts(
        channel_id="D0PRIYA", title="Try", prompts=[{"title": "a", "message": "b"}]
    )
    told = workspace.get("directory")
    assert told["sessions"][0] | {"loading_messages": []} == {
        "channel": "C0COSTS", "thread_ts": asked, "status": "processing", "title": "EC2 again", "saying": "is reading…", "loading_messages": [],
    }  # fmt: skip
    assert told["prompts"][0]["title"] == "Try"

    assert refused(web.agents_sessions_setStatus, **where, status="bored")["error"] == "invalid_arguments"
    assert (
        refused(web.assistant_threads_setStatus, channel_id="C0COSTS", thread_ts="1.0", status="x")["error"]
        == "invalid_thread_ts"
    )
    assert (
        refused(web.assistant_threads_setStatus, **where, status="x", loading_messages=["x"] * 11)["error"]
        == "invalid_arguments"
    )
    assert (
        refused(web.assistant_threads_setSuggestedPrompts, channel_id="D0PRIYA", prompts=[])["error"]
        == "invalid_arguments"
    )
    assert (
        refused(web.assistant_threads_setSuggestedPrompts, channel_id="D0PRIYA", prompts=[{"title": "a"}])["error"]
        == "invalid_arguments"
    )
    assert refused(web.api_call, "assistant.threads.setStatus", json=where)["error"] == "invalid_arguments"
    workspace.sandbox.workspace.events -= {"agent_session_stopped"}
    answer = web.agents_sessions_setStatus(**where, status="active")
    assert answer["warning"] == "missing_agent_session_stopped_event_subscription"


def test_a_file_is_uploaded_with_its_alt_text(workspace: SlackWorkspace, web: WebClient, refused: Refused) -> None:
    """files_upload_v2 in three steps; the message in the thread carries the file."""
    asked = workspace.say("priya", "cloud-costs", "export it")
    web.files_upload_v2(
        channel="C0COSTS", thread_ts=asked, filename="costs.csv", content="day,cost\n", title="Costs", alt_txt="Costs by day", initial_comment="Here"
    )  # fmt: skip
    message = workspace.transcript("cloud-costs", asked)[-1]
    assert (message["text"], message["files"][0]["title"], message["files"][0]["alt_txt"]) == (
        "Here",
        "Costs",
        "Costs by day",
    )
    assert refused(web.files_info, file=message["files"][0]["id"])["error"] == "missing_scope"
    workspace.sandbox.workspace.scopes |= {"files:read"}
    assert web.files_info(file=message["files"][0]["id"])["file"]["size"] == 9
    assert refused(web.files_info, file="F0")["error"] == "file_not_found"
    assert refused(web.files_completeUploadExternal, files=[{"id": "F0"}])["error"] == "file_not_found"
    assert refused(web.files_completeUploadExternal, files=[])["error"] == "invalid_arguments"
    assert refused(web.files_getUploadURLExternal, filename="a", length=0)["error"] == "invalid_arguments"


def test_links_unfurl(workspace: SlackWorkspace, web: WebClient, refused: Refused) -> None:
    """An unfurl hangs blocks under a person's message."""
    ts = workspace.say("ben", "cloud-costs", "see https://cost.example/r-142")
    web.chat_unfurl(channel="C0COSTS", ts=ts, unfurls={"https://cost.example/r-142": {"blocks": CARD[:1]}})
    assert workspace.transcript("cloud-costs")[0]["attachments"][0]["from_url"] == "https://cost.example/r-142"
    assert refused(web.api_call, "chat.unfurl", json={"channel": "C0COSTS", "ts": ts})["error"] == "missing_unfurls"


def test_home_is_published_under_a_hash(workspace: SlackWorkspace, web: WebClient, refused: Refused) -> None:
    """A stale hash conflicts; strangers have no Home here."""
    view = web.views_publish(user_id="U0BEN", view=HOME)["view"]
    again = web.views_publish(user_id="U0BEN", view=HOME, hash=view["hash"])["view"]
    assert again["id"] == view["id"]
    assert refused(web.views_publish, user_id="U0BEN", view=HOME, hash=view["hash"])["error"] == "hash_conflict"
    assert refused(web.views_publish, user_id="U0DAN", view=HOME, hash="x")["error"] == "hash_conflict"
    assert refused(web.views_publish, user_id="U0OLGA", view=HOME)["error"] == "not_enabled"
    assert refused(web.views_publish, user_id="U0NO", view=HOME)["error"] == "user_not_found"
    assert refused(web.views_publish, user_id="U0BEN", view=FORM)["error"] == "invalid_arguments"
    home = workspace.home("ben")
    assert home is not None
    assert home["rendered"].startswith("# Your cloud cost")
    assert workspace.home("carla") is None


class TestPace:
    """Rate limits as Slack has them, on a clock that runs faster."""

    @pytest.fixture
    def workspace_options(self) -> dict[str, Any]:
        return {"workspace": Workspace(), "speed": 1.0}

    def test_a_channel_takes_a_burst_and_then_one_message_a_second(self, web: WebClient, refused: Refused) -> None:
        """The sixth message at once is refused, with the time to wait; another channel still takes one."""
        for _ in range(5):
            web.chat_postMessage(channel="C0COSTS", text="x")
        answer = refused(web.chat_postMessage, channel="C0COSTS", text="x")
        assert (answer.status_code, answer["error"], answer.headers["Retry-After"]) == (429, "ratelimited", "1")
        assert web.chat_postMessage(channel="C0APPROVE", text="x")["ok"]

    async def test_the_sdks_retry_handler_waits_it_out(self, workspace: SlackWorkspace) -> None:
        """A planned 429 and a planned failure; the handler makes the first invisible."""
        workspace.fault("rate_limit", method="chat.postMessage", retry_after=1)
        client = AsyncWebClient(organisation.BOT_TOKEN, base_url=workspace.api_url)
        client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=2))
        assert (await client.chat_postMessage(channel="C0COSTS", text="x"))["ok"]
        assert [call["error"] for call in workspace.calls] == ["ratelimited", None]

    def test_methods_have_tiers(self, web: WebClient, refused: Refused) -> None:
        """users.list is a tier 2 method: twenty a minute."""
        for _ in range(20):
            web.users_list()
        assert refused(web.users_list)["error"] == "ratelimited"


def test_faults_of_the_api(workspace: SlackWorkspace, web: WebClient, refused: Refused) -> None:
    """A 500, a Slack error, a slow answer; each as often as planned."""
    workspace.fault("server_error", method="auth.test")
    assert refused(web.auth_test).status_code == 500
    workspace.fault("error", method="auth.test", error="fatal_error", times=2)
    assert refused(web.auth_test)["error"] == "fatal_error"
    workspace.fault("clear")
    workspace.fault("slow", seconds=0.05)
    assert web.auth_test()["ok"]
