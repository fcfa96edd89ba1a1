"""Names of jobs, as people see them: what waits under each, and whether somebody paused it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

from pillars.errors import UnknownJob
from pillars.store.naming import defined_names
from pillars.store.queues import COUNTING
from pillars.store.rows import Answer, JobName, NewestJob, PausedName, Stored
from pillars.store.session import Executor
from pillars.store.statements import Statement

LIST = Statement("names/list", JobName)
FIND = Statement("names/find", JobName)
PAUSED = Statement("names/paused", PausedName)
PAUSE = Statement("names/pause", Answer)
RESUME = Statement("names/resume", Answer)
NEWEST = Statement("names/newest", NewestJob)
UNFINISHED = Statement("names/unfinished", Stored)

IDS_AT_ONCE = 10_000


async def listed(executor: Executor, *, timeout: timedelta = COUNTING) -> list[JobName]:
    """Every name that code defines, in order, with its unfinished jobs."""
    return await executor.rows(LIST, timeout=timeout)


async def find(executor: Executor, name: str) -> JobName:
    """One name; raises `UnknownJob` with the nearest."""
    found = await executor.rows(FIND, name, timeout=COUNTING)
    if not found:
        raise await _unknown(executor, name)
    return found[0]


async def paused(executor: Executor) -> dict[str, bool]:
    """Whether each name that code defines is paused; counts nothing."""
    return {one.name: one.paused for one in await executor.rows(PAUSED)}


async def pause(executor: Executor, name: str, *, by: str) -> None:
    """Let no worker claim jobs of a name; what runs goes on. `by` is who asks, for people. Raises `UnknownJob`."""
    [said] = await executor.rows(PAUSE, name, by)
    if said.answer == "unknown":
        raise await _unknown(executor, name)


async def resume(executor: Executor, name: str) -> None:
    """Let workers claim jobs of a name again, and wake them. Raises `UnknownJob`."""
    [said] = await executor.rows(RESUME, name)
    if said.answer == "unknown":
        raise await _unknown(executor, name)


async def newest(executor: Executor, name: str) -> NewestJob | None:
    """The newest unfinished job of a name. May read all unfinished jobs."""
    found = await executor.rows(NEWEST, name, timeout=COUNTING)
    return found[0] if found else None


async def unfinished(executor: Executor, name: str) -> AsyncIterator[list[UUID]]:
    """The ids of all unfinished jobs of a name, newest first, thousands at a time; none that is enqueued meanwhile."""
    last: UUID | None = None
    while found := await executor.rows(UNFINISHED, name, last, IDS_AT_ONCE, timeout=COUNTING):
        yield [one.job_id for one in found]
        last = found[-1].job_id


async def _unknown(executor: Executor, name: str) -> UnknownJob:
    """A name that no process has defined; one that was only enqueued is none, as nobody could claim it."""
    return UnknownJob.among(name, await defined_names(executor))
