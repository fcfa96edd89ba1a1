"""Pauses of running jobs: code on the loop and in threads rests at a checkpoint, keeps what it holds, and goes on or ends."""

import asyncio
import threading
import time
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import anyio
import pytest
from structlog.testing import capture_logs
from worker.test_attempts import LOOKS, attempt_of

from pillars import Context, Handle, JobCancelled, job
from pillars.jobs.definition import Job
from pillars.store.database import Database
from pillars.worker.attempts import Attempt, Why
from pillars.worker.holdings import counted_clock
from pillars.worker.outcomes import Cancelled, Completed, Released, Retried
from pillars.worker.pillar import Worker
from stepping import locked_tokens
from support import ask, running, tell, until, worker_for

steps: list[int] = []
go_on = threading.Event()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    steps.clear()
    go_on.clear()


@job(name="walks")
async def walks(ctx: Context) -> int:
    """Walks on until it is told that it is there."""
    while not go_on.is_set():
        await ctx.checkpoint()
        steps.append(ctx.attempt)
        await anyio.sleep(0.001)
    return ctx.attempt


@job(name="walks.in.a.thread")
def walks_in_a_thread(ctx: Context) -> int:
    for _ in range(LOOKS):
        if go_on.is_set():
            break
        ctx.checkpoint_now()
        steps.append(ctx.attempt)
        time.sleep(0.01)
    return ctx.attempt


BOTH = pytest.mark.parametrize("walking", [walks, walks_in_a_thread])


async def state_is(handle: Handle[Any], state: str) -> None:
    async def is_it() -> bool:
        return await handle.state() == state

    await until(is_it)


async def stands_still(worker: Worker) -> None:
    """Nothing more is done, though the loop turns."""
    assert all(attempt.rest.begun for attempt in worker.crew.attempts())
    before = len(steps)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(steps) == before


@BOTH
async def test_a_running_job_rests_and_goes_on_where_it_was(
    database: Database, walking: Job[[], int]
) -> None:
    async with running(worker_for(database, walking, lock="90s")) as worker:
        await until(lambda: worker.listener.proved)
        handle = await walking.enqueue()
        await until(lambda: bool(steps))
        with capture_logs() as lines:
            assert await handle.pause(by="ada")
            await state_is(handle, "paused")
            await stands_still(worker)
            assert len(worker.running()) == 1, "it keeps its slot"
            assert await handle.resume()
            before = len(steps)
            await until(lambda: len(steps) > before)
            assert await handle.state() == "running"
        go_on.set()
        assert await handle.result(timeout="20s") == 1
    told = [line["event"] for line in lines if line["event"] in {"job.paused", "job.resumed"}]
    assert told == ["job.paused", "job.resumed"]


@BOTH
async def test_the_wish_comes_by_the_heartbeat_where_none_was_heard(
    db: str, database: Database, walking: Job[[], int]
) -> None:
    async with running(worker_for(database, walking, lock="2s")) as worker:
        handle = await walking.enqueue()
        await until(lambda: bool(steps))
        await tell(db, "update pillars.jobs set pause_requested_at = pillars.now()")
        await state_is(handle, "paused")
        await stands_still(worker)
        await tell(db, "update pillars.jobs set paused_at = null, parked = false")
        before = len(steps)
        await until(lambda: len(steps) > before)
        go_on.set()
        assert await handle.result(timeout="20s") == 1


@BOTH
async def test_a_paused_job_can_be_cancelled(database: Database, walking: Job[[], int]) -> None:
    async with running(worker_for(database, walking)):
        handle = await walking.enqueue()
        await until(lambda: bool(steps))
        await handle.pause()
        await state_is(handle, "paused")
        assert await handle.cancel()
        with pytest.raises(JobCancelled, match="cancelled by the application's code"):
            await handle.result(timeout="20s")


async def test_a_paused_job_outlives_its_lock_many_times(db: str, database: Database) -> None:
    async with running(worker_for(database, walks, lock="2s")):
        handle = await walks.enqueue()
        await until(lambda: bool(steps))
        await handle.pause()
        await state_is(handle, "paused")
        # Nobody rescues it: its lock is extended, again and again.
        for _ in range(3):
            [first] = await expiries(db)
            await until(partial(moved_beyond, db, first))
        await handle.resume()
        go_on.set()
        assert await handle.result(timeout="20s") == 1
    assert await ask(db, "select crashes from pillars.finished_jobs") == 0


