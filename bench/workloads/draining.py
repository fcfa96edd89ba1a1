"""No-op jobs that lie there already: how fast they go, and what each costs."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import asyncpg

from bench.marks import Marks
from bench.meter import Cost, measured
from bench.processes import pids, pillar, program
from bench.raw import payload
from bench.running import Bench, Figures, Workload
from bench.server import Database
from pillars.jobs.enqueuing import new_id

JOBS = 60_000
LOOK = 0.005  # seconds
QUIET = {"LOG_LEVEL": "warning"}


async def raw(bench: Bench, *, workers: int = 1) -> Figures:
    """The raw loop, in so many processes."""
    jobs = bench.jobs(JOBS)
    marks = bench.marks(jobs)
    async with bench.database() as database, AsyncExitStack() as stack:
        await fill_raw(database, jobs)
        await database.settle()
        programs = [
            await stack.enter_async_context(
                program("raw", "drain", url=database.url, environ=marks.environ)
            )
            for _ in range(workers)
        ]
        async with measured(database, pids(programs)) as cost:
            for one in programs:
                one.start()
            await until_done(database, marks, "raw.jobs")
        return proved(marks, cost)


async def pillars(bench: Bench, *, workers: int = 1) -> Figures:
    """`app worker`, as many, with the history kept."""
    jobs = bench.jobs(JOBS)
    marks = bench.marks(jobs)
    async with bench.database() as database, AsyncExitStack() as stack:
        await fill(database, "noop", jobs)
        await close_queue(database)
        await database.settle()
        started = [
            await stack.enter_async_context(
                pillar(bench.folder, database.url, "worker", environ=marks.environ | QUIET)
            )
            for _ in range(workers)
        ]
        async with measured(database, pids(started)) as cost:
            await open_queue(database)
            await until_done(database, marks, "pillars.jobs")
        await check_history(database, jobs)
        return proved(marks, cost)


async def fill_raw(database: Database, jobs: int) -> None:
    [[now]] = await database.connection.fetch("select now()")
    rows = [(new_id(), "default", 0, now, payload(i)) for i in range(jobs)]
    columns = ["job_id", "queue", "priority", "run_at", "payload"]
    await database.connection.copy_records_to_table(
        "jobs", schema_name="raw", columns=columns, records=rows
    )


async def fill(database: Database, name: str, jobs: int) -> None:
    """Jobs as `enqueue_many` would store them."""
    rows = [(new_id(), name, "default", payload(i), 4) for i in range(jobs)]
    columns = ["job_id", "name", "queue", "payload", "max_attempts"]
    await database.connection.copy_records_to_table(
        "jobs", schema_name="pillars", columns=columns, records=rows
    )


async def close_queue(database: Database) -> None:
    await database.connection.execute(
        "insert into pillars.queues (name, paused_at) values ('default', now())"
    )


async def open_queue(database: Database) -> None:
    await database.connection.execute("update pillars.queues set paused_at = null")
    await database.connection.execute("select pg_notify('pillars', 'default')")


async def until_done(database: Database, marks: Marks, table: str) -> None:
    """Wait until every job was run, and the table knows it."""
    while marks.ran() < marks.jobs:
        await asyncio.sleep(LOOK)
    while await database.ask(f"select exists (select from {table})"):  # noqa: S608 - a constant of ours
        await asyncio.sleep(LOOK)


async def check_history(database: Database, jobs: int) -> None:
    """Raise unless the history has each job once, completed at the first attempt."""
    row = await database.connection.fetchrow(
        "select count(*), count(distinct job_id) from pillars.finished_jobs where state = 'completed' and attempt = 1"
    )
    if tuple(row) != (jobs, jobs):
        raise AssertionError(f"of {jobs} jobs the history has {tuple(row)}")


def proved(marks: Marks, cost: Cost) -> Figures:
    marks.check()
    return cost.per_job(marks.jobs)


DRAIN = Workload(
    "drain",
    "no-op jobs, enqueued before: claimed, run, moved to the history",
    {
        "raw": raw,
        "pillars": pillars,
        "raw, 2 processes": partial(raw, workers=2),
        "pillars, 2 processes": partial(pillars, workers=2),
    },
)
