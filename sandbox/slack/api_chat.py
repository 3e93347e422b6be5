"""Web API methods for messages: chat.*, streams, reactions and agent status."""

from __future__ import annotations

from typing import Any

from sandbox import organisation
from sandbox.slack import strict
from sandbox.slack.calls import Call, flag, json_list, json_object
from sandbox.slack.markdown import rich_text
from sandbox.slack.rules import Problem
from sandbox.slack.workspace import Json, Message, Session, SlackError, bot_profile, with_block_ids

METADATA_BYTES = 16_000
STATUSES = ("active", "processing", "suspended", "closed")
STREAM_TEXT = 12_000


def refuse(problems: list[Problem], code: str) -> None:
    """Raises Slack's error for these problems, if there are any."""
    if problems:
        raise SlackError(code, messages=[problem.line() for problem in problems], errors=[p.message for p in problems])


def checked_blocks(call: Call, *, most: int | None = None) -> list[Json] | None:
    """The call's blocks with the ids that Slack adds, or None when it has none."""
    blocks = json_list(call, "blocks", code="invalid_blocks_format")
    if blocks is None:
        return None
    refuse(strict.check_blocks(blocks, strict.MESSAGE, most=most), "invalid_blocks")
    if strict.blocks_too_long(blocks):
        raise SlackError("msg_blocks_too_long")
    return with_block_ids(blocks, call.workspace.new_id)


def posting_channel(call: Call, name: str = "channel") -> str:
    """The conversation to write to; the bot must be in it."""
    channel_id = call.workspace.channel_id(call.need(name, "channel_not_found"))
    if not call.workspace.bot_can_post(channel_id):
        raise SlackError("not_in_channel")
    return channel_id


def _content(call: Call, longest: int) -> tuple[str, list[Json] | None]:
    """Text and blocks of a message, after Slack's checks."""
    text = call.text("text")
    markdown = call.text("markdown_text")
    blocks = checked_blocks(call)
    if markdown and (text or blocks):
        raise SlackError("markdown_text_conflict")
    if len(markdown) > STREAM_TEXT or len(text) > longest:
        raise SlackError("msg_too_long")
    attachments = json_list(call, "attachments")
    if not (text or markdown or blocks or attachments):
        raise SlackError("no_text")
    if markdown:
        return markdown, with_block_ids([{"type": "markdown", "text": markdown}], call.workspace.new_id)
    return text, blocks


def _thread(call: Call, channel_id: str) -> str | None:
    """The parent's time stamp; a reply's time stamp is not a thread."""
    thread_ts = call.text("thread_ts")
    if not thread_ts:
        return None
    try:
        parent = call.workspace.find(channel_id, thread_ts)
    except SlackError:
        raise SlackError("thread_not_found") from None
    return parent.thread_ts or parent.ts


def _metadata(call: Call) -> Json | None:
    metadata = json_object(call, "metadata")
    if metadata is None:
        return None
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("metadata_must_be_sent_from_app", messages=["[ERROR] event_type and event_payload are needed"])
    if len(str(metadata)) > METADATA_BYTES:
        raise SlackError("metadata_too_large")
    return metadata


def from_bot(call: Call, channel_id: str, **content: Any) -> Message:
    return Message(
        channel_id, call.workspace.next_ts(), organisation.BOT_USER_ID, bot_id=organisation.BOT_ID, **content
    )


def post_message(call: Call) -> Json:
    channel_id = posting_channel(call)
    text, blocks = _content(call, strict.MESSAGE_TEXT)
    thread_ts = _thread(call, channel_id)
    message = from_bot(
        call,
        channel_id,
        text=text,
        blocks=blocks or [],
        thread_ts=thread_ts,
        metadata=_metadata(call),
        attachments=json_list(call, "attachments") or [],
        broadcast=bool(thread_ts) and flag(call, "reply_broadcast"),
    )
    call.workspace.add(message)
    call.announce(message)
    _answered(call, channel_id, thread_ts)
    return {"channel": channel_id, "ts": message.ts, "message": call.workspace.as_slack(message)}


def _answered(call: Call, channel_id: str, thread_ts: str | None) -> None:
    """A reply takes the status under its thread away, as in Slack."""
    session = call.workspace.sessions.get((channel_id, thread_ts or ""))
    if session is not None and session.saying:
        session.saying = ""
        call.workspace.publish("status", session=session)


