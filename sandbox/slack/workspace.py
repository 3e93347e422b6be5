"""The workspace's state: people, conversations, messages, views, sessions and files, and what changed in them."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox import organisation
from sandbox.organisation import Channel, Person

Json = dict[str, Any]

SLACKBOT = "USLACKBOT"
TRIGGER_SECONDS = 3.0
RESPONSE_URL_SECONDS = 1800.0
RESPONSE_URL_USES = 5

BOT_SCOPES = [
    "app_mentions:read",
    "assistant:write",
    "chat:write",
    "commands",
    "files:write",
    "im:history",
    "im:read",
    "im:write",
    "users:read",
    "users:read.email",
    "channels:history",
    "channels:read",
    "groups:history",
    "groups:read",
    "reactions:write",
    "links:read",
    "links:write",
    "team:read",
]
BOT_EVENTS = [
    "app_mention",
    "message.im",
    "message.channels",
    "message.groups",
    "app_home_opened",
    "agent_session_stopped",
    "link_shared",
    "entity_details_requested",
    "app_uninstalled",
    "tokens_revoked",
]
COMMANDS = ("/cost",)
SHORTCUTS = ("ask_cost",)
MESSAGE_SHORTCUTS = ("explain_cost",)


class SlackError(Exception):
    """What Slack answers when it refuses: its error code, and details for the developer."""

    def __init__(self, code: str, *, messages: Iterable[str] = (), **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.messages = tuple(messages)
        self.extra = extra


@dataclass(slots=True, eq=False)
class Message:
    """One message of a conversation, as it is now."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    bot_id: str | None = None
    ephemeral_to: str | None = None
    edited: str | None = None
    metadata: Json | None = None
    files: list[Json] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    attachments: list[Json] = field(default_factory=list)
    broadcast: bool = False
    # None: never streamed; True: still streaming; False: the stream ended.
    streaming: bool | None = None
    stream: Json = field(default_factory=dict)


@dataclass(slots=True)
class Trigger:
    """A person's interaction that may open one modal within three seconds."""

    user: str
    born: float
    view_id: str | None = None
    used: bool = False


@dataclass(slots=True)
class ResponseUrl:
    """Where an app may answer an interaction: five times in half an hour."""

    channel: str
    user: str
    born: float
    ts: str | None = None
    thread_ts: str | None = None
    ephemeral: bool = False
    uses: int = 0


@dataclass(slots=True)
class Session:
    """An agent's session in one thread: what it is doing, its title, and the loading words shown to people."""

    channel: str
    thread_ts: str
    status: str = "active"
    title: str = ""
    saying: str = ""
    loading_messages: list[str] = field(default_factory=list)


@dataclass(slots=True)
class StoredFile:
    """An uploaded file; it becomes visible once the upload is completed."""

    file_id: str
    name: str
    length: int
    alt_text: str
    content: bytes | None = None
    title: str = ""
    shared: bool = False


