"""Wake-ups: a decision on one replica makes the workers of all replicas look at once, not at their next poll."""

from __future__ import annotations

import threading
from typing import Protocol

from redis import Redis
from redis.exceptions import RedisError

from tools.telemetry.logs import get_logger

CHANNEL = "optiinfra:wake"
RECONNECT_SECONDS = 2.0
_log = get_logger(__name__)


class Wakeups(Protocol):
    """A bell. Missing a ring costs one poll interval, nothing else."""

    def ring(self) -> None:
        """Something changed that a worker may want to see now."""
        ...

    def wait(self, seconds: float) -> bool:
        """Sleep until somebody rings or the time is over; True when it rang."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class LocalWakeups:
    """A bell inside this process."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        self._event.set()

    def wait(self, seconds: float) -> bool:
        rang = self._event.wait(seconds)
        self._event.clear()
        return rang

    def close(self) -> None:
        self._event.set()


class RedisWakeups:
    """A bell for all replicas by publish and subscribe; while Redis is away it rings in this process only."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._local = LocalWakeups()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="wakeups", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        self._local.ring()
        try:
            self._redis.publish(CHANNEL, b"1")
        except RedisError as error:
            _log.warning("redis_unavailable", what="wake-up", error=str(error))

    def wait(self, seconds: float) -> bool:
        return self._local.wait(seconds)

    def close(self) -> None:
        self._closed.set()
        self._local.close()
        self._thread.join(timeout=3)

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]  # untyped upstream
                    subscription.subscribe(CHANNEL)
                    while not self._closed.is_set():
                        if subscription.get_message(timeout=0.5) is not None:
                            self._local.ring()
            except (RedisError, OSError) as error:
                _log.warning("redis_unavailable", what="wake-ups", error=str(error))
                self._closed.wait(RECONNECT_SECONDS)


def wakeups(redis: Redis | None) -> Wakeups:
    """The bell for an installation with or without Redis."""
    return RedisWakeups(redis) if redis is not None else LocalWakeups()


def connect(url: str) -> Redis | None:
    """A Redis client for the URL of the settings, or None when there is none. It connects at first use."""
    if not url:
        return None
    return Redis.from_url(url, socket_connect_timeout=0.5, socket_timeout=1.0)
