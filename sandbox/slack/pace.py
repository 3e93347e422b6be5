"""Slack's rate limits: so many calls per minute and method, and about one message per second and channel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

MESSAGE_BURST = 5
TIERS = {1: 1, 2: 20, 3: 50, 4: 100}
POSTING = ("chat.postMessage", "chat.startStream")
METHOD_TIERS = {
    "apps.connections.open": 1,
    "chat.startStream": 2,
    "chat.stopStream": 2,
    "conversations.list": 2,
    "users.list": 2,
    "files.getUploadURLExternal": 4,
    "files.completeUploadExternal": 4,
    "chat.update": 3,
    "chat.delete": 3,
    "chat.unfurl": 3,
    "agents.sessions.setStatus": 3,
    "agents.sessions.rename": 3,
    "conversations.history": 3,
    "conversations.replies": 3,
    "conversations.info": 3,
    "conversations.open": 3,
    "reactions.add": 3,
    "reactions.remove": 2,
    "team.info": 3,
    "bots.info": 3,
    "users.lookupByEmail": 3,
    "chat.postEphemeral": 4,
    "chat.appendStream": 4,
    "conversations.members": 4,
    "users.info": 4,
    "views.open": 4,
    "views.push": 4,
    "views.update": 4,
    "views.publish": 4,
}
# A new connection is wanted after each refresh; Slack itself allows many more than its tier's name says.
GENEROUS = {"apps.connections.open": 30}


@dataclass(slots=True)
class Bucket:
    """A token bucket: `capacity` calls at once, refilled at `rate` per second."""

    capacity: float
    rate: float
    tokens: float
    seen: float

    def take(self, now: float) -> float:
        """Takes one token; gives 0, or the seconds until there is one."""
        self.tokens = min(self.capacity, self.tokens + (now - self.seen) * self.rate)
        self.seen = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.rate


@dataclass(slots=True)
class Pace:
    """All buckets of one workspace; `speed` makes Slack's clock run faster than ours."""

    now: Callable[[], float]
    speed: float = 1.0
    enabled: bool = True
    buckets: dict[str, Bucket] = field(default_factory=dict)

    def wait(self, method: str, channel: str | None) -> int | None:
        """Whole seconds that the caller must wait, or None when the call may pass."""
        if not self.enabled:
            return None
        waits = [self._take(f"method:{method}", *self._tier(method))] if method in METHOD_TIERS else []
        if method in POSTING and channel:
            waits.append(self._take(f"channel:{channel}", MESSAGE_BURST, 1.0))
        longest = max(waits, default=0.0)
        return max(1, math.ceil(longest)) if longest > 0 else None

    def _tier(self, method: str) -> tuple[float, float]:
        calls = GENEROUS.get(method, TIERS[METHOD_TIERS[method]])
        return calls, calls / 60

    def _take(self, key: str, capacity: float, rate: float) -> float:
        now = self.now()
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = Bucket(capacity, rate * self.speed, capacity, now)
        return bucket.take(now)