class Workspace:
    """Everything the workspace knows. All methods run on the server's event loop."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        people: tuple[Person, ...] = organisation.PEOPLE,
        channels: tuple[Channel, ...] = organisation.CHANNELS,
        scopes: Iterable[str] = BOT_SCOPES,
        events: Iterable[str] = BOT_EVENTS,
        commands: Iterable[str] = COMMANDS,
        shortcuts: Iterable[str] = SHORTCUTS,
        message_shortcuts: Iterable[str] = MESSAGE_SHORTCUTS,
        trigger_seconds: float = TRIGGER_SECONDS,
    ) -> None:
        self.now = now
        self.people = {person.user_id: person for person in people}
        self.channels = {channel.channel_id: channel for channel in channels}
        self.dms = {f"D0{p.handle.upper()}": p.user_id for p in people if p.team_id == organisation.TEAM_ID}
        self.bot_channels = {channel.channel_id for channel in channels if channel.bot_is_member}
        self.scopes = frozenset(scopes)
        self.events = frozenset(events)
        self.commands = tuple(commands)
        self.shortcuts = tuple(shortcuts)
        self.message_shortcuts = tuple(message_shortcuts)
        self.trigger_seconds = trigger_seconds
        self.base_url = ""
        self.messages: list[Message] = []
        self._by_ts: dict[tuple[str, str], Message] = {}
        self._threads: dict[tuple[str, str], list[Message]] = {}
        self.views: dict[str, Json] = {}
        self.stacks: dict[str, list[str]] = {}
        self.homes: dict[str, str] = {}
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.sessions: dict[tuple[str, str], Session] = {}
        self.prompts: dict[tuple[str, str], Json] = {}
        self.files: dict[str, StoredFile] = {}
        self.version = 0
        self._listeners: set[asyncio.Queue[Json]] = set()
        self._counter = itertools.count(1)
        self._last_ts = 0

    # Names -----------------------------------------------------------------------------------------------------

    def person(self, who: str) -> Person:
        """The person with this user id or handle ("priya", "@priya")."""
        name = who.removeprefix("@")
        for person in self.people.values():
            if name in (person.user_id, person.handle):
                return person
        raise SlackError("user_not_found")

    def channel_id(self, name: str) -> str:
        """The conversation with this id or name; "dm:priya" and a person's user id name the bot's DM with them."""
        if name in self.channels or name in self.dms:
            return name
        if name.startswith("dm:") or name in self.people:
            user_id = self.person(name.removeprefix("dm:")).user_id
            for dm, owner in self.dms.items():
                if owner == user_id:
                    return dm
            raise SlackError("channel_not_found")
        for channel in self.channels.values():
            if channel.name == name.removeprefix("#"):
                return channel.channel_id
        raise SlackError("channel_not_found")

    def members(self, channel_id: str) -> list[str]:
        """User ids of a conversation's members, the bot included where it is one."""
        if channel_id in self.dms:
            return [self.dms[channel_id], organisation.BOT_USER_ID]
        channel = self.channels[channel_id]
        inside = [
            person.user_id
            for person in self.people.values()
            if (channel.is_ext_shared and not person.is_guest)
            or (not channel.is_ext_shared and person.team_id == organisation.TEAM_ID)
        ]
        return [*inside, organisation.BOT_USER_ID] if channel_id in self.bot_channels else inside

    def bot_can_post(self, channel_id: str) -> bool:
        return channel_id in self.dms or channel_id in self.bot_channels

    def new_id(self, prefix: str) -> str:
        return f"{prefix}{next(self._counter):04X}{secrets.token_hex(3).upper()}"

    def next_ts(self) -> str:
        """A time stamp that no other message of the workspace has."""
        micros = max(int(self.now() * 1_000_000), self._last_ts + 1)
        self._last_ts = micros
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"

    # Messages --------------------------------------------------------------------------------------------------

    def add(self, message: Message) -> Message:
        """Stores a new message and tells the listeners."""
        self.messages.append(message)
        self._by_ts[message.channel, message.ts] = message
        if message.thread_ts and message.thread_ts != message.ts:
            self._threads.setdefault((message.channel, message.thread_ts), []).append(message)
        self.publish("message", message=message)
        return message

    def find(self, channel_id: str, ts: str, *, ephemeral: bool = False) -> Message:
        """The message that is there now; ephemeral ones only when asked for."""
        message = self._by_ts.get((channel_id, ts))
        if message is None or (message.ephemeral_to and not ephemeral):
            raise SlackError("message_not_found")
        return message

    def parent(self, message: Message) -> Message | None:
        """The message that a reply's thread hangs under, if it is still there."""
        return self._by_ts.get((message.channel, message.thread_ts or ""))

    def edit(self, message: Message, *, text: str | None = None, blocks: list[Json] | None = None) -> None:
        """Replaces what a message says, keeping its place."""
        if text is not None:
            message.text = text
        if blocks is not None:
            message.blocks = blocks
        message.edited = self.next_ts()
        self.publish("message_changed", message=message)

    def remove(self, message: Message) -> None:
        self.messages.remove(message)
        del self._by_ts[message.channel, message.ts]
        thread = self._threads.get((message.channel, message.thread_ts or ""), [])
        if message in thread:
            thread.remove(message)
        self.publish("message_deleted", message=message)

    def conversation(self, channel_id: str | None = None, thread_ts: str | None = None) -> list[Message]:
        """Messages in the order of their arrival, of one conversation or one thread or everywhere."""
        return [
            message
            for message in self.messages
            if (channel_id is None or message.channel == channel_id)
            and (thread_ts is None or thread_ts in (message.ts, message.thread_ts))
        ]

    def as_slack(self, message: Message) -> Json:
        """A message in Slack's own JSON, with the thread counts that parents carry."""
        shown: Json = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text}
        person = self.people.get(message.user)
        shown["team"] = person.team_id if person else organisation.TEAM_ID
        if message.blocks:
            shown["blocks"] = message.blocks
        if message.bot_id:
            shown |= {"bot_id": message.bot_id, "app_id": organisation.APP_ID, "bot_profile": bot_profile()}
        replies = [m for m in self._threads.get((message.channel, message.ts), []) if not m.ephemeral_to]
        if message.thread_ts:
            shown["thread_ts"] = message.thread_ts
        elif replies:
            shown |= {
                "thread_ts": message.ts,
                "reply_count": len(replies),
                "reply_users": sorted({reply.user for reply in replies}),
                "latest_reply": replies[-1].ts,
            }
        if message.broadcast:
            shown["subtype"] = "thread_broadcast"
        if message.edited:
            shown["edited"] = {"user": message.user, "ts": message.edited}
        for name in ("metadata", "files", "attachments"):
            if value := getattr(message, name):
                shown[name] = value
        if message.reactions:
            shown["reactions"] = [
                {"name": name, "users": users, "count": len(users)} for name, users in message.reactions.items()
            ]
        return shown

    # Interactions ----------------------------------------------------------------------------------------------

    def new_trigger(self, user: str, view_id: str | None = None) -> str:
        trigger_id = f"{next(self._counter)}.{secrets.token_hex(8)}"
        self.triggers[trigger_id] = Trigger(user, self.now(), view_id)
        return trigger_id

    def use_trigger(self, trigger_id: str) -> Trigger:
        """Exchanges a trigger for the right to open one modal; each can be used once, for three seconds."""
        trigger = self.triggers.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if self.now() - trigger.born > self.trigger_seconds:
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger

    def new_response_url(self, **where: Any) -> str:
        token = secrets.token_urlsafe(18)
        self.response_urls[token] = ResponseUrl(born=self.now(), **where)
        return f"{self.base_url}/response/{token}"

    # Views -----------------------------------------------------------------------------------------------------

    def store_view(self, content: Json, *, user: str, view_id: str | None = None, root: str | None = None) -> Json:
        """Stores a view's content under a new hash; what people had typed survives an update of the same blocks."""
        view_id = view_id or self.new_id("V")
        old = self.views.get(view_id, {})
        view: Json = {
            "id": view_id,
            "team_id": organisation.TEAM_ID,
            "app_id": organisation.APP_ID,
            "app_installed_team_id": organisation.TEAM_ID,
            "bot_id": organisation.BOT_ID,
            "type": content["type"],
            "blocks": content["blocks"],
            "private_metadata": content.get("private_metadata", ""),
            "callback_id": content.get("callback_id", ""),
            "external_id": content.get("external_id", ""),
            "state": old.get("state", {"values": {}}),
            "hash": f"{int(self.now())}.{secrets.token_hex(4)}",
            "clear_on_close": content.get("clear_on_close", False),
            "notify_on_close": content.get("notify_on_close", False),
            "root_view_id": root or old.get("root_view_id", view_id),
            "previous_view_id": old.get("previous_view_id"),
        }
        for name in ("title", "submit", "close"):
            view[name] = content.get(name)
        self.views[view_id] = view
        self.publish("view" if view["type"] == "modal" else "home", user=user, view=view)
        return view

    def owner(self, view_id: str) -> str:
        """The user id of the person who sees a view."""
        for user, stack in self.stacks.items():
            if view_id in stack:
                return user
        for user, home in self.homes.items():
            if home == view_id:
                return user
        raise SlackError("not_found")

    def push_view(self, user: str, content: Json) -> Json:
        """Opens a modal, or another on top of those that are open."""
        stack = self.stacks.setdefault(user, [])
        view = self.store_view(content, user=user, root=stack[0] if stack else None)
        view["previous_view_id"] = stack[-1] if stack else None
        stack.append(view["id"])
        self.publish("views", user=user)
        return view

    def close_views(self, user: str, *, everything: bool = False) -> list[Json]:
        """Closes the top modal or all of them; gives the closed views."""
        stack = self.stacks.get(user, [])
        closing = [*stack] if everything else stack[-1:]
        self.stacks[user] = [] if everything else stack[:-1]
        self.publish("views", user=user)
        return [self.views.pop(view_id) for view_id in closing]

    # Listening -------------------------------------------------------------------------------------------------

    def publish(self, kind: str, **data: Any) -> None:
        """Tells everybody who watches (the page, waiting tests) that something changed."""
        self.version += 1
        notice = {"kind": kind, "version": self.version, **data}
        for queue in self._listeners:
            queue.put_nowait(notice)

    def subscribe(self) -> asyncio.Queue[Json]:
        queue: asyncio.Queue[Json] = asyncio.Queue()
        self._listeners.add(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Json]) -> None:
        self._listeners.discard(queue)


