"""Callers at once, for so long: what the peers' `insert` does."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def call(clients: int, seconds: float, enqueue: Callable[[int], Awaitable[object]]) -> int:
    """So many callers, each with one call at a time, for so many seconds; returns how many calls were done.

    `enqueue` is given the number of its caller.
    """
    until = time.monotonic() + seconds

    async def caller(number: int) -> int:
        count = 0
        while time.monotonic() < until:
            await enqueue(number)
            count += 1
        return count

    return sum(await asyncio.gather(*map(caller, range(clients))))


async def call_in_threads(clients: int, seconds: float, enqueue: Callable[[], object]) -> int:
    """The same for a call that blocks: each caller in a thread of its own."""
    until = time.monotonic() + seconds

    def caller() -> int:
        count = 0
        while time.monotonic() < until:
            enqueue()
            count += 1
        return count

    return sum(await asyncio.gather(*(asyncio.to_thread(caller) for _ in range(clients))))
