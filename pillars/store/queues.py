"""Queues: what waits in each, and whether people paused it."""

from datetime import timedelta

from pillars.errors import UnknownQueue
from pillars.store.health import FRESH
from pillars.store.rows import Queue, Resumed, Yes
from pillars.store.session import Executor
from pillars.store.statements import Nothing, Statement

LIST = Statement("queues/list", Queue)
FIND = Statement("queues/find", Queue)
IS_KNOWN = Statement("queues/is_known", Yes)
PAUSE = Statement("queues/pause", Nothing)
RESUME = Statement("queues/resume", Resumed)

COUNTING = timedelta(seconds=30)  # a backlog of millions is when people look


async def listed(executor: Executor, *, timeout: timedelta = COUNTING) -> list[Queue]:
    """Every queue that anybody has named, by name, with its unfinished jobs."""
    return await executor.rows(LIST, FRESH, timeout=timeout)


async def find(executor: Executor, name: str) -> Queue:
    """One queue; raises `UnknownQueue` with the nearest name."""
    await require(executor, name)
    [queue] = await executor.rows(FIND, name, timeout=COUNTING)
    return queue


async def require(executor: Executor, name: str) -> None:
    """Raise `UnknownQueue`, with the nearest name, for a queue that nobody names; counts nothing."""
    [known] = await executor.rows(IS_KNOWN, name, FRESH)
    if not known.yes:
        raise UnknownQueue.among(name, [queue.name for queue in await listed(executor)])


async def pause(executor: Executor, name: str) -> None:
    """Let no worker claim from a queue; what runs goes on. Raises `UnknownQueue`."""
    await require(executor, name)
    await executor.rows(PAUSE, name)


async def resume(executor: Executor, name: str) -> None:
    """Let workers claim from a queue again, and wake them. Raises `UnknownQueue`."""
    await require(executor, name)
    await executor.rows(RESUME, name)
