"""Jobs that lie there before a measurement begins, and what must be found after it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from pillars.store.ids import new_id

from .raw import copy_rows, payload
from .server import Database

ATTEMPTS = 4  # as the runtime's default


async def fill_raw(database: Database, jobs: int) -> None:
    now = await database.ask("select now()")
    await copy_rows(
        database.connection, ((new_id(), "default", 0, now, payload(i)) for i in range(jobs))
    )


async def fill(database: Database, jobs: int, *, name: str) -> None:
    """Jobs as `enqueue_many` stores them."""
    await database.connection.copy_records_to_table(
        "jobs",
        schema_name="pillars",
        columns=["job_id", "name", "queue", "payload", "max_attempts"],
        records=((new_id(), name, "default", payload(i), ATTEMPTS) for i in range(jobs)),
    )


async def close_queue(database: Database) -> None:
    """Workers get ready and take nothing."""
    await database.ask("insert into pillars.queues (name, paused_at) values ('default', now())")


async def open_queue(database: Database) -> None:
    await database.ask("update pillars.queues set paused_at = null")
    await database.ask("select pg_notify('pillars', 'default')")


async def holds_claims(database: Database) -> bool:
    """Whether outcomes are still to be written: the flush that ends a claim takes its row away."""
    return bool(await database.ask("select exists (select from pillars.locks)"))


async def check_history(database: Database, jobs: int) -> None:
    """Raise unless the history has so many jobs, each completed at its first attempt, and no other."""
    row = await database.connection.fetchrow(
        "select count(*) filter (where state = 'completed' and attempt = 1), count(distinct job_id), count(*) from pillars.finished_jobs"
    )
    if tuple(row) != (jobs, jobs, jobs):
        raise AssertionError(
            f"of {jobs} jobs the history has {tuple(row)}: done at once, ids, rows"
        )


async def check_none_left(database: Database, table: str) -> None:
    left = await database.ask(f"select count(*) from {table}")
    if left:
        raise AssertionError(f"{left} jobs are left in {table}")


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[None]:
    """A transaction, open for the block, for which no row that dies may be removed."""
    connection = await asyncpg.connect(database.url)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute("select from pg_class")  # the first statement takes it
            yield
    finally:
        await connection.close()


@asynccontextmanager
async def listening(database: Database, channel: str) -> AsyncIterator[None]:
    """Somebody hears the notifications, as a worker would."""
    connection = await asyncpg.connect(database.url)
    try:
        await connection.add_listener(channel, lambda *_told: None)
        yield
    finally:
        await connection.close()
