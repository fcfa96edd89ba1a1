"""The jobs in hand: those that run, and those that were claimed ahead and wait for a slot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from pillars import job
from pillars.jobs.definition import Job
from pillars.store import claiming
from pillars.store.claiming import Demand, Places
from pillars.store.database import Database
from pillars.store.rows import Claimed
from pillars.worker.attempts import Why
from pillars.worker.crew import LONGEST_WAIT
from pillars.worker.holdings import counted_clock
from pillars.worker.pillar import Worker
from stepping import locked_tokens, row
from support import ask, running, tell, until, worker_for

SEEN: ContextVar[str] = ContextVar("seen", default="nothing")


class Stage:
    """A job that tells when it begins, and ends when it is let."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.let = asyncio.Event()

        @job(name="held")
        async def held(number: int) -> None:
            self.begun.append(number)
            await self.let.wait()

        self.job = held


@asynccontextmanager
async def crew_of(database: Database, *jobs: Job[..., Any]) -> AsyncIterator[Worker]:
    """A worker of one slot that claims nothing by itself."""
    worker = worker_for(database, *jobs, concurrency="1", lock="60s")
    async with anyio.create_task_group() as parts:
        parts.start_soon(worker.crew.run)
        parts.start_soon(worker.finisher.run)
        yield worker
        parts.cancel_scope.cancel()


async def take(worker: Worker, count: int) -> list[Claimed]:
    """Claim so many for the worker, whatever its slots, and hand them to its crew."""
    demand = Demand(
        worker_id=worker.process.worker_id,
        lock=worker.process.settings.lock,
        names=list(worker.jobs),
        free=count,
    )
    claim = await claiming.claim(worker.process.database.runtime, demand, Places())
    worker.claimer._begin(claim, counted_clock())
    return claim.jobs


async def test_what_finds_no_slot_waits_and_begins_in_order_as_one_comes_free(
    db: str, database: Database
) -> None:
    stage = Stage()
    for number in range(3):
        await stage.job.enqueue(number)
    async with crew_of(database, stage.job) as worker:
        await take(worker, 3)
        await until(lambda: stage.begun == [0])
        assert (worker.slots.taken["async"], worker.slots.waiting["async"]) == (1, 2)
        stage.let.set()
        await until(lambda: stage.begun == [0, 1, 2])
        await worker.finisher.written()
        assert worker.slots.waiting["async"] == 0
    assert await ask(db, "select count(*) from pillars.finished_jobs where attempt = 1") == 3


async def test_what_has_waited_for_too_long_is_given_back_unharmed(
    db: str, database: Database
) -> None:
    stage = Stage()
    handles = [await stage.job.enqueue(number) for number in range(3)]
    async with crew_of(database, stage.job) as worker:
        _, late, young = await take(worker, 3)
        waiting = worker.crew._waiting["async"]
        waiting[0] = (late, counted_clock() - LONGEST_WAIT)
        worker.crew._give_back_late()
        await worker.finisher.written()
        assert [one for one, _ in waiting] == [young]
        stored = await row(db, handles[1]._id)
        assert (stored["locked_by"], stored["attempt"], stored["crashes"]) == (None, 0, 0)
        assert stage.begun == [0]


async def test_what_is_late_is_not_begun_even_where_nobody_looked(
    db: str, database: Database
) -> None:
    stage = Stage()
    handles = [await stage.job.enqueue(number) for number in range(2)]
    async with crew_of(database, stage.job) as worker:
        _, late = await take(worker, 2)
        await until(lambda: stage.begun == [0])
        worker.crew._waiting["async"][0] = (late, counted_clock() - LONGEST_WAIT)
        stage.let.set()
        await worker.crew.until_idle()
        await worker.finisher.written()
    assert stage.begun == [0]
    assert (await row(db, handles[1]._id))["locked_by"] is None


async def test_a_job_that_waits_ends_cancelled_where_its_end_is_asked_for(
    db: str, database: Database
) -> None:
    stage = Stage()
    handles = [await stage.job.enqueue(number) for number in range(2)]
    async with crew_of(database, stage.job) as worker:
        await take(worker, 2)
        assert await ask(db, "select pillars.cancel($1)", handles[1]._id) == "requested"
        worker._told(handles[1].job_id)
        await worker.finisher.written()
        assert await handles[1].state() == "cancelled"
        stage.let.set()
        await worker.crew.until_idle()
    assert stage.begun == [0]


