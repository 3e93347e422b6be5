"""Blocking work leaves the event loop alone, a bounded number of pieces at a time."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest

from bot.threads import Threads
from tests.bot.stalls import longest_stall


async def test_results_and_errors_come_back() -> None:
    """What the work returns is returned, what it raises is raised, and it sees the caller's context."""
    threads = Threads(2)
    name = contextvars.ContextVar("name", default="nobody")
    name.set("priya")
    assert await threads.in_thread(pow, 2, 5) == 32
    assert await threads.in_thread(name.get) == "priya"
    with pytest.raises(ZeroDivisionError):
        await threads.in_thread(divmod, 1, 0)
    threads.close()


async def test_no_more_than_its_size_at_the_same_time() -> None:
    """Twenty calls through a helper of three: three at a time, all of them in the end."""
    threads = Threads(3)
    lock, running, most = threading.Lock(), [0], [0]

    def work() -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1
        return 1

    assert sum(await asyncio.gather(*(threads.in_thread(work) for _ in range(20)))) == 20
    assert most[0] == 3
    threads.close()


async def test_the_loop_goes_on_meanwhile() -> None:
    """A second of blocking work in threads stalls nothing; the same work on the loop is noticed."""
    threads = Threads(4)

    async def in_threads() -> None:
        await asyncio.gather(*(threads.in_thread(time.sleep, 0.2) for _ in range(8)))

    async def on_the_loop() -> None:
        time.sleep(0.2)

    assert await longest_stall(in_threads) < 0.05
    assert await longest_stall(on_the_loop, tries=2) > 0.15
    threads.close()
