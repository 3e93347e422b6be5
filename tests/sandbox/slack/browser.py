"""A headless Chromium, driven over its DevTools socket: only the standard library and websockets."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--hide-scrollbars",
]


def chromium() -> str | None:
    """The path of a Chromium on this machine, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page in a fresh profile."""

    def __init__(self, executable: str, profile: Path, *, width: int = 1440, height: int = 900) -> None:
        size = f"--window-size={width},{height}"
        command = [executable, *FLAGS, size, f"--user-data-dir={profile}", "about:blank"]
        # In a session of its own: the browser's many processes are ended together, not the wrapper script alone.
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._ids = itertools.count(1)
        self.console: list[str] = []
        self._open = contextlib.ExitStack()
        self._open.callback(self._end)
        try:
            self._socket = self._connect(profile / "DevToolsActivePort")
        except BaseException:
            self._end()
            raise
        self._call("Page.enable")
        self._call("Runtime.enable")
        self._call("Log.enable")

    def _connect(self, port_file: Path) -> ClientConnection:
        deadline = time.monotonic() + 40
        while not (port_file.exists() and port_file.read_text().count("\n")):
            if time.monotonic() > deadline:
                raise AssertionError("Chromium did not start.")
            time.sleep(0.05)
        port = port_file.read_text().splitlines()[0]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
            page = next(target for target in json.load(answer) if target["type"] == "page")
        dialled = connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None, compression=None, open_timeout=40)
        return self._open.enter_context(dialled)

    def _call(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=40))
            self._note(answer)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _note(self, answer: dict[str, Any]) -> None:
        if answer.get("method") == "Runtime.exceptionThrown":
            self.console.append(json.dumps(answer["params"]["exceptionDetails"])[:600])
        elif answer.get("method") == "Log.entryAdded" and answer["params"]["entry"]["level"] in ("error", "warning"):
            self.console.append(answer["params"]["entry"]["text"] + " " + answer["params"]["entry"].get("url", ""))

    def open(self, url: str) -> None:
        """Leaves whatever was there and loads a page anew."""
        self._call("Page.navigate", url="about:blank")
        self.console.clear()
        self._call("Page.navigate", url=url)
        self.until("document.body && document.body.dataset.ready === 'yes'")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression (promises are awaited)."""
        answer = self._call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script: str, timeout: float = 20) -> None:
        """Waits until an expression is truthy."""
        deadline = time.monotonic() + timeout
        while not self.run(f"!!({script})"):
            if time.monotonic() > deadline:
                raise AssertionError(f"Never true in the page: {script}\nConsole: {self.console}\n{self.text('#app')}")
            time.sleep(0.03)

    def text(self, selector: str) -> str:
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, selector: str) -> None:
        """A real mouse click in the middle of the first element that the selector finds, once it is there."""
        where = f"document.querySelector({json.dumps(selector)})"
        self.until(where)
        self.run(f"{where}.scrollIntoView({{block: 'center'}})")
        x, y = self.run(
            f"(() => {{ const r = {where}.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def write(self, text: str) -> None:
        self._call("Input.insertText", text=text)

    def key(self, name: str, code: int) -> None:
        more = {"text": "\r"} if name == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **more)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        self._open.close()

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