def _own(call: Call, name: str, refusal: str) -> Message:
    """A message of ours that may still be changed."""
    channel_id = call.workspace.channel_id(call.need("channel", "channel_not_found"))
    message = call.workspace.find(channel_id, call.need(name, "message_not_found"))
    if message.bot_id != organisation.BOT_ID:
        raise SlackError(refusal)
    return message


def update(call: Call) -> Json:
    message = _own(call, "ts", "cant_update_message")
    if message.streaming:
        raise SlackError("streaming_state_conflict")
    text, blocks = _content(call, strict.UPDATE_TEXT)
    if blocks is None and call.text("text") and "blocks" not in call.args:
        blocks = []  # Slack drops the old blocks when an update brings only text
    if (metadata := _metadata(call)) is not None:
        message.metadata = metadata
    call.workspace.edit(message, text=text, blocks=blocks)
    call.announce_change(message)
    shown = call.workspace.as_slack(message)
    return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": shown}


def delete(call: Call) -> Json:
    message = _own(call, "ts", "cant_delete_message")
    call.workspace.remove(message)
    return {"channel": message.channel, "ts": message.ts}


def post_ephemeral(call: Call) -> Json:
    channel_id = posting_channel(call)
    user = call.need("user", "user_not_found")
    if user not in call.workspace.people:
        raise SlackError("user_not_found")
    if user not in call.workspace.members(channel_id):
        raise SlackError("user_not_in_channel")
    text, blocks = _content(call, strict.MESSAGE_TEXT)
    thread_ts = _thread(call, channel_id)
    message = from_bot(call, channel_id, text=text, blocks=blocks or [], ephemeral_to=user, thread_ts=thread_ts)
    call.workspace.add(message)
    return {"message_ts": message.ts}


def get_permalink(call: Call) -> Json:
    channel_id = call.workspace.channel_id(call.need("channel", "channel_not_found"))
    message = call.workspace.find(channel_id, call.need("message_ts", "message_not_found"))
    link = f"{call.workspace.base_url}/archives/{channel_id}/p{message.ts.replace('.', '')}"
    if message.thread_ts:
        link += f"?thread_ts={message.thread_ts}&cid={channel_id}"
    return {"channel": channel_id, "permalink": link}


def unfurl(call: Call) -> Json:
    message_ts, channel = call.need("ts", "missing_ts"), call.need("channel", "channel_not_found")
    message = call.workspace.find(call.workspace.channel_id(channel), message_ts)
    unfurls = json_object(call, "unfurls")
    metadata = json_object(call, "metadata")
    if unfurls is None and metadata is None:
        raise SlackError("missing_unfurls")
    for url, content in (unfurls or {}).items():
        refuse(strict.check_blocks(content.get("blocks", []), strict.MESSAGE), "cannot_parse_attachment")
        message.attachments.append({"from_url": url, **content})
    call.workspace.publish("message_changed", message=message)
    return {}


# Streams -------------------------------------------------------------------------------------------------------


def start_stream(call: Call) -> Json:
    channel_id = posting_channel(call)
    thread_ts = _thread(call, channel_id)
    if thread_ts is None:
        raise SlackError("invalid_arguments", messages=["[ERROR] missing required field: thread_ts"])
    if channel_id not in call.workspace.dms:
        for name in ("recipient_user_id", "recipient_team_id"):
            call.need(name, f"missing_{name}")
        if call.text("recipient_user_id") not in call.workspace.people:
            raise SlackError("user_not_found")
    mode = call.text("task_display_mode") or "timeline"
    if mode not in ("timeline", "plan"):
        raise SlackError("invalid_arguments", messages=["[ERROR] task_display_mode must be timeline or plan"])
    message = from_bot(call, channel_id, text="", thread_ts=thread_ts, streaming=True)
    message.stream = {"mode": mode, "title": "", "tasks": {}, "parts": []}
    _append(call, message)
    call.workspace.add(message)
    return {"channel": channel_id, "ts": message.ts}


def _streaming(call: Call) -> Message:
    message = _own(call, "ts", "message_not_owned_by_app")
    if not message.streaming:
        raise SlackError("message_not_in_streaming_state")
    return message


