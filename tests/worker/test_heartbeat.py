"""The heartbeat: a thread of its own, so that nothing a job does costs the worker its locks."""

import asyncio
import threading
import time
from typing import Any
from uuid import UUID

import anyio
import pytest

from pillars import Context, JobCancelled, job
from pillars.store.database import Database
from pillars.worker.guarding import Guard
from pillars.worker.heartbeat import Heartbeat
from pillars.worker.holdings import counted_clock
from stepping import EXPIRED, hand, locked_tokens, put, row
from support import ask, asking, move_clock, running, somebody_waits, tell, until, worker_for


@job(name="work")
async def work() -> None:
    pass


@job(name="forever")
async def forever() -> None:
    await anyio.sleep_forever()


def heartbeat_of(database: Database, end: Any = None) -> Any:
    worker = worker_for(database, work)
    guard = Guard(
        worker.process, worker.holdings, list, slots=1, on_distrusted=lambda _: None,
        end=end or (lambda _: None),
    )  # fmt: skip
    return worker, Heartbeat(
        worker.process, worker.holdings, guard, on_reply=lambda _reply, _asked_at: None
    )


async def test_a_beat_is_trusted_from_before_it_was_sent(db: str, database: Database) -> None:
    worker, heartbeat = heartbeat_of(database)
    await put(db)
    async with hand(db) as claimer:
        claimer.worker_id = worker.process.worker_id
        [claimed] = await claimer.take()
        key = (claimed.job_id, claimed.lock_token)
        worker.holdings.take([key], asked_at=0)
        async with claimer.session.transaction():  # holds the beat up before it can extend
            await claimer.ask("lock table pillars.locks in access exclusive mode")
            beating = asyncio.create_task(heartbeat.beat_once())
            await until(lambda: somebody_waits(db))
            late = counted_clock()
        assert (await beating).extended == [claimed.lock_token]
    trust = worker.process.settings.trust.total_seconds()
    assert worker.holdings.distrusted(late + trust) == [claimed.lock_token]
    await heartbeat._forget_session()


async def test_an_expired_lock_that_nobody_rescued_is_revived(db: str, database: Database) -> None:
    worker, heartbeat = heartbeat_of(database)
    await put(db)
    async with hand(db) as claimer:
        claimer.worker_id = worker.process.worker_id
        [claimed] = await claimer.take()
        worker.holdings.take([(claimed.job_id, claimed.lock_token)], asked_at=0)
        await move_clock(db, EXPIRED)
        assert (await heartbeat.beat_once()).extended == [claimed.lock_token]
        assert (await claimer.sweep()).rescued == 0
    await heartbeat._forget_session()


async def test_locks_are_extended_while_a_job_blocks_the_loop(db: str, database: Database) -> None:
    extended = threading.Event()

    @job(name="blocking")
    async def blocking(ctx: Context) -> bool:
        watcher = threading.Thread(target=asyncio.run, args=(until_extended(ctx.job_id),))
        watcher.start()
        return extended.wait(20)

    async def until_extended(job_id: str) -> None:
        claimed = (await row(db, UUID(job_id)))["locked_at"]
        later = "select min(expires_at) > $1::timestamptz + interval '2.1 s' from pillars.locks"
        await until(lambda: ask(db, later, claimed))
        extended.set()

    async with running(worker_for(database, blocking, lock="2s")):
        handle = await blocking.enqueue()
        assert await handle.result(timeout="20s")


async def test_a_job_whose_lock_was_lost_is_cancelled(db: str, database: Database) -> None:
    cancelled = asyncio.Event()

    @job(name="rescued")
    async def rescued(ctx: Context) -> int:
        if ctx.attempt == 1 and not cancelled.is_set():
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.set()
        return ctx.attempt

    # A lock so long that trust in it cannot be why.
    async with running(worker_for(database, rescued, lock="5m")) as worker, hand(db) as heart:
        heart.worker_id = worker.process.worker_id
        handle = await rescued.enqueue()
        await until(lambda: len(worker.running()) == 1)
        tokens = await locked_tokens(db)
        await tell(db, "update pillars.locks set expires_at = pillars.now()")
        await ask(db, "select (pillars.rescue()).rescued")
        worker._replied(await heart.beat(*tokens), asked_at=counted_clock())
        await until(cancelled.is_set)
        assert await handle.result(timeout="20s") == 1
    assert await ask(db, "select crashes from pillars.finished_jobs") == 1
    assert await locked_tokens(db) == []


