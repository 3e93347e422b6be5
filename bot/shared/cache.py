"""A short cache of bytes: in Redis for all replicas, or in this process; losing it costs time only."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, cast

from redis import Redis
from redis.exceptions import RedisError

from tools.telemetry.logs import get_logger

LOCAL_ENTRIES = 256
LARGEST_BYTES = 256 * 1024
_log = get_logger(__name__)


class Cache(Protocol):
    """Keeps small values for a short time."""

    def get(self, key: str) -> bytes | None:
        """The value, or None when it was never put, too old or lost."""
        ...

    def put(self, key: str, value: bytes) -> None:
        """Keep a value; one that is too large is not kept."""
        ...


class LocalCache:
    """The newest entries, in this process."""

    def __init__(self, seconds: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        with self._lock:
            until, value = self._entries.get(key, (0.0, b""))
            if until > self._clock():
                return value
            self._entries.pop(key, None)
            return None

    def put(self, key: str, value: bytes) -> None:
        if len(value) > LARGEST_BYTES:
            return
        with self._lock:
            self._entries[key] = (self._clock() + self._seconds, value)
            self._entries.move_to_end(key)
            while len(self._entries) > LOCAL_ENTRIES:
                self._entries.popitem(last=False)


class RedisCache:
    """Shared by all replicas; while Redis is away there is no cache."""

    def __init__(self, redis: Redis, seconds: int) -> None:
        self._redis = redis
        self._seconds = seconds

    def get(self, key: str) -> bytes | None:
        try:
            return cast("bytes | None", self._redis.get(f"optiinfra:cache:{key}"))
        except RedisError as error:
            _log.warning("redis_unavailable", what="cache", error=str(error))
            return None

    def put(self, key: str, value: bytes) -> None:
        if len(value) > LARGEST_BYTES or self._seconds < 1:
            return
        try:
            self._redis.set(f"optiinfra:cache:{key}", value, ex=self._seconds)
        except RedisError as error:
            _log.warning("redis_unavailable", what="cache", error=str(error))


def cache(redis: Redis | None, seconds: int) -> Cache:
    """The cache for an installation with or without Redis."""
    return RedisCache(redis, seconds) if redis is not None else LocalCache(seconds)