def append_stream(call: Call) -> Json:
    message = _streaming(call)
    if not call.text("markdown_text") and not json_list(call, "chunks"):
        raise SlackError("no_text")
    _append(call, message)
    call.workspace.publish("message_changed", message=message)
    return {"channel": message.channel, "ts": message.ts}


def stop_stream(call: Call) -> Json:
    message = _streaming(call)
    blocks = checked_blocks(call, most=strict.STREAM_BLOCKS) or []
    status = call.text("session_status")
    if status and status not in STATUSES:
        raise SlackError("invalid_arguments", messages=[f"[ERROR] session_status must be one of {STATUSES}"])
    _append(call, message)
    message.blocks = [*message.blocks, *blocks]
    message.metadata = _metadata(call)
    message.streaming = False
    session = call.workspace.sessions.get((message.channel, message.thread_ts or ""))
    if session is not None:
        session.status, session.saying = status or "active", ""
        call.workspace.publish("status", session=session)
    call.workspace.publish("message_changed", message=message)
    call.announce(message)
    return {"channel": message.channel, "ts": message.ts, "message": call.workspace.as_slack(message)}


def _append(call: Call, message: Message) -> None:
    """Adds text and chunks to a streamed message and rebuilds the blocks that show them."""
    markdown = call.text("markdown_text")
    chunks = json_list(call, "chunks") or []
    if markdown and chunks:
        raise SlackError("invalid_arguments", messages=["[ERROR] markdown_text and chunks exclude each other"])
    if len(markdown) + sum(len(str(c.get("text", ""))) for c in chunks if isinstance(c, dict)) > STREAM_TEXT:
        raise SlackError("msg_too_long")
    for index, chunk in enumerate([{"type": "markdown_text", "text": markdown}] if markdown else chunks):
        _take_chunk(message, chunk, f"/chunks/{index}")
    message.blocks = _stream_blocks(call, message)


def _take_chunk(message: Message, chunk: Any, pointer: str) -> None:
    stream, kind = message.stream, chunk.get("type") if isinstance(chunk, dict) else None
    if kind == "markdown_text" and isinstance(chunk.get("text"), str):
        message.text += chunk["text"]
        if stream["parts"] and isinstance(stream["parts"][-1], str):
            stream["parts"][-1] += chunk["text"]
        else:
            stream["parts"].append(chunk["text"])
    elif kind == "plan_update" and isinstance(chunk.get("title"), str):
        stream["title"] = chunk["title"]
    elif kind == "task_update" and chunk.get("id") and chunk.get("title"):
        if chunk.get("status") not in ("pending", "in_progress", "complete", "error"):
            raise SlackError("invalid_chunks", messages=[f"[ERROR] unknown status [json-pointer:{pointer}/status]"])
        stream["tasks"].setdefault(chunk["id"], {}).update(chunk)
    elif kind == "blocks":
        refuse(strict.check_blocks(chunk.get("blocks"), strict.MESSAGE, pointer=f"{pointer}/blocks"), "invalid_blocks")
        stream["parts"].extend(chunk["blocks"])
    else:
        raise SlackError("invalid_chunks", messages=[f"[ERROR] unsupported chunk: {kind} [json-pointer:{pointer}]"])


def _stream_blocks(call: Call, message: Message) -> list[Json]:
    stream = message.stream
    cards = [_task_card(task) for task in stream["tasks"].values()]
    blocks: list[Json] = []
    if cards and stream["mode"] == "plan":
        blocks.append({"type": "plan", "title": stream["title"] or "Working", "tasks": cards})
    elif cards:
        blocks += cards
    for part in stream["parts"]:
        blocks.append({"type": "markdown", "text": part} if isinstance(part, str) else part)
    return with_block_ids(blocks, call.workspace.new_id)


def _task_card(task: Json) -> Json:
    card: Json = {"type": "task_card", "task_id": task["id"], "title": task["title"], "status": task["status"]}
    for name in ("details", "output"):
        if task.get(name):
            card[name] = rich_text(str(task[name]))
    if task.get("sources"):
        card["sources"] = task["sources"]
    return card


# Reactions and status ------------------------------------------------------------------------------------------