async def test_a_request_to_end_comes_by_notification(db: str, database: Database) -> None:
    async with running(worker_for(database, forever, lock="90s")) as worker:
        await until(lambda: worker.listener.proved)
        handle = await forever.enqueue()
        await until(lambda: len(worker.running()) == 1)
        assert await handle.cancel()
        with pytest.raises(JobCancelled):
            await handle.result(timeout="20s")


async def test_a_request_to_end_comes_by_the_heartbeat_where_none_was_heard(
    db: str, database: Database
) -> None:
    async with running(worker_for(database, forever, lock="2s")) as worker:
        handle = await forever.enqueue()
        await until(lambda: len(worker.running()) == 1)
        await tell(db, "update pillars.jobs set cancel_requested_at = pillars.now()")
        with pytest.raises(JobCancelled):
            await handle.result(timeout="20s")


async def test_a_worker_whose_row_was_removed_writes_it_again(db: str, database: Database) -> None:
    count = "select count(*) = $1 from pillars.workers"
    async with running(worker_for(database, work, lock="2s")):
        await until(lambda: ask(db, count, 1))
        await tell(db, "delete from pillars.workers")
        await until(lambda: ask(db, count, 1))
    assert await ask(db, count, 0), "a worker that drained leaves none"


async def test_a_heartbeat_that_fails_for_a_reason_of_its_own_ends_the_process(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    _, heartbeat = heartbeat_of(database, end=ended.append)

    async def broken() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(heartbeat, "beat_once", broken)
    heartbeat.start()
    await until(lambda: ended == [75])
    heartbeat._thread.join(5)


async def test_an_outage_costs_no_job_that_is_shorter_than_trust(
    db: str, database: Database
) -> None:
    """Every connection is cut, again and again; the job goes on and its outcome is written."""
    go_on = asyncio.Event()

    @job(name="through")
    async def through() -> str:
        await go_on.wait()
        return "done"

    async with running(worker_for(database, through, lock="6s")) as worker:
        handle = await through.enqueue()
        await until(lambda: len(worker.running()) == 1)
        began = time.monotonic()
        while time.monotonic() - began < 0.5:
            await tell(
                db,
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()",
            )
        go_on.set()
        assert await handle.result(timeout="20s") == "done"
    assert await ask(db, "select attempt || ' ' || crashes from pillars.finished_jobs") == "1 0"


async def test_the_watch_goes_on_while_a_beat_hangs(db: str, database: Database) -> None:
    worker = worker_for(database, work)
    told: list[int] = []
    guard = Guard(
        worker.process, worker.holdings, list, slots=1,
        on_distrusted=told.extend, end=lambda _: None,
    )  # fmt: skip
    heartbeat = Heartbeat(
        worker.process, worker.holdings, guard, on_reply=lambda _reply, _asked_at: None
    )
    async with asking(db) as blocker:
        async with blocker.transaction():
            await blocker.execute("lock table pillars.locks in access exclusive mode")
            heartbeat.start()
            await until(lambda: somebody_waits(db))
            hanging = await ask(db, HANGING)
            worker.holdings.take([(UUID(int=1), 7)], asked_at=counted_clock() - 60)
            await until(lambda: told[:1] == [7])
            assert await ask(db, HANGING) == hanging, "the beat came back before the watch looked"
        await heartbeat.stop()


HANGING = """select query_start from pg_stat_activity
where wait_event_type = 'Lock' and query like '%sign of life%' and datname = current_database()"""


async def test_a_locked_row_about_the_process_holds_up_no_beat(db: str, database: Database) -> None:
    worker, heartbeat = heartbeat_of(database)
    await worker._appear("running")
    async with asking(db) as somebody, somebody.transaction():
        await somebody.execute("select from pillars.workers for update")
        assert (await heartbeat.beat_once()).known
    await heartbeat._forget_session()
