"""What tests of every kind stand on: waiting without sleeping, a clock that moves, Postgres to ask."""

import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import asyncpg

from pillars.jobs.definition import Job
from pillars.service.process import Process
from pillars.settings import Settings, load
from pillars.store import testing
from pillars.store.database import Database
from pillars.store.pool import Address
from pillars.worker.pillar import Worker

PATIENCE = 30.0  # seconds; a hang limit, never an expectation
MEASURED = {
    name: os.environ[name]
    for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
    if name in os.environ
}  # what a process of ours is given so that its lines are counted, too
TESTS = Path(__file__).parent
COUNTING = str(TESTS / "measured")
"""On the path of processes whose children are to be counted."""
if "COVERAGE_PROCESS_CONFIG" in MEASURED:
    MEASURED["PYTHON_COVERAGE"] = MEASURED["COVERAGE_PROCESS_CONFIG"]
    os.environ["PYTHON_COVERAGE"] = MEASURED["COVERAGE_PROCESS_CONFIG"]
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (COUNTING, os.environ.get("PYTHONPATH")))
    )


async def until(
    check: Callable[[], bool | Awaitable[bool]], *, within: float = PATIENCE, every: float = 0.02
) -> None:
    """Return once `check` holds; a failure says what was waited for."""
    with anyio.move_on_after(within):
        while True:
            held = check()
            if inspect.isawaitable(held):
                held = await held
            if held:
                return
            await anyio.sleep(every)
    said = inspect.getsource(check).strip() if inspect.isroutine(check) else repr(check)
    raise AssertionError(f"not within {within} s: {said}")


@asynccontextmanager
async def asking(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A plain connection of the test's own."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def ask(dsn: str, sql: str, *args: Any) -> Any:
    """The first value of the first row of a query."""
    async with asking(dsn) as connection:
        return await connection.fetchval(sql, *args)


async def tell(dsn: str, sql: str, *args: Any) -> str:
    """Run a statement."""
    async with asking(dsn) as connection:
        return str(await connection.execute(sql, *args))


def is_alive(pid: int) -> bool:
    """Whether a process runs or is held; one that is only to be reaped is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


async def somebody_waits(dsn: str) -> bool:
    """Whether a session of this database waits for a lock; the server is shared with the databases of other tests."""
    waiting = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database())"
    return bool(await ask(dsn, waiting))


async def counts(dsn: str) -> dict[str, int]:
    """How many rows each table of ours has."""
    async with asking(dsn) as connection:
        count_all = await connection.fetchval(
            "select string_agg(format('select %L, count(*) from %I.%I', tablename, schemaname, tablename), ' union all ')"
            " from pg_tables where schemaname in ('pillars', 'public')"
        )
        return {record[0]: record[1] for record in await connection.fetch(count_all)}


async def move_clock(dsn: str, by: timedelta) -> None:
    """Let `pillars.now()` of this database run ahead by so much more."""
    session = await Address(dsn).connect()
    try:
        await testing.move_clock(session, by)
    finally:
        await session.close()


def settings_for(dsn: str, *, project: Any = TESTS, **flags: object) -> Settings:
    """Settings as a process test has them: dev, a lock of 5 s, no `.env` and, where no project is named, no pyproject of ours."""
    return load(
        flags={"lock": "5s", "database_url": dsn, **flags},
        environ={"PILLARS_ENV": "dev"},
        project=project,
    )


def worker_for(
    database: Database,
    *jobs: Job[..., Any],
    project: Any = TESTS,
    **flags: object,
) -> Worker:
    """A worker process in this process, not yet running."""
    settings = settings_for(database.address.url, project=project, **flags)
    return Worker(Process("worker", settings, database), {job.name: job for job in jobs})


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[Worker]:
    """Run a worker for the block, then drain it."""
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        await until(lambda: worker.process.ready)
        try:
            yield worker
        finally:
            worker.process.stopping.set()