def _reacted(call: Call) -> tuple[Message, str]:
    channel_id = call.workspace.channel_id(call.need("channel", "channel_not_found"))
    message = call.workspace.find(channel_id, call.need("timestamp", "bad_timestamp"))
    return message, call.need("name", "invalid_name").strip(":")


def add_reaction(call: Call) -> Json:
    message, name = _reacted(call)
    users = message.reactions.setdefault(name, [])
    if organisation.BOT_USER_ID in users:
        raise SlackError("already_reacted")
    users.append(organisation.BOT_USER_ID)
    call.workspace.publish("message_changed", message=message)
    return {}


def remove_reaction(call: Call) -> Json:
    message, name = _reacted(call)
    users = message.reactions.get(name, [])
    if organisation.BOT_USER_ID not in users:
        raise SlackError("no_reaction")
    users.remove(organisation.BOT_USER_ID)
    if not users:
        del message.reactions[name]
    call.workspace.publish("message_changed", message=message)
    return {}


def session_of(call: Call) -> Session:
    """The agent's session of the thread in question, made when it is new."""
    channel_id = posting_channel(call, "channel_id")
    thread_ts = call.need("thread_ts", "invalid_thread_ts")
    try:
        call.workspace.find(channel_id, thread_ts)
    except SlackError:
        raise SlackError("invalid_thread_ts") from None
    return call.workspace.sessions.setdefault((channel_id, thread_ts), Session(channel_id, thread_ts))


def set_status(call: Call) -> Json:
    session = session_of(call)
    if "status" not in call.args:
        raise SlackError("invalid_arguments", messages=["[ERROR] missing required field: status"])
    loading = json_list(call, "loading_messages") or []
    if len(loading) > 10:
        raise SlackError("invalid_arguments", messages=["[ERROR] no more than 10 loading_messages allowed"])
    session.saying, session.loading_messages = call.text("status"), [str(entry) for entry in loading]
    call.workspace.publish("status", session=session)
    return {}


def set_title(call: Call) -> Json:
    session = session_of(call)
    session.title = call.need("title", "invalid_arguments")
    call.workspace.publish("status", session=session)
    return {}


def set_suggested_prompts(call: Call) -> Json:
    channel_id = posting_channel(call, "channel_id")
    prompts = json_list(call, "prompts")
    if not prompts or len(prompts) > 4:
        raise SlackError("invalid_arguments", messages=["[ERROR] between 1 and 4 prompts [json-pointer:/prompts]"])
    for index, prompt in enumerate(prompts):
        if not isinstance(prompt, dict) or not prompt.get("title") or not prompt.get("message"):
            pointer = f"[json-pointer:/prompts/{index}]"
            raise SlackError("invalid_arguments", messages=[f"[ERROR] title and message are needed {pointer}"])
    shown = {"title": call.text("title"), "prompts": prompts}
    call.workspace.prompts[(channel_id, call.text("thread_ts"))] = shown
    call.workspace.publish("prompts", channel=channel_id, thread_ts=call.text("thread_ts"), **shown)
    return {}


def set_session_status(call: Call) -> Json:
    status = call.need("status", "invalid_arguments")
    if status not in STATUSES:
        raise SlackError("invalid_arguments", messages=[f"[ERROR] status must be one of {', '.join(STATUSES)}"])
    known = (call.text("channel_id"), call.text("thread_ts")) in call.workspace.sessions
    session = session_of(call)
    session.status = status
    if not known and call.text("title"):
        session.title = call.text("title")[:200]
    if status != "processing":
        session.saying = ""
    call.workspace.publish("status", session=session)
    answer: Json = {"status": status, "agent_status": status, "title": session.title}
    if "agent_session_stopped" not in call.workspace.events:
        answer["warning"] = "missing_agent_session_stopped_event_subscription"
    return answer


def rename_session(call: Call) -> Json:
    session = session_of(call)
    session.title = call.need("title", "invalid_arguments")
    call.workspace.publish("status", session=session)
    return {"title": session.title}


def bots_info(call: Call) -> Json:
    if call.text("bot") not in ("", organisation.BOT_ID):
        raise SlackError("bot_not_found")
    profile = bot_profile()
    return {"bot": profile | {"user_id": organisation.BOT_USER_ID, "updated": 0}}