async def expiries(db: str) -> list[Any]:
    return list(await ask(db, "select array_agg(expires_at) from pillars.locks"))


async def moved_beyond(db: str, first: Any) -> bool:
    [now] = await expiries(db)
    return bool(now > first + timedelta(seconds=2))


@BOTH
async def test_a_worker_that_stops_gives_it_back_paused_and_the_attempt_with_it(
    db: str, database: Database, walking: Job[[], int]
) -> None:
    async with running(worker_for(database, walking, drain="1h")) as worker:
        handle = await walking.enqueue()
        await until(lambda: bool(steps))
        await handle.pause(by="ada")
        await state_is(handle, "paused")
        worker.process.stopping.set()
        await until(lambda: not worker.running())
    assert await handle.state() == "paused"
    assert await locked_tokens(db) == []
    go_on.set()
    async with running(worker_for(database, walking)):
        assert await ask(db, "select attempt from pillars.jobs") == 0
        await handle.resume()
        await tell(db, "update pillars.jobs set run_at = pillars.now()")
        assert await handle.result(timeout="20s") == 1


@BOTH
async def test_one_that_comes_to_rest_during_a_drain_is_given_back_paused(
    db: str, database: Database, walking: Job[[], int]
) -> None:
    async with running(worker_for(database, walking, drain="1h")) as worker:
        await until(lambda: worker.listener.proved)
        handle = await walking.enqueue()
        await until(lambda: bool(steps))
        worker.process.stopping.set()
        await until(lambda: not worker.process.ready)
        await handle.pause()
        await until(lambda: not worker.running())
    assert await handle.state() == "paused"
    assert await ask(db, "select attempt from pillars.jobs") == 0
    go_on.set()


async def test_the_deadline_rests_too() -> None:
    attempt = attempt_of(walks, timeout=timedelta(seconds=60))
    walking = asyncio.create_task(attempt.run())
    attempt.heed_deadline()
    await until(lambda: bool(steps))
    attempt.pause()
    await until(lambda: attempt.rest.begun)
    attempt.began_at -= 3600
    attempt.rest._began_at -= 3600  # as if an hour had gone by at rest
    assert not attempt.must_end
    attempt.rest.resume()
    before = len(steps)
    await until(lambda: len(steps) > before)
    attempt.began_at -= 3600  # and another without
    outcome = await walking
    assert isinstance(outcome, Retried)
    assert outcome.error.startswith("TimeoutError: not done within")


@BOTH
async def test_code_that_rests_is_stopped_as_any(walking: Job[[], int]) -> None:
    attempt = attempt_of(walking)
    task = asyncio.create_task(attempt.run())
    await until(lambda: bool(steps))
    attempt.pause()
    await until(lambda: attempt.rest.begun)
    attempt.stop(Why.LOST)
    assert await task == Released()
    assert not attempt.rest.begun


async def test_a_job_of_several_tasks_rests_once_and_goes_on_in_all() -> None:
    both = asyncio.Barrier(2)
    rested: list[Any] = []

    @job(name=f"several.{uuid4()}")
    async def several(ctx: Context) -> str:
        async def part() -> None:
            await both.wait()
            await ctx.checkpoint()

        async with asyncio.TaskGroup() as group:
            group.create_task(part())
            group.create_task(part())
        return "done"

    attempt = attempt_of(several)
    attempt._on_rest = rested.append
    attempt.pause()
    task = asyncio.create_task(attempt.run())
    await until(lambda: attempt.rest._waiting == 2)
    assert rested == [attempt]
    attempt.rest.resume()
    assert await task == Completed('"done"')
    assert not attempt.rest.begun


async def test_a_reply_that_was_asked_for_before_the_last_word_is_not_heeded(
    database: Database,
) -> None:
    async with running(worker_for(database, walks, lock="90s")) as worker:
        await until(lambda: worker.listener.proved)
        handle = await walks.enqueue()
        await until(lambda: bool(steps))
        earlier = counted_clock()
        await handle.pause()
        await state_is(handle, "paused")
        [attempt] = worker.crew.attempts()
        worker.pauses.replied(worker.crew, [], asked_at=earlier)
        assert attempt.rest.wanted
        worker.pauses.replied(worker.crew, [], asked_at=counted_clock())
        assert not attempt.rest.wanted
        go_on.set()
        await handle.result(timeout="20s")