def bot_profile() -> Json:
    return {
        "id": organisation.BOT_ID,
        "app_id": organisation.APP_ID,
        "name": organisation.BOT_NAME,
        "team_id": organisation.TEAM_ID,
        "deleted": False,
        "icons": {},
    }


def with_block_ids(blocks: list[Json], new_id: Callable[[str], str]) -> list[Json]:
    """The same blocks, each with the block_id (and each interactive element with the action_id) Slack adds."""
    copied: list[Json] = json.loads(json.dumps(blocks))
    for block in copied:
        block.setdefault("block_id", new_id("b"))
        for element in elements_of(block):
            if element.get("type") not in ("image", "mrkdwn", "plain_text"):
                element.setdefault("action_id", new_id("a"))
    return copied


def elements_of(block: Json) -> list[Json]:
    """The elements that people can use in one block, nested ones (cards, containers) included."""
    kind = block.get("type")
    if kind in ("actions", "context_actions"):
        return list(block.get("elements", []))
    if kind == "section":
        return [block["accessory"]] if "accessory" in block else []
    if kind == "input":
        return [block["element"]]
    if kind == "card":
        return list(block.get("actions", []))
    if kind == "carousel":
        return [element for card in block.get("elements", []) for element in elements_of(card)]
    if kind == "container":
        return [element for child in block.get("child_blocks", []) for element in elements_of(child)]
    return []