async def test_a_job_that_waits_is_not_begun_once_its_lock_is_lost(
    db: str, database: Database
) -> None:
    stage = Stage()
    handles = [await stage.job.enqueue(number) for number in range(2)]
    async with crew_of(database, stage.job) as worker:
        [_, waits] = await take(worker, 2)
        await tell(
            db,
            "update pillars.jobs set lock_token = lock_token + 1 where job_id = $1",
            handles[1]._id,
        )
        worker.crew.stop(Why.LOST, lambda claimed: claimed.job_id == waits.job_id)
        stage.let.set()
        await worker.crew.until_idle()
        await worker.finisher.written()
    assert stage.begun == [0]
    assert (await row(db, handles[1]._id))["locked_by"] is not None, "another's by now"


async def test_at_a_drain_what_waits_is_given_back_while_what_runs_ends(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pillars.worker.crew.LONGEST_WAIT", 60.0)  # only the drain gives it back
    stage = Stage()
    worker = worker_for(database, stage.job, concurrency="1", drain="20s", lock="60s")
    handles = [await stage.job.enqueue(number) for number in range(3)]
    async with running(worker):
        await until(lambda: stage.begun == [0])
        await take(worker, 2)
        assert worker.slots.waiting["async"] == 2
        worker.process.stopping.set()
        await until(lambda: worker.slots.waiting["async"] == 0)
        await until(lambda: all_free(db, 2))
        stage.let.set()
    assert stage.begun == [0]
    assert [await one.state() for one in handles] == ["completed", "ready", "ready"]
    assert await locked_tokens(db) == []


async def all_free(db: str, count: int) -> bool:
    free = await ask(db, "select count(*) from pillars.jobs where locked_by is null")
    return bool(free == count)


async def test_no_job_sees_what_the_one_before_it_in_its_slot_has_set(database: Database) -> None:
    seen: list[str] = []

    @job(name="setting")
    async def setting() -> None:
        seen.append(SEEN.get())
        SEEN.set("of another job")

    for _ in range(3):
        await setting.enqueue()
    async with crew_of(database, setting) as worker:
        await take(worker, 3)
        await until(lambda: len(seen) == 3)
        await worker.finisher.written()
    assert seen == ["nothing"] * 3


async def test_each_job_has_a_task_of_its_own(database: Database) -> None:
    tasks: list[asyncio.Task[Any] | None] = []

    @job(name="looking")
    async def looking() -> None:
        tasks.append(asyncio.current_task())

    for _ in range(3):
        await looking.enqueue()
    async with crew_of(database, looking) as worker:
        await take(worker, 3)
        await until(lambda: len(tasks) == 3)
        await worker.finisher.written()
    assert len(set(tasks)) == 3
    assert {task.get_name() for task in tasks if task} == {"looking"}


async def test_a_job_that_cancels_its_own_task_has_failed_and_frees_its_slot(
    database: Database,
) -> None:
    @job(name="hasty", max_attempts=1)
    async def hasty() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    handle = await hasty.enqueue()
    async with crew_of(database, hasty) as worker:
        await take(worker, 1)
        await worker.crew.until_idle()
        await worker.finisher.written()
        assert worker.slots.free("async") == 1
    assert await handle.state() == "failed"


async def test_an_outcome_is_kept_whose_task_was_cancelled_before_there_was_room_for_it(
    database: Database,
) -> None:
    @job(name="hasty")
    async def hasty() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()  # and returns before it is heard

    handle = await hasty.enqueue()
    async with crew_of(database, hasty) as worker:
        worker.finisher._room.clear()
        await take(worker, 1)
        await until(lambda: worker.slots.free("async") == 1)
        await worker.finisher.written()
    assert await handle.state() == "completed"


async def test_a_job_is_cancelled_at_its_deadline(database: Database) -> None:
    stage = Stage()
    handle = await stage.job.configure(timeout="50ms", max_attempts=1).enqueue(0)
    async with crew_of(database, stage.job) as worker:
        await take(worker, 1)
        await until(lambda: not worker.crew.running())
        await worker.finisher.written()
    assert stage.begun == [0]
    assert await handle.state() == "failed"


async def test_an_error_of_our_own_ends_the_worker(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage()
    stage.let.set()
    worker = worker_for(database, stage.job)

    def broken(*_args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(worker.holdings, "ended", broken)
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with running(worker):
            await stage.job.enqueue(1)
            await anyio.sleep_forever()
