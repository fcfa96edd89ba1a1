"""Putting jobs in: one by one, many at once, inside the caller's transaction, and again where the outcome is unknown."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from pillars.errors import DatabaseTrouble
from pillars.store.borrowed import Borrowed, BorrowedNow
from pillars.store.database import Database
from pillars.store.inserting import ENQUEUE_MANY, columns, parameters, repeated, wake
from pillars.store.rows import Enqueued, Inserted, NewJob, Now, Stored
from pillars.store.session import Session
from pillars.store.statements import Portable, Statement
from pillars.store.trouble import told

ENQUEUE_WITHIN = Statement("jobs/enqueue_within", Enqueued)
ENQUEUE_AGAIN = Statement("jobs/enqueue_again", Enqueued)
TAKE_BACK = Statement("jobs/take_back", Stored)
FIND_UNIQUE = Statement("jobs/find_unique", Stored)
INSERT_JOBS = Portable("jobs/insert_jobs", Inserted)
NOW = Statement("jobs/now", Now)

COPY_FROM = 1000  # jobs; below it one INSERT is as fast and needs no second form
BULK_TIMEOUT = timedelta(minutes=5)
REPEATS = 3
ALWAYS = ("job_id", "name", "queue", "payload", "priority", "run_at")
SOMETIMES = ("context", "max_attempts", "timeout", "tags", "trace")
"""Columns that are null unless said; those that no job of a bulk says are not sent."""


async def enqueue(database: Database, job: NewJob) -> Enqueued:
    """Store one job and wake a worker. Repeats itself where a deadlock undid it, and, under the same id, where the outcome is unknown."""
    try:
        if job.unique_key is None:
            await database.enqueues.put(job)
            return Enqueued(job.job_id, created=True)
        # Alone: it may have to wait for another's commit.
        [stored] = await repeated(lambda: database.pool.rows(ENQUEUE_WITHIN, *parameters(job)))
    except DatabaseTrouble as trouble:
        if not trouble.may_have_happened:
            raise
        stored = await _enqueue_again(database, job, trouble)
        wake(database.wakeups, [job])
    return stored


async def enqueue_many(database: Database, jobs: Sequence[NewJob]) -> list[Enqueued]:
    """Store jobs in one statement and wake their workers; answers in order. Repeats itself where a deadlock undid it.

    Crowds wait in the order of their keys, but somebody's transaction may take them as it likes.
    """
    if any(job.unique_key is not None for job in jobs):
        keyed = partial(database.pool.rows, INSERT_JOBS.numbered, _json(jobs), timeout=BULK_TIMEOUT)
        return _enqueued(await repeated(keyed))
    await repeated(lambda: _store(database, jobs))
    wake(database.wakeups, jobs)
    return _created(jobs)


async def enqueue_borrowed(borrowed: Borrowed, jobs: Sequence[NewJob]) -> list[Enqueued]:
    """Store jobs in the caller's transaction, which also carries the notifications; answers in order."""
    return _enqueued(await borrowed.rows(INSERT_JOBS, jobs=_json(jobs)))


def enqueue_borrowed_now(borrowed: BorrowedNow, jobs: Sequence[NewJob]) -> list[Enqueued]:
    """As `enqueue_borrowed`, on a connection that blocks."""
    return _enqueued(borrowed.rows(INSERT_JOBS, jobs=_json(jobs)))


async def _enqueue_again(database: Database, job: NewJob, first: DatabaseTrouble) -> Enqueued:
    """Whatever the tries meet, `first` is what is to be said: the job may be there."""
    for left in reversed(range(REPEATS)):
        try:
            return await _repeat(database, job)
        except DatabaseTrouble as trouble:
            if not left:
                raise first from trouble
    raise AssertionError


async def _repeat(database: Database, job: NewJob) -> Enqueued:
    async with database.pool.session() as session, session.transaction():
        while True:
            if await session.rows(ENQUEUE_AGAIN, *parameters(job)):
                await session.rows(TAKE_BACK, job.job_id)
                return Enqueued(job.job_id, created=True)
            if job.unique_key is None:
                return Enqueued(job.job_id, created=True)
            # Whoever held the key may have ended since; then the insert has its turn again.
            for held in await session.rows(FIND_UNIQUE, job.unique_key):
                return Enqueued(held.job_id, created=held.job_id == job.job_id)


async def _store(database: Database, jobs: Sequence[NewJob]) -> None:
    async with database.pool.session() as session:
        if len(jobs) >= COPY_FROM:
            await _copy(session, jobs)
        else:
            await session.rows(ENQUEUE_MANY, *columns(jobs), timeout=BULK_TIMEOUT)


async def _copy(session: Session, jobs: Sequence[NewJob]) -> None:
    [clock] = await session.rows(NOW)
    columns, records = _copied(jobs, clock.now)
    with told():
        await session.connection.copy_records_to_table(
            "jobs",
            schema_name="pillars",
            columns=columns,
            records=records,
            timeout=BULK_TIMEOUT.total_seconds(),
        )


def _copied(jobs: Sequence[NewJob], now: datetime) -> tuple[list[str], Iterable[tuple[Any, ...]]]:
    """The columns that the jobs need, and a record for each."""
    due = [job.run_at or (now if job.run_in is None else now + job.run_in) for job in jobs]
    values = {name: [getattr(job, name) for job in jobs] for name in (*ALWAYS, *SOMETIMES)}
    values["run_at"] = due
    said = {
        name: some
        for name, some in values.items()
        if name in ALWAYS or some.count(None) < len(some)
    }
    if any(job.expires_in is not None for job in jobs):
        said["expires_at"] = [
            None if job.expires_in is None else max(run_at, now) + job.expires_in
            for job, run_at in zip(jobs, due, strict=True)
        ]
    return list(said), zip(*said.values(), strict=True)


def _json(jobs: Sequence[NewJob]) -> str:
    """The jobs as pillars.new_job reads them: JSON has no interval, so waits are seconds."""
    return msgspec.json.encode([_fields(job) for job in jobs]).decode()


def _fields(job: NewJob) -> dict[str, Any]:
    fields = {name: getattr(job, name) for name in NewJob.__struct_fields__}
    waits = {name: _seconds(fields[name]) for name in ("run_in", "expires_in", "timeout")}
    return fields | waits | {"payload": msgspec.Raw(job.payload.encode())}


def _seconds(wait: timedelta | None) -> float | None:
    return None if wait is None else wait.total_seconds()


def _created(jobs: Sequence[NewJob]) -> list[Enqueued]:
    return [Enqueued(job.job_id, created=True) for job in jobs]


def _enqueued(rows: Sequence[Inserted]) -> list[Enqueued]:
    return [Enqueued(UUID(row.job_id), row.created) for row in rows]
