"""Stopping: nothing is left locked, nothing counts as a try or a crash, and it does not take long."""

import asyncio
import math
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from pillars import job
from pillars.store import claiming
from pillars.store.database import Database
from pillars.worker.claiming import Claimer
from pillars.worker.pillar import Worker
from stepping import locked_tokens, put_one, row
from support import ask, running, until, worker_for

SECOND = timedelta(seconds=1)


@job(name="work")
async def work() -> None:
    pass


@job(name="forever")
async def forever() -> None:
    await anyio.sleep_forever()


async def drained(worker: Worker, task: "asyncio.Task[None]") -> float:
    """Ask it to stop and wait for its end; returns the seconds that took."""
    began = time.monotonic()
    worker.process.stopping.set()
    await asyncio.wait_for(task, 20)
    return time.monotonic() - began


async def started(worker: Worker) -> "asyncio.Task[None]":
    task = asyncio.create_task(worker.run())
    await until(lambda: worker.process.ready)
    return task


async def test_an_idle_worker_that_polls_seldom_stops_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep: list[float] = []
    sleep = Claimer._sleep

    async def noted(claimer: Claimer, seconds: float) -> bool:
        asleep.append(seconds)
        try:
            return await sleep(claimer, seconds)
        finally:
            asleep.pop()

    monkeypatch.setattr(Claimer, "_sleep", noted)
    worker = worker_for(database, work, poll="30s", drain="20s")
    task = await started(worker)
    await until(lambda: worker.process.listening is True)
    await until(lambda: bool(asleep) and not worker.claimer._woken.is_set())
    assert await drained(worker, task) < 5


async def test_what_runs_is_finished(db: str, database: Database) -> None:
    go_on = asyncio.Event()

    @job(name="short")
    async def short() -> str:
        await go_on.wait()
        return "finished"

    worker = worker_for(database, short, drain="20s")
    task = await started(worker)
    await short.enqueue()
    await until(lambda: len(worker.running()) == 1)
    worker.process.stopping.set()
    await until(lambda: not worker.process.ready)
    later = await short.enqueue()
    go_on.set()
    await asyncio.wait_for(task, 20)
    assert await ask(db, "select result #>> '{}' from pillars.finished_jobs") == "finished"
    assert await later.state() == "ready", "nothing new was begun"
    assert await locked_tokens(db) == []


async def test_what_does_not_end_in_time_is_given_back_for_others(
    db: str, database: Database
) -> None:
    worker = worker_for(database, forever, drain="50ms")
    task = await started(worker)
    handle = await forever.enqueue()
    await until(lambda: len(worker.running()) == 1)
    before = await ask(db, "select pillars.now()")
    assert await drained(worker, task) < 5
    stored = await row(db, handle._id)
    assert stored["locked_by"] is None
    assert (stored["attempt"], stored["crashes"]) == (0, 0)
    assert stored["run_at"] - before > 2 * SECOND
    assert stored["run_at"] - await ask(db, "select pillars.now()") <= 5 * SECOND
    assert await locked_tokens(db) == []
    assert await ask(db, "select count(*) from pillars.attempts") == 0


async def test_code_that_does_not_heed_its_cancellation_is_given_back_too(
    db: str, database: Database
) -> None:
    release, released = asyncio.Event(), threading.Event()

    @job(name="deaf")
    async def deaf() -> None:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()

    @job(name="deaf.thread")
    def deaf_thread() -> None:
        released.wait(20)

    worker = worker_for(database, deaf, deaf_thread, drain="50ms")
    task = await started(worker)
    handles = [await deaf.enqueue(), await deaf_thread.enqueue()]
    await until(lambda: len(worker.running()) == 2)
    worker.process.stopping.set()
    await until(lambda: all_free(db))
    await until(worker.process.ended.is_set)
    assert not task.done()  # `deaf` goes on: in earnest the process ends
    release.set()
    released.set()
    await asyncio.wait_for(task, 20)
    for handle in handles:
        stored = await row(db, handle._id)
        assert (stored["attempt"], stored["crashes"], stored["locked_by"]) == (0, 0, None)
    assert await locked_tokens(db) == []


async def all_free(db: str) -> bool:
    held = await ask(db, "select count(*) from pillars.jobs where locked_by is not null")
    return bool(held == 0)


async def test_what_a_claim_in_flight_brings_is_released_unharmed(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await put_one(db)
    worker = worker_for(
        database, work, concurrency=1
    )  # the claim is full: no rest before the drain
    claim = claiming.claim

    async def stopped_meanwhile(*args: Any) -> Any:
        answer = await claim(*args)
        worker.process.stopping.set()
        await until(
            lambda: worker._claiming.deadline < math.inf
        )  # the drain is on; the answer is not here yet
        return replace(answer, took=timedelta(0))

    monkeypatch.setattr(claiming, "claim", stopped_meanwhile)
    await asyncio.wait_for(worker.run(), 20)
    stored = await row(db, job_id)
    assert stored["locked_by"] is None
    assert (stored["attempt"], stored["crashes"]) == (0, 0)
    assert await locked_tokens(db) == []


async def test_a_forced_end_gives_back_what_runs(db: str, database: Database) -> None:
    worker = worker_for(database, forever, drain="20s")
    task = await started(worker)
    await forever.enqueue()
    await until(lambda: len(worker.running()) == 1)
    worker.process.stopping.set()
    await worker.abort()
    assert await locked_tokens(db) == []
    assert await all_free(db)
    await asyncio.wait_for(task, 20)


async def test_outcomes_that_gathered_at_the_end_are_written(db: str, database: Database) -> None:
    async with running(worker_for(database, work)):
        for _ in range(50):
            await work.enqueue()
        await until(lambda: ask(db, "select count(*) > 0 from pillars.finished_jobs"))
    held = await ask(db, "select count(*) from pillars.jobs where locked_by is not null")
    assert held == 0
    assert await locked_tokens(db) == []
