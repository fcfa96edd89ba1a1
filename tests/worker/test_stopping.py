"""Stopping a worker in this process; tests/process has the same with signals."""

import anyio

from pillars import job
from pillars.store.database import Database
from support import running, until, worker_for

HANG = 15  # seconds; far less than the poll


@job(name="idle")
async def idle() -> None: ...


async def test_a_worker_that_sleeps_until_its_next_poll_stops_at_once(database: Database) -> None:
    worker = worker_for(database, idle, poll="60s", poll_max="60s")
    with anyio.fail_after(HANG):
        async with running(worker):
            await until(lambda: worker.process.listening is True)


async def test_a_worker_that_sleeps_until_its_next_poll_is_woken_by_an_enqueue(
    database: Database,
) -> None:
    worker = worker_for(database, idle, poll="60s", poll_max="60s")
    with anyio.fail_after(HANG):
        async with running(worker):
            await until(lambda: worker.process.listening is True)
            handle = await idle.enqueue()
            await handle.result()


async def test_a_job_due_soon_is_started_by_a_timer_not_by_the_poll(database: Database) -> None:
    worker = worker_for(database, idle, poll="60s", poll_max="60s")
    with anyio.fail_after(HANG):
        async with running(worker):
            await until(lambda: worker.process.listening is True)
            handle = await idle.configure(run_in="300ms").enqueue()
            await handle.result()
