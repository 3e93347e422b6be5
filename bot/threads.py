"""Threads: the one bounded way from an event loop to blocking work."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
DEFAULT_SIZE = 8


class Threads:
    """At most `size` blocking calls at the same time; further ones wait their turn without blocking the loop."""

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        self._pool = ThreadPoolExecutor(max_workers=size, thread_name_prefix="blocking")

    async def in_thread(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread and wait for its result; what it raises is raised here.

        A caller that is cancelled stops waiting; the work itself ends by itself.
        """
        context = contextvars.copy_context()
        call = partial(context.run, partial(work, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Let what runs end, start nothing more."""
        self._pool.shutdown(wait=True, cancel_futures=True)
