"""Ways to call an enqueue: as fast as it goes, now and then, at a constant rate."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

Enqueue = Callable[[int], Awaitable[object]]
"""Enqueues the job of this number."""

WARM = 20  # calls a client before the time counts: connections are made and statements prepared
APART = (0.02, 0.04)  # seconds between two single calls, so that they keep no step with anything


async def warm(clients: int, enqueue: Enqueue) -> int:
    """Have every client's connection used; returns how many jobs were enqueued."""
    for _ in range(WARM):
        await asyncio.gather(*(enqueue(number) for number in range(clients)))
    return WARM * clients


async def keep_calling(clients: int, seconds: float, enqueue: Callable[[int], Enqueue]) -> int:
    """So many clients, each with one call at a time; `enqueue` gives each its own. Returns how many calls were done."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds

    async def client(call: Enqueue) -> int:
        count = 0
        while loop.time() < until:
            await call(count)
            count += 1
        return count

    return sum(await asyncio.gather(*(client(enqueue(number)) for number in range(clients))))


async def call_apart(seconds: float, enqueue: Enqueue) -> list[int]:
    """One call now and then; when each began, in nanoseconds since 1970. The first few make connections: leave them out."""
    until = time.monotonic() + seconds
    began = list[int]()
    while time.monotonic() < until:
        await asyncio.sleep(random.uniform(*APART))
        began.append(time.time_ns())
        await enqueue(len(began) - 1)
    return began


def most_apart(seconds: float) -> int:
    """How many calls `call_apart` makes at most."""
    return int(seconds / APART[0]) + 1


async def call_steadily(bursts: int, pause: float, enqueue: Enqueue) -> None:
    """A call every `pause` seconds, by the clock: what falls behind is caught up with."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(bursts):
        await asyncio.sleep(max(began + number * pause - loop.time(), 0))
        await enqueue(number)


def due_times(jobs: int) -> list[float]:
    """Moments 1 to 5 s ahead, in seconds since 1970."""
    now = time.time()
    return [now + random.uniform(1, 5) for _ in range(jobs)]
