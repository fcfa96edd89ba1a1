"""What expires: a job whose code was never started in time, and no other."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import anyio
import pytest

from pillars import Retry, Snooze, job
from pillars.store import claiming, redriving
from pillars.store.database import Database
from stepping import EXPIRED, LOCK, define, final, hand, hands, put_one, row
from support import move_clock, running, until, worker_for

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def _defined(db: str) -> None:
    await define(db)


@job(name="work")
async def work() -> None:
    pass


async def soon_expiring(db: str) -> UUID:
    return await put_one(db, expires_at=datetime.now(UTC) + LOCK)


async def expires_at(db: str, job_id: UUID) -> Any:
    return (await row(db, job_id))["expires_at"]


@pytest.mark.parametrize("outcome", ["retried", "snoozed", "released"])
async def test_a_job_that_was_begun_in_time_does_not_expire_while_it_waits(
    db: str, outcome: str
) -> None:
    job_id = await soon_expiring(db)
    async with hands(db) as (worker, other):
        [begun] = await worker.take()
        assert await worker.put_back(begun, outcome=outcome, wait=60 * SECOND) == ["done"]
        await move_clock(db, 61 * SECOND)
        assert (await other.sweep()).expired == 0
        [again] = await other.take()
        assert again.job_id == job_id


async def test_a_claim_that_was_released_before_the_code_was_started_leaves_the_time(
    db: str,
) -> None:
    job_id = await soon_expiring(db)
    async with hands(db) as (worker, other):
        before = await expires_at(db, job_id)
        [claimed] = await worker.take()
        assert await worker.put_back(claimed, begun=False) == ["done"]
        assert await expires_at(db, job_id) == before
        await move_clock(db, EXPIRED)
        assert await other.take() == []
        assert (await other.sweep()).expired == 1
    assert (await final(db, job_id))["state"] == "expired"


async def test_jobs_put_back_together_each_keep_or_lose_their_own(db: str) -> None:
    begun, untouched = await soon_expiring(db), await soon_expiring(db)
    async with hand(db) as worker:
        claimed = {one.job_id: one for one in await worker.take()}
        await worker.put_back(claimed[begun], outcome="retried")
        await worker.put_back(claimed[untouched], begun=False)
    assert await expires_at(db, begun) is None
    assert await expires_at(db, untouched) is not None


async def test_a_job_whose_worker_died_does_not_expire_since_it_may_have_begun(db: str) -> None:
    job_id = await soon_expiring(db)
    async with hands(db) as (dead, heir):
        await dead.take()
        await move_clock(db, EXPIRED)
        swept = await heir.sweep()
        assert (swept.rescued, swept.expired) == (1, 0)
        await move_clock(db, 2 * SECOND)
        assert (await heir.sweep()).expired == 0
        assert [one.job_id for one in await heir.take()] == [job_id]


async def test_an_expired_job_that_is_redriven_does_not_expire_again(
    db: str, database: Database
) -> None:
    job_id = await soon_expiring(db)
    async with hand(db) as worker:
        await move_clock(db, EXPIRED)
        assert (await worker.sweep()).expired == 1
        assert await redriving.redrive(database.pool, job_id)
        assert (await worker.sweep()).expired == 0
        assert [one.job_id for one in await worker.take()] == [job_id]


@pytest.mark.parametrize("again", [Retry(after="50ms"), Snooze("50ms")])
async def test_a_job_that_waits_for_its_next_try_past_its_time_completes(
    db: str, database: Database, again: Exception
) -> None:
    runs: list[int] = []

    @job(name="second")
    async def second() -> int:
        runs.append(1)
        if len(runs) == 1:
            await move_clock(db, HOUR)
            raise again
        return len(runs)

    async with running(worker_for(database, second)):
        handle = await second.configure(expires_in="10s").enqueue()
        assert await handle.result(timeout="20s") == 2


async def test_a_job_that_a_drain_cut_short_does_not_expire(db: str, database: Database) -> None:
    @job(name="forever")
    async def forever() -> None:
        await anyio.sleep_forever()

    async with running(worker_for(database, forever, drain="50ms")) as worker:
        handle = await forever.configure(expires_in="10s").enqueue()
        await until(lambda: len(worker.running()) == 1)
    stored = await row(db, UUID(handle.job_id))
    assert (stored["locked_by"], stored["expires_at"]) == (None, None)


async def test_what_a_claim_brings_to_a_worker_that_stops_can_still_expire(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await soon_expiring(db)
    worker = worker_for(database, work, concurrency=1)
    claim = claiming.claim

    async def stopped_meanwhile(*args: Any) -> Any:
        answer = await claim(*args)
        worker.process.stopping.set()
        return replace(answer, took=timedelta(0))

    monkeypatch.setattr(claiming, "claim", stopped_meanwhile)
    await asyncio.wait_for(worker.run(), 20)
    assert (await row(db, job_id))["locked_by"] is None
    assert await expires_at(db, job_id) is not None


async def test_what_a_claim_of_unknown_outcome_took_can_still_expire(
    db: str, database: Database
) -> None:
    job_id = await soon_expiring(db)
    worker = worker_for(database, work)
    async with hand(db) as backend:
        backend.worker_id = worker.process.worker_id
        await backend.take()
    await worker.claimer._recover()
    assert (await row(db, job_id))["locked_by"] is None
    assert await expires_at(db, job_id) is not None
