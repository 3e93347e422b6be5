"""Measures how long an event loop was held up while something ran."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

TICK = 0.005


async def longest_stall(work: Callable[[], Awaitable[object]], enough: float = 0.05, tries: int = 8) -> float:
    """The longest time by which a 5 ms tick was late while `work` ran, in its best run.

    A busy machine makes single ticks late; what holds up the loop makes them late in every run. No further
    run is needed once one stayed below `enough`.
    """
    best = await _once(work)
    for _ in range(tries - 1):
        if best < enough:
            break
        best = min(best, await _once(work))
    return best


async def _once(work: Callable[[], Awaitable[object]]) -> float:
    worst, done = [0.0], asyncio.Event()

    async def tick() -> None:
        while not done.is_set():
            began = time.perf_counter()
            await asyncio.sleep(TICK)
            worst[0] = max(worst[0], time.perf_counter() - began - TICK)

    ticking = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    await work()
    done.set()
    await ticking
    return worst[0]
