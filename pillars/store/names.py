"""Names of jobs, as people see them: what waits under each, and whether somebody paused it."""

from datetime import timedelta

from pillars.errors import UnknownJob
from pillars.store.naming import defined_names
from pillars.store.queues import COUNTING
from pillars.store.rows import Answer, JobName, PausedName
from pillars.store.session import Executor
from pillars.store.statements import Statement

LIST = Statement("names/list", JobName)
FIND = Statement("names/find", JobName)
PAUSED = Statement("names/paused", PausedName)
PAUSE = Statement("names/pause", Answer)
RESUME = Statement("names/resume", Answer)


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


async def _unknown(executor: Executor, name: str) -> UnknownJob:
    """A name that no process has defined; one that was only enqueued is none, as nobody could claim it."""
    return UnknownJob.among(name, await defined_names(executor))
