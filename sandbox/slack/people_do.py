"""What people do in the workspace: write, click, send commands, fill in forms, open Home, stop an agent."""

from __future__ import annotations

from typing import Any

from sandbox import organisation
from sandbox.organisation import Person
from sandbox.slack import strict
from sandbox.slack.delivery import Courier
from sandbox.slack.inputs import action, form_problem, initial_state, state_value
from sandbox.slack.markdown import rich_text, typed_text
from sandbox.slack.respond import Responder
from sandbox.slack.socket_mode import Ack
from sandbox.slack.workspace import SLACKBOT, Json, Message, SlackError, Workspace, elements_of, with_block_ids

TIMED_OUT = "operation_timeout"


class People:
    """Actions of people, turned into state and into deliveries to the app."""

    def __init__(self, workspace: Workspace, courier: Courier) -> None:
        self.workspace = workspace
        self.courier = courier
        self.responder = Responder(workspace, self.announce)

    # Writing ---------------------------------------------------------------------------------------------------

    def say(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> Message:
        """A person writes a message; the app hears it where it is a member."""
        person, channel_id = self._place(user, channel)
        if not text.strip():
            raise SlackError("no_text")
        if thread_ts:
            parent = self.workspace.find(channel_id, thread_ts)
            thread_ts = parent.thread_ts or parent.ts
        encoded = typed_text(text, self._user_id, self._channel_id)
        message = Message(channel_id, self.workspace.next_ts(), person.user_id, encoded, thread_ts=thread_ts)
        message.blocks = with_block_ids([rich_text(encoded)], self.workspace.new_id)
        self.workspace.add(message)
        self.announce(message)
        if f"<@{organisation.BOT_USER_ID}>" in encoded and not self.workspace.bot_can_post(channel_id):
            hint = f"@{organisation.BOT_NAME} is not in this channel. Write /invite @{organisation.BOT_NAME} to add it."
            self.from_slackbot(channel_id, person.user_id, hint)
        return message

    def change(self, user: str, channel: str, ts: str, text: str | None) -> Message:
        """A person edits (text) or deletes (None) their own message."""
        person, channel_id = self._place(user, channel)
        message = self.workspace.find(channel_id, ts)
        if message.user != person.user_id:
            raise SlackError("cant_update_message")
        previous = self.workspace.as_slack(message)
        if text is None:
            self.workspace.remove(message)
            self._message_event(message, {"subtype": "message_deleted", "deleted_ts": ts, "previous_message": previous})
            return message
        encoded = typed_text(text, self._user_id, self._channel_id)
        blocks = with_block_ids([rich_text(encoded)], self.workspace.new_id)
        self.workspace.edit(message, text=encoded, blocks=blocks)
        self.announce_change(message, previous)
        return message

    def announce(self, message: Message) -> None:
        """Tells the app about a new message, as a member of the conversation would hear it; its own ones too."""
        if message.ephemeral_to or not self.workspace.bot_can_post(message.channel):
            return
        event = self.workspace.as_slack(message) | self._where(message) | {"client_msg_id": self.workspace.new_id("c")}
        event.pop("reply_count", None)
        if message.thread_ts and message.thread_ts != message.ts:
            parent = self.workspace.parent(message)
            event["parent_user_id"] = parent.user if parent else ""
        self.courier.event(event, channel=message.channel, user=message.user)
        mentioned = f"<@{organisation.BOT_USER_ID}>" in message.text and message.bot_id is None
        if mentioned and message.channel not in self.workspace.dms:
            mention = {k: v for k, v in event.items() if k != "channel_type"} | {"type": "app_mention"}
            self.courier.event(mention, channel=message.channel, user=message.user)

    def announce_change(self, message: Message, previous: Json | None = None) -> None:
        """The message_changed event of an edit."""
        body = {"subtype": "message_changed", "message": self.workspace.as_slack(message)}
        self._message_event(message, body | ({"previous_message": previous} if previous else {}))

    def _message_event(self, message: Message, body: Json) -> None:
        if self.workspace.bot_can_post(message.channel) and not message.ephemeral_to:
            event = {"type": "message", "hidden": True, "ts": self.workspace.next_ts(), **body, **self._where(message)}
            self.courier.event(event, channel=message.channel, user=message.user)

    def _where(self, message: Message) -> Json:
        kind = "im" if message.channel in self.workspace.dms else "channel"
        where: Json = {"channel": message.channel, "channel_type": kind, "event_ts": message.ts}
        person = self.workspace.people.get(message.user)
        if person and person.team_id != organisation.TEAM_ID:
            where |= {"user_team": person.team_id, "source_team": person.team_id}
        return where

    def from_slackbot(self, channel_id: str, user_id: str, text: str) -> None:
        """Slack's own words to one person."""
        ts = self.workspace.next_ts()
        self.workspace.add(Message(channel_id, ts, SLACKBOT, text, ephemeral_to=user_id))

    # Clicking --------------------------------------------------------------------------------------------------

    async def click(
        self, user: str, channel: str, ts: str, action_id: str, *, wait: bool = False, **chosen: Any
    ) -> Json:
        """A person uses an element of a message that is there now; waits for the app's ack only when asked."""
        person, channel_id = self._place(user, channel)
        message = self.workspace.find(channel_id, ts, ephemeral=True)
        if message.ephemeral_to not in (None, person.user_id):
            raise SlackError("message_not_found")
        block_id, element = find_element(message.blocks, action_id, **chosen)
        done = action(element, block_id, chosen.get("value"), self.workspace.next_ts())
        await self._deliver(self._message_payload(person, message, done), wait=wait)
        return done

    def _message_payload(self, person: Person, message: Message, done: Json) -> Json:
        container: Json = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel,
            "is_ephemeral": message.ephemeral_to is not None,
        }
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        payload = self._payload("block_actions", person) | {
            "container": container,
            "channel": self._named(message.channel),
            "actions": [done],
            "state": {"values": _state_of(message.blocks)},
            "response_url": self.workspace.new_response_url(
                channel=message.channel,
                user=person.user_id,
                ts=message.ts,
                thread_ts=message.thread_ts,
                ephemeral=message.ephemeral_to is not None,
            ),
        }
        if message.ephemeral_to is None:
            payload["message"] = self.workspace.as_slack(message)
        return payload

    async def _deliver(self, payload: Json, *, wait: bool) -> None:
        if wait:
            await self.courier.interaction(payload)
        else:
            self.courier.background(self.courier.interaction(payload))

    async def click_view(self, user: str, view_id: str, action_id: str, *, wait: bool = False, **chosen: Any) -> Json:
        """A person uses an element of their Home tab or of an open modal."""
        person = self.workspace.person(user)
        view = self._own_view(person, view_id)
        block_id, element = find_element(view["blocks"], action_id, **chosen)
        done = action(element, block_id, chosen.get("value"), self.workspace.next_ts())
        payload = self._payload("block_actions", person, view_id=view_id) | {
            "container": {"type": "view", "view_id": view_id},
            "actions": [done],
            "view": view,
        }
        await self._deliver(payload, wait=wait)
        return done

    def _own_view(self, person: Person, view_id: str) -> Json:
        mine = [*self.workspace.stacks.get(person.user_id, []), self.workspace.homes.get(person.user_id)]
        if view_id not in mine:
            raise SlackError("view_not_found")
        return self.workspace.views[view_id]

    def _payload(self, kind: str, person: Person, view_id: str | None = None) -> Json:
        return {
            "type": kind,
            "user": {
                "id": person.user_id,
                "username": person.handle,
                "name": person.handle,
                "team_id": person.team_id,
            },
            "api_app_id": organisation.APP_ID,
            "token": "sandbox-verification",
            "team": {"id": organisation.TEAM_ID, "domain": organisation.TEAM_DOMAIN},
            "enterprise": None,
            "is_enterprise_install": False,
            "trigger_id": self.workspace.new_trigger(person.user_id, view_id),
        }

    # Commands and shortcuts ------------------------------------------------------------------------------------

    async def command(self, user: str, channel: str, command: str, text: str = "", *, wait: bool = False) -> bool:
        """A person sends a slash command; with `wait`, false when the app did not acknowledge it.

        Slack tells the person of a command that failed, waiting or not.
        """
        person, channel_id = self._place(user, channel)
        if command == "/invite":
            return self._invite(person, channel_id)
        if command not in self.workspace.commands:
            self.from_slackbot(channel_id, person.user_id, f"{command} is not a valid command.")
            raise SlackError("unknown_command")
        payload = {
            "token": "sandbox-verification",
            "team_id": organisation.TEAM_ID,
            "team_domain": organisation.TEAM_DOMAIN,
            "channel_id": channel_id,
            "channel_name": self._named(channel_id)["name"],
            "user_id": person.user_id,
            "user_name": person.handle,
            "command": command,
            "text": text,
            "api_app_id": organisation.APP_ID,
            "is_enterprise_install": "false",
            "response_url": self.workspace.new_response_url(channel=channel_id, user=person.user_id),
            "trigger_id": self.workspace.new_trigger(person.user_id),
        }
        sending = self._send_command(person, channel_id, payload)
        if wait:
            return await sending
        self.courier.background(sending)
        return True

    async def _send_command(self, person: Person, channel_id: str, payload: Json) -> bool:
        command = payload["command"]
        ack = await self.courier.interaction(payload, kind="slash_commands")
        error = TIMED_OUT if ack is None else self._show_ack(channel_id, person.user_id, ack)
        if error:
            self.from_slackbot(channel_id, person.user_id, f"{command} failed with the error “{error}”.")
        return not error

    def _show_ack(self, channel_id: str, user_id: str, ack: Ack) -> str:
        """Posts what the ack of a command carries; gives Slack's error when that cannot be shown."""
        if not (ack.payload.get("text") or ack.payload.get("blocks")):
            return ""
        try:
            self.responder.post(channel_id, user_id, ack.payload)
        except SlackError as refused:
            return refused.code
        return ""

    def _invite(self, person: Person, channel_id: str) -> bool:
        self.workspace.bot_channels.add(channel_id)
        event = {
            "type": "member_joined_channel",
            "user": organisation.BOT_USER_ID,
            "channel": channel_id,
            "inviter": person.user_id,
        }
        self.courier.event(event, channel=channel_id)
        self.from_slackbot(channel_id, person.user_id, f"@{organisation.BOT_NAME} is in this channel now.")
        return True

    async def shortcut(
        self, user: str, callback_id: str, channel: str | None = None, ts: str | None = None, *, wait: bool = False
    ) -> None:
        """A global shortcut, or (with channel and ts) one on a message."""
        person = self.workspace.person(user)
        known = self.workspace.message_shortcuts if ts else self.workspace.shortcuts
        if callback_id not in known:
            raise SlackError("unknown_shortcut")
        payload = self._payload("message_action" if ts else "shortcut", person) | {
            "callback_id": callback_id,
            "action_ts": self.workspace.next_ts(),
        }
        if ts and channel:
            person, channel_id = self._place(user, channel)
            payload |= {
                "message": self.workspace.as_slack(self.workspace.find(channel_id, ts)),
                "message_ts": ts,
                "channel": self._named(channel_id),
                "response_url": self.workspace.new_response_url(channel=channel_id, user=person.user_id),
            }
        await self._deliver(payload, wait=wait)

    # Forms -----------------------------------------------------------------------------------------------------

    async def submit(self, user: str, view_id: str, values: Json) -> Json:
        """A person fills in a modal and submits it; gives what Slack shows then: closed, errors, update, push."""
        person = self.workspace.person(user)
        view = self._own_view(person, view_id)
        if self.workspace.stacks[person.user_id][-1] != view_id:
            raise SlackError("view_not_on_top")
        state, problems = fill_in(view["blocks"], values)
        view["state"] = {"values": state}
        if problems:
            return {"ok": False, "error": "invalid_input", "errors": problems}
        payload = self._view_payload("view_submission", person, view)
        ack = await self.courier.interaction(payload)
        if ack is None:
            return {"ok": False, "error": TIMED_OUT}
        return self._after_submit(person, view, ack)

    def _view_payload(self, kind: str, person: Person, view: Json) -> Json:
        payload = self._payload(kind, person, view_id=view["id"]) | {"view": view, "response_urls": []}
        if person.team_id != organisation.TEAM_ID:
            payload["team"] = {"id": person.team_id, "domain": "partner"}
        return payload

    def _after_submit(self, person: Person, view: Json, ack: Ack) -> Json:
        what = ack.payload.get("response_action")
        if what is None:
            self.workspace.close_views(person.user_id)
            return {"ok": True, "response_action": "close"}
        if what == "clear":
            self.workspace.close_views(person.user_id, everything=True)
            return {"ok": True, "response_action": "clear"}
        if what == "errors":
            return self._errors(view, ack.payload.get("errors"))
        if what not in ("update", "push"):
            return {"ok": False, "error": "invalid_response_action"}
        problems = strict.check_view(ack.payload.get("view"))
        if problems:
            return {"ok": False, "error": "invalid_view", "messages": [problem.line() for problem in problems]}
        content = ack.payload["view"]
        content = content | {"blocks": with_block_ids(content["blocks"], self.workspace.new_id)}
        if what == "push":
            shown = self.workspace.push_view(person.user_id, content)
        else:
            shown = self.workspace.store_view(content, user=person.user_id, view_id=view["id"])
        return {"ok": True, "response_action": what, "view": shown}

    def _errors(self, view: Json, errors: Any) -> Json:
        inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
        if not isinstance(errors, dict) or not errors or not errors.keys() <= inputs:
            return {"ok": False, "error": "invalid_errors", "messages": ["[ERROR] errors must name input blocks"]}
        view["errors"] = errors
        return {"ok": False, "error": "field_errors", "errors": errors}

    async def close(self, user: str, view_id: str) -> None:
        """A person closes a modal; the app hears of it where it asked to."""
        person = self.workspace.person(user)
        self._own_view(person, view_id)
        for view in self.workspace.close_views(person.user_id):
            if view["notify_on_close"]:
                payload = self._view_payload("view_closed", person, view) | {"is_cleared": False}
                await self.courier.interaction(payload)

    # Home and agent --------------------------------------------------------------------------------------------

    def open_home(self, user: str, tab: str = "home") -> None:
        """A person opens the app's Home (or its messages tab)."""
        person = self.workspace.person(user)
        channel = self.workspace.channel_id(person.user_id)
        event: Json = {"type": "app_home_opened", "user": person.user_id, "channel": channel, "tab": tab}
        event["event_ts"] = self.workspace.next_ts()
        if tab == "home" and person.user_id in self.workspace.homes:
            event["view"] = self.workspace.views[self.workspace.homes[person.user_id]]
        self.courier.event(event, channel=channel, user=person.user_id)

    def stop(self, user: str, channel: str, thread_ts: str) -> list[str]:
        """A person presses the stop button of an agent's session; gives the streams that Slack stopped."""
        person, channel_id = self._place(user, channel)
        session = self.workspace.sessions.get((channel_id, thread_ts))
        if session is None or session.status != "processing":
            raise SlackError("session_not_processing")
        streams = [m for m in self.workspace.conversation(channel_id, thread_ts) if m.streaming]
        for message in streams:
            message.streaming = False
            self.workspace.publish("message_changed", message=message)
        stopped = [message.ts for message in streams]
        event = {
            "type": "agent_session_stopped",
            "channel": channel_id,
            "thread_ts": thread_ts,
            "user": person.user_id,
            "streaming_message_ts": stopped,
            "event_ts": self.workspace.next_ts(),
        }
        self.courier.event(event, channel=channel_id, user=person.user_id)
        return stopped

    # Places ----------------------------------------------------------------------------------------------------

    def _place(self, user: str, channel: str) -> tuple[Person, str]:
        person, channel_id = self.workspace.person(user), self.workspace.channel_id(channel)
        if person.user_id not in self.workspace.members(channel_id):
            raise SlackError("not_in_channel")
        return person, channel_id

    def _named(self, channel_id: str) -> Json:
        known = self.workspace.channels.get(channel_id)
        return {"id": channel_id, "name": known.name if known else "directmessage"}

    def _user_id(self, name: str) -> str | None:
        if name == organisation.BOT_NAME:
            return organisation.BOT_USER_ID
        return next((p.user_id for p in self.workspace.people.values() if p.handle == name), None)

    def _channel_id(self, name: str) -> str | None:
        return next((c.channel_id for c in self.workspace.channels.values() if c.name == name), None)


