"""Rate limits per person: exact sliding windows, in Redis for all replicas or in this process."""

from __future__ import annotations

import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Protocol, cast

from redis import Redis
from redis.exceptions import RedisError

from tools.telemetry.logs import get_logger

WINDOW_SECONDS = 60.0
_log = get_logger(__name__)

# One round trip: forget what left the window, then either count this call or tell when the oldest one leaves.
_SCRIPT = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('ZADD', KEYS[1], now, ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 0
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return math.max(1, oldest[2] + ARGV[2] - now)
"""


class Limiter(Protocol):
    """Counts calls per key."""

    def wait_for(self, key: str) -> float:
        """Count one call of `key`: 0 when it may go on, else the seconds until it may."""
        ...


class LocalLimiter:
    """A window per key in this process."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._calls: dict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def wait_for(self, key: str) -> float:
        with self._lock:
            now = self._clock()
            calls = self._calls[key]
            while calls and calls[0] <= now - WINDOW_SECONDS:
                calls.popleft()
            if len(calls) < self._limit:
                calls.append(now)
                return 0.0
            return calls[0] + WINDOW_SECONDS - now

    def forget_idle(self) -> None:
        """Drop keys without calls in the window, so that memory follows the people who are active."""
        with self._lock:
            now = self._clock()
            for key in [k for k, calls in self._calls.items() if not calls or calls[-1] <= now - WINDOW_SECONDS]:
                del self._calls[key]


class RedisLimiter:
    """One window per key for all replicas; while Redis is away each replica counts for itself."""

    def __init__(self, redis: Redis, limit: int) -> None:
        self._redis = redis
        self._limit = limit
        self._local = LocalLimiter(limit)

    def wait_for(self, key: str) -> float:
        try:
            arguments = [str(self._limit), str(int(WINDOW_SECONDS * 1000)), uuid.uuid4().hex]
            milliseconds = self._redis.eval(_SCRIPT, 1, f"optiinfra:limit:{key}", *arguments)
        except RedisError as error:
            _log.warning("redis_unavailable", what="rate limit", error=str(error))
            return self._local.wait_for(key)
        return float(cast("int", milliseconds)) / 1000


def limiter(redis: Redis | None, per_minute: int) -> Limiter:
    """The limiter for an installation with or without Redis."""
    return RedisLimiter(redis, per_minute) if redis is not None else LocalLimiter(per_minute)
