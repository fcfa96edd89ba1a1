"""Rows of jobs: by themselves or many in one statement, and what wakes their workers."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from pillars.errors import DatabaseTrouble
from pillars.store.pool import Pool
from pillars.store.rows import NewJob, Yes
from pillars.store.statements import Nothing, Statement
from pillars.store.trouble import was_undone
from pillars.store.wakeups import Wakeups

Answer = TypeVar("Answer")

ENQUEUE = Statement("jobs/enqueue", Nothing)
ENQUEUE_TELLING = Statement("jobs/enqueue_telling", Yes)
ENQUEUE_MANY = Statement("jobs/enqueue_many", Nothing)

SOON = timedelta(
    seconds=30
)  # work due later is found by a poll, whose reply carries the next run_at
TRIES = 3  # of what others in the same tables keep from being written


async def insert(pool: Pool, wakeups: Wakeups, jobs: Sequence[NewJob]) -> None:
    """Store jobs without unique keys in one statement, and wake their workers."""
    await repeated(lambda: _insert(pool, wakeups, jobs))


async def repeated(store: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do it, and again where a deadlock or a serialization failure undid it; it must be a transaction of its own, whole."""
    for left in reversed(range(TRIES)):
        try:
            return await store()
        except DatabaseTrouble as trouble:
            if not (left and was_undone(trouble)):
                raise
    raise AssertionError


async def _insert(pool: Pool, wakeups: Wakeups, jobs: Sequence[NewJob]) -> None:
    if len(jobs) > 1:
        await pool.rows(ENQUEUE_MANY, *columns(jobs))
    elif is_soon(jobs[0]) and wakeups.may_ride(jobs[0].queue):
        with wakeups.riding():
            await pool.rows(ENQUEUE_TELLING, *parameters(jobs[0]))
        return
    else:
        await pool.rows(ENQUEUE, *parameters(jobs[0]))
    wake(wakeups, jobs)


def wake(wakeups: Wakeups, jobs: Iterable[NewJob]) -> None:
    """Wake the workers of what is due soon, each queue once."""
    for queue in {job.queue for job in jobs if is_soon(job)}:
        wakeups.wake(queue)


def parameters(job: NewJob) -> tuple[Any, ...]:
    """One row, as enqueue.sql takes it."""
    return (
        job.job_id, job.name, job.queue, job.payload, job.context, job.priority, job.run_at,
        job.run_in, job.expires_in, job.max_attempts, job.timeout, job.unique_key, job.tags, job.trace,
    )  # fmt: skip


def columns(jobs: Sequence[NewJob]) -> list[list[Any]]:
    """Rows as enqueue_many.sql takes them, a list a column."""
    found = [list(column) for column in zip(*map(parameters, jobs), strict=True)]
    found[12] = [None if tags is None else msgspec.json.encode(tags).decode() for tags in found[12]]
    return found


def is_soon(job: NewJob) -> bool:
    """Whether a worker is to be woken for it."""
    if job.run_at is not None:  # by our clock, which only decides about a wake-up
        return job.run_at <= datetime.now(job.run_at.tzinfo) + SOON
    return job.run_in is None or job.run_in <= SOON
