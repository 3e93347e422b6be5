"""What the REST clouds share when something is changed: time that passes for what is under way, and versions of things."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.clouds.rest import RefusalError

Document = dict[str, Any]
# How much faster than at the real clouds things happen when nobody says otherwise.
SPEED = 20.0


@dataclass
class Timeline:
    """What is under way and when it is done. Tests let time pass with `pass_`; a server's clock does it by itself."""

    speed: float = SPEED
    clock: Callable[[], float] = time.monotonic
    lock: threading.RLock = field(default_factory=threading.RLock)
    _ahead: float = 0.0
    _waiting: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def now(self) -> float:
        """Seconds of the cloud's own time."""
        return self.clock() * self.speed + self._ahead

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        self._waiting.append((self.now() + seconds, do))

    def pass_(self, seconds: float) -> None:
        """So much time has passed at once; what falls due in it happens in its order."""
        with self.lock:
            self._ahead += seconds
            self.tick()

    def tick(self) -> None:
        """Do what is due."""
        with self.lock:
            while due := [entry for entry in self._waiting if entry[0] <= self.now()]:
                first = min(due, key=lambda entry: entry[0])
                self._waiting.remove(first)
                first[1]()

    def forget(self) -> None:
        self._waiting.clear()


@dataclass
class Short:
    """What the cloud has too little of: kinds that are sold out, and quotas that are full."""

    sold_out: set[str] = field(default_factory=set)
    full: set[str] = field(default_factory=set)

    def told(self, document: Mapping[str, Any]) -> Document:
        """What tests ask for, {"sold_out": [...], "full": [...]}; tells how it stands."""
        self.sold_out = {str(kind) for kind in document.get("sold_out", self.sold_out)}
        self.full = {str(quota) for quota in document.get("full", self.full)}
        return {"sold_out": sorted(self.sold_out), "full": sorted(self.full)}


def version_of(document: Mapping[str, Any]) -> str:
    """An ETag or fingerprint: another one for every state of a thing."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()[:16]


def found(documents: list[Document], name: str, key: str = "name") -> Document:
    """The one of that name, or the cloud's "not found"."""
    for document in documents:
        if str(document.get(key, "")).lower() == name.lower():
            return document
    raise RefusalError(404, "notFound", f"The resource '{name}' was not found")


def merged(document: Document, change: Mapping[str, Any]) -> None:
    """A merge patch: what is named is set, null takes away, the rest stays."""
    for key, value in change.items():
        if value is None:
            document.pop(key, None)
        elif isinstance(value, dict) and isinstance(document.get(key), dict):
            merged(document[key], value)
        else:
            document[key] = value