def find_element(
    blocks: list[Json], action_id: str, value: Any = None, block_id: str | None = None
) -> tuple[str, Json]:
    """The element with this action_id (block_id and value tell several apart), with its block's id."""
    found = [
        (block["block_id"], element)
        for block in blocks
        for element in elements_of(block)
        if element.get("action_id") == action_id and block_id in (None, block["block_id"])
    ]
    if not found:
        raise SlackError("element_not_found")
    exact = [(where, element) for where, element in found if value is not None and element.get("value") == value]
    return (exact or found)[0]


def _state_of(blocks: list[Json]) -> Json:
    """state.values of a message: the inputs and selects it carries, as they were first shown."""
    values: Json = {}
    for block in blocks:
        for element in elements_of(block):
            if element["type"] not in (
                "button",
                "overflow",
                "image",
                "feedback_buttons",
                "icon_button",
                "workflow_button",
            ):
                values.setdefault(block["block_id"], {})[element["action_id"]] = initial_state(element)
    return values


def fill_in(blocks: list[Json], values: Json) -> tuple[Json, dict[str, str]]:
    """state.values of a form, and the problems that Slack's form itself shows, by block_id.

    `values` is keyed by action_id or block_id, or nested {block_id: {action_id: value}}; unknown keys are an error.
    """
    state: Json = {}
    problems: dict[str, str] = {}
    left = dict(values)
    for block in blocks:
        for element in elements_of(block):
            if block["type"] != "input" and element["type"] in ("button", "image", "overflow", "workflow_button"):
                continue
            block_id, action_id = block["block_id"], element["action_id"]
            given, known = _given(left, block_id, action_id)
            entry = state_value(element, given) if known else initial_state(element)
            state.setdefault(block_id, {})[action_id] = entry
            problem = form_problem(block, entry) if block["type"] == "input" else None
            if problem:
                problems[block_id] = problem
    if left:
        raise SlackError("input_not_found", messages=[f"[ERROR] no such input: {name}" for name in left])
    return state, problems


def _given(values: Json, block_id: str, action_id: str) -> tuple[Any, bool]:
    for name in (action_id, block_id):
        if name in values:
            value = values.pop(name)
            if isinstance(value, dict) and action_id in value:
                return value[action_id], True
            return value, True
    return None, False
