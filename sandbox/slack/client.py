"""A client of the control API for tests and tours: people say, click and look, in one line each."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sandbox.slack.workspace import Json

T = TypeVar("T")
POLL = 0.02
_LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class SandboxRefusedError(AssertionError):
    """The workspace refused what a person tried to do; `answer` is what it said."""

    def __init__(self, answer: Json) -> None:
        super().__init__(json.dumps(answer, ensure_ascii=False))
        self.answer = answer
        self.error = answer.get("error", "")


class People:
    """The people of the workspace at `url`. Every method blocks; `aio` has the same ones to await.

    In a test whose app runs on the test's own event loop, use `await ws.aio.submit(...)` and `await ws.aio.wait_for(...)`:
    a blocking wait there would stop the app as well.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.api_url = f"{url}/api/"
        self.aio = Awaited(self)

    # Doing -----------------------------------------------------------------------------------------------------

    def say(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> str:
        """Writes a message; gives its ts."""
        return str(self.post("say", user=user, channel=channel, text=text, thread_ts=thread_ts)["ts"])

    def edit(self, user: str, channel: str, ts: str, text: str | None) -> None:
        """Edits one's own message; None deletes it."""
        self.post("edit", user=user, channel=channel, ts=ts, text=text)

    def click(
        self, user: str, channel: str, ts: str, action_id: str, value: Any = None, *, block_id: str | None = None
    ) -> Json:
        """Uses an element of the message as it is now; gives the action that was sent to the app."""
        sent = self.post(
            "click", user=user, channel=channel, ts=ts, action_id=action_id, value=value, block_id=block_id
        )
        return _action(sent)

    def press(self, user: str, message: Json, action_id: str, value: Any = None) -> Json:
        """click() on a message of the transcript."""
        return self.click(user, message["channel"], message["ts"], action_id, value)

    def click_view(self, user: str, view_id: str, action_id: str, value: Any = None) -> Json:
        """Uses an element of one's Home tab or of an open modal."""
        return _action(self.post("click", user=user, view_id=view_id, action_id=action_id, value=value))

    def command(self, user: str, channel: str, command: str, text: str = "") -> None:
        self.post("command", user=user, channel=channel, command=command, text=text)

    def shortcut(self, user: str, callback_id: str, channel: str | None = None, ts: str | None = None) -> None:
        self.post("shortcut", user=user, callback_id=callback_id, channel=channel, ts=ts)

    def submit(self, user: str, view_id: str, values: Json | None = None) -> Json:
        """Fills in and submits a modal; gives {ok, response_action} or {ok: false, error, errors}."""
        _not_on_a_loop("submit")
        return self.post("submit", user=user, view_id=view_id, values=values or {}, refuse=False)

    def close(self, user: str, view_id: str) -> None:
        self.post("close", user=user, view_id=view_id)

    def open_home(self, user: str, tab: str = "home") -> None:
        self.post("open_home", user=user, tab=tab)

    def stop(self, user: str, channel: str, thread_ts: str) -> None:
        """Presses the stop button of an agent's session."""
        self.post("stop", user=user, channel=channel, thread_ts=thread_ts)

    def fault(self, kind: str, **details: Any) -> None:
        """Plans a fault: see sandbox/slack/faults.py for the kinds; "clear" ends all, "limits" takes enabled=."""
        self.post("fault", kind=kind, **details)

    # Looking ---------------------------------------------------------------------------------------------------

    def views(self, user: str) -> list[Json]:
        """The modals that a person has open, bottom first."""
        return list(self.get("views", user=user)["views"])

    def home(self, user: str) -> Json | None:
        """A person's Home tab as published last."""
        view = self.get("home", user=user)["view"]
        return dict(view) if view else None

    def transcript(
        self, channel: str | None = None, thread_ts: str | None = None, user: str | None = None
    ) -> list[Json]:
        """Messages in order; with `user` only those that this person sees."""
        return list(self.get("transcript", channel=channel, thread_ts=thread_ts, user=user)["messages"])

    def status(self) -> Json:
        """Connections, deliveries (with their acks) and planned faults."""
        return self.get("status")

    # Waiting ---------------------------------------------------------------------------------------------------

    def until(self, look: Callable[[], T], timeout: float = 5.0, what: str = "the expected state") -> T:
        """Looks again and again; gives the first truthy result, or fails with the transcript."""
        _not_on_a_loop("until")
        deadline = time.monotonic() + timeout
        while True:
            if found := look():
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"Waited {timeout} s for {what}. The transcript so far:\n{self.told()}")
            time.sleep(POLL)

    def wait_for(
        self,
        predicate: Callable[[Json], Any],
        timeout: float = 5.0,
        *,
        channel: str | None = None,
        user: str | None = None,
    ) -> Json:
        """The first message (as in transcript()) for which the predicate holds."""

        def look() -> Json | None:
            return next((m for m in self.transcript(channel, user=user) if predicate(m)), None)

        found = self.until(look, timeout, "a message")
        assert found is not None
        return found

    def wait_for_view(self, user: str, timeout: float = 5.0) -> Json:
        """The modal on top, once a person has one open."""
        return self.until(lambda: self.views(user), timeout, f"a modal for {user}")[-1]

    def wait_for_home(self, user: str, predicate: Callable[[Json], Any] = bool, timeout: float = 5.0) -> Json:
        """A person's Home tab, once it is published and the predicate holds."""

        def look() -> Json | None:
            view = self.home(user)
            return view if view and predicate(view) else None

        found = self.until(look, timeout, f"the Home tab of {user}")
        assert found is not None
        return found

    def wait_for_app(self, timeout: float = 10.0) -> None:
        """Until the app has a Socket Mode connection."""
        self.until(lambda: self.status()["connections"], timeout, "the app's connection")

    def told(self) -> str:
        """The transcript as text."""
        return "\n".join(f"[{m['channel']} {m['ts']}] {m['name']}: {m['rendered']}" for m in self.transcript())

    # Wire ------------------------------------------------------------------------------------------------------

    def post(self, what: str, *, refuse: bool = True, **body: Any) -> Json:
        content = json.dumps({name: value for name, value in body.items() if value is not None or name == "text"})
        request = urllib.request.Request(  # noqa: S310 - our own loopback server
            f"{self.url}/sandbox/{what}", content.encode(), {"Content-Type": "application/json"}
        )
        return _read(request, refuse=refuse)

    def get(self, what: str, **query: str | None) -> Json:
        wanted = urllib.parse.urlencode({name: value for name, value in query.items() if value is not None})
        return _read(urllib.request.Request(f"{self.url}/sandbox/{what}?{wanted}"), refuse=True)  # noqa: S310 - same


class Awaited:
    """The same methods, run in a thread so that the caller's event loop goes on: await ws.aio.say(...)."""

    def __init__(self, people: People) -> None:
        self._people = people

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._people, name)

        async def run(*args: Any, **kwargs: Any) -> Any:
            return await asyncio.to_thread(method, *args, **kwargs)

        return run


def _action(answer: Json) -> Json:
    return dict(answer["action"])


def _read(request: urllib.request.Request, *, refuse: bool) -> Json:
    with _LOOPBACK.open(request, timeout=15) as response:
        answer: Json = json.load(response)
    if refuse and not answer["ok"]:
        raise SandboxRefusedError(answer)
    return answer


def _not_on_a_loop(name: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"{name}() would stop this event loop: write `await ws.aio.{name}(...)`.")