async def test_a_thread_whose_end_was_asked_for_does_not_come_to_rest() -> None:
    attempt = attempt_of(walks_in_a_thread)
    task = asyncio.create_task(attempt.run())
    await until(lambda: bool(steps))
    attempt.stop(Why.CANCEL)
    attempt.pause()
    assert not attempt.rest.wanted
    assert isinstance(await task, Cancelled)


@pytest.mark.parametrize("ends", ["drained while it rests", "past its deadline"])
async def test_what_cleans_up_after_a_checkpoint_is_left_in_peace(ends: str) -> None:
    cleaned: list[str] = []

    @job(name=f"cleans.{uuid4()}")
    async def cleans(ctx: Context) -> None:
        try:
            if not ends.startswith("drained"):
                attempt.began_at -= 3600
                attempt.heed_deadline()  # its timer is due, and has not fired
            await ctx.checkpoint()
        finally:
            await anyio.sleep(0.01)
            cleaned.append(ends)

    def drain(resting: Attempt) -> None:
        asyncio.get_running_loop().call_soon(resting.stop_resting, Why.DRAIN)

    attempt = attempt_of(cleans, timeout=timedelta(seconds=60))
    attempt._on_rest = drain
    if ends.startswith("drained"):
        attempt.pause()
    task = asyncio.create_task(attempt.run())
    attempt.heed_deadline()
    outcome = await task
    assert isinstance(outcome, Released if ends.startswith("drained") else Retried)
    assert cleaned == [ends]
    assert task.cancelling() == 0


async def test_any_thread_of_a_job_may_rest() -> None:
    def crunch(ctx: Context) -> str:
        ctx.checkpoint_now()
        return "went on"

    @job(name=f"own.thread.{uuid4()}")
    async def with_a_thread(ctx: Context) -> str:
        return await asyncio.to_thread(crunch, ctx)

    @job(name=f"own.loop.{uuid4()}")
    def with_a_loop(ctx: Context) -> str:
        async def crunches() -> str:
            await ctx.checkpoint()
            return "went on"

        return asyncio.run(crunches())

    for one in (with_a_thread, with_a_loop):
        attempt = attempt_of(one)
        attempt.pause()
        task = asyncio.create_task(attempt.run())
        await until(lambda attempt=attempt: attempt.rest.begun)  # type: ignore[misc]
        attempt.rest.resume()
        assert await task == Completed('"went on"')


async def test_tasks_that_the_code_leaves_at_a_checkpoint_do_not_wait_for_ever() -> None:
    left: list[asyncio.Task[None]] = []

    @job(name=f"leaves.{uuid4()}")
    async def leaves(ctx: Context) -> None:
        left.append(asyncio.create_task(ctx.checkpoint()))
        await until(lambda: attempt.rest.begun)

    attempt = attempt_of(leaves)
    attempt.pause()
    assert await attempt.run() == Completed(None)
    await asyncio.wait(left, timeout=20)
    assert left[0].done()


async def test_a_thread_that_rests_is_not_left_alone_with_its_cleanup_at_a_drain(
    database: Database,
) -> None:
    cleaned = threading.Event()

    @job(name="cleans.in.a.thread")
    def cleans_in_a_thread(ctx: Context) -> None:
        try:
            for _ in range(LOOKS):
                ctx.checkpoint_now()
                steps.append(1)
                time.sleep(0.01)
        finally:
            go_on.wait(20)
            cleaned.set()

    async with running(worker_for(database, cleans_in_a_thread, drain="1h")) as worker:
        handle = await cleans_in_a_thread.enqueue()
        await until(lambda: bool(steps))
        await handle.pause()
        await state_is(handle, "paused")
        worker.process.stopping.set()
        await until(lambda: worker.crew.attempts()[0].must_end)
        assert len(worker.running()) == 1
        go_on.set()
    assert cleaned.is_set()
    assert await handle.state() == "paused"
