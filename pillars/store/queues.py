"""Queues: what waits in each, and whether people paused it."""

from pillars.errors import UnknownQueue
from pillars.store.health import FRESH
from pillars.store.pool import Executor
from pillars.store.rows import Queue, Resumed
from pillars.store.statements import Nothing, Statement

LIST = Statement("queues/list", Queue)
PAUSE = Statement("queues/pause", Nothing)
RESUME = Statement("queues/resume", Resumed)


async def listed(executor: Executor) -> list[Queue]:
    """Every queue that anybody has named, by name, with its unfinished jobs."""
    return await executor.rows(LIST, None, FRESH)


async def find(executor: Executor, name: str) -> Queue:
    """One queue; raises `UnknownQueue` with the nearest name."""
    found = await executor.rows(LIST, name, FRESH)
    if not found:
        raise UnknownQueue.among(name, [queue.name for queue in await listed(executor)])
    return found[0]


async def pause(executor: Executor, name: str) -> Queue:
    """Let no worker claim from a queue, and return it; what runs goes on. Raises `UnknownQueue`."""
    await find(executor, name)
    await executor.rows(PAUSE, name)
    return await find(executor, name)


async def resume(executor: Executor, name: str) -> Queue:
    """Let workers claim from a queue again, wake them, and return it. Raises `UnknownQueue`."""
    await find(executor, name)
    await executor.rows(RESUME, name)
    return await find(executor, name)
