"""Pausing: by the state that the row has once it is locked, and through everything that moves it meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pillars.store import jobs, listing
from pillars.store.listing import Wanted
from pillars.store.pool import Address
from pillars.store.rows import Claimed, Held
from stepping import (
    EXPIRED,
    Hand,
    define,
    final,
    hand,
    hands,
    places_of,
    put_one,
    row,
)
from support import ask, move_clock, tell, until

SECOND = timedelta(seconds=1)


async def pause(user: Hand, job_id: UUID, by: str = "ada") -> str:
    return await jobs.pause(user.session, job_id, by=by)


async def resume(user: Hand, job_id: UUID) -> str:
    return await jobs.resume(user.session, job_id)


async def state_of(db: str, job_id: UUID) -> str:
    return str(await ask(db, "select state from pillars.all_jobs where job_id = $1", job_id))


async def rest(worker: Hand, *claimed: Claimed) -> list[UUID]:
    held = [Held(one.lock_token, one.job_id) for one in claimed]
    return [one.job_id for one in await jobs.rest(worker.session, worker.worker_id, held)]


async def heard_by(listener: Hand, channel: str) -> list[str]:
    heard: list[str] = []
    await listener.session.connection.add_listener(channel, lambda *told: heard.append(told[-1]))
    return heard


async def test_a_job_that_does_not_run_is_not_claimed_until_it_is_resumed(db: str) -> None:
    ready = await put_one(db)
    scheduled = await put_one(db, run_at=datetime.now(UTC) + 60 * SECOND)
    async with hands(db) as (worker, user):
        heard = await heard_by(worker, "pillars")
        for job_id in (ready, scheduled):
            assert await pause(user, job_id) == "paused"
            assert await pause(user, job_id, by="bob") == "paused"
            assert await state_of(db, job_id) == "paused"
            assert (await row(db, job_id))["paused_by"] == "ada"
        assert await worker.take() == []
        await move_clock(db, 3600 * SECOND)
        await worker.sweep()
        assert await worker.take() == []
        for job_id in (ready, scheduled):
            assert await resume(user, job_id) == "resumed"
            assert await resume(user, job_id) == "unpaused"
            assert (await row(db, job_id))["paused_by"] is None
        assert {one.job_id for one in await worker.take()} == {ready, scheduled}
        assert heard == ["default", "default"]


async def test_one_that_waits_for_something_waits_on_once_it_is_resumed(db: str) -> None:
    job_id = await put_one(db, name="unknown", parked=True, waiting_for="definition")
    async with hand(db) as user:
        await pause(user, job_id)
        assert await resume(user, job_id) == "resumed"
        assert await state_of(db, job_id) == "waiting"


async def test_what_it_waited_for_does_not_end_its_pause(db: str) -> None:
    before = await put_one(db)
    after = await put_one(db, parked=True, waiting_for=f"job {before}")
    unknown = await put_one(db, name="late", parked=True, waiting_for="definition")
    async with hand(db) as user:
        for job_id in (after, unknown):
            await pause(user, job_id)
        await tell(db, "delete from pillars.jobs where job_id = $$" + str(before) + "$$")
        await define(db, "late")
        await user.sweep()
        await tell(db, (await free_statement()))
        assert [await state_of(db, one) for one in (after, unknown)] == ["paused", "paused"]
        assert (await user.claim(names=("work", "late"))).jobs == []
        for job_id in (after, unknown):
            assert await resume(user, job_id) == "resumed"
            assert await state_of(db, job_id) == "ready"


async def free_statement() -> str:
    from pillars.store.statements import text

    return text("schedules/free")


async def test_a_running_job_is_asked_to_rest_and_its_worker_is_told(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        heard = await heard_by(worker, f"pillars_{worker.worker_id.hex}")
        assert await rest(worker, job) == [], "nobody asked"
        assert await pause(user, job_id) == "requested"
        assert await pause(user, job_id, by="bob") == "requested"
        assert await state_of(db, job_id) == "running"
        assert (await worker.beat(job.lock_token)).pausing == [job_id]
        assert await rest(worker, job) == [job_id]
        assert await state_of(db, job_id) == "paused"
        assert (await row(db, job_id))["paused_by"] == "ada"
        assert (await worker.beat(job.lock_token)).pausing == [job_id]
        assert await resume(user, job_id) == "resumed"
        assert (await worker.beat(job.lock_token)).pausing == []
        assert await state_of(db, job_id) == "running"
        told = [message for message in heard if message != "proof"]
        assert told == [f"pause {job_id}", f"pause {job_id}", f"resume {job_id}"]
        assert await worker.finish(job) == ["done"]
    assert (await final(db, job_id))["state"] == "completed"


async def test_a_pause_that_is_taken_back_in_time_is_none(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        await pause(user, job_id)
        assert await resume(user, job_id) == "resumed"
        assert await rest(worker, job) == []
        assert await state_of(db, job_id) == "running"


async def test_only_its_own_worker_says_that_it_rests(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        await pause(user, job_id)
        assert await rest(user, job) == []
        await move_clock(db, EXPIRED)
        await user.sweep()
        assert await rest(worker, job) == []


async def test_the_deadline_of_one_that_runs_moves_by_its_rest(db: str) -> None:
    await define(db, timeout=60 * SECOND)
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        before = (await row(db, job_id))["deadline_at"]
        await pause(user, job_id)
        await rest(worker, job)
        await move_clock(db, 20 * SECOND)
        await resume(user, job_id)
        moved = (await row(db, job_id))["deadline_at"] - before
        assert 20 * SECOND <= moved < 22 * SECOND


@pytest.mark.parametrize("resting", [False, True])
@pytest.mark.parametrize("way", ["released", "retried", "rescued"])
async def test_one_that_goes_back_into_its_queue_is_paused_there(
    db: str, way: str, *, resting: bool
) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        await pause(user, job_id)
        if resting:
            await rest(worker, job)
        if way == "rescued":
            await move_clock(db, EXPIRED)
            await user.sweep()
        else:
            assert await worker.put_back(job, outcome=way) == ["done"]
        assert await state_of(db, job_id) == "paused"
        await move_clock(db, 3600 * SECOND)
        assert await user.take() == []
        assert await resume(user, job_id) == "resumed"
        assert [one.job_id for one in await user.take()] == [job_id]


@pytest.mark.parametrize("resting", [False, True])
async def test_a_paused_job_can_be_cancelled(db: str, *, resting: bool) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        if resting:
            [job] = await worker.take()
        await pause(user, job_id)
        if resting:
            await rest(worker, job)
            assert await user.cancel(job_id) == "requested"
            assert (await worker.beat(job.lock_token)).ending == [job_id]
            assert await worker.finish(job, state="cancelled") == ["done"]
        else:
            assert await user.cancel(job_id) == "cancelled"
    assert await places_of(db, job_id) == (0, 1)


async def test_what_is_to_end_does_not_come_to_rest(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        await pause(user, job_id)
        await user.cancel(job_id)
        told = await worker.beat(job.lock_token)
        assert (told.ending, told.pausing) == ([job_id], [])
        assert await rest(worker, job) == []


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_a_wish_that_waits_for_a_give_back_counts_for_what_it_finds(
    db: str, verb: str
) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        async with worker.session.transaction():
            await worker.put_back(job)
            wish = (
                jobs.pause(user.session, job_id, by="ada")
                if verb == "pause"
                else resume(user, job_id)
            )
            asked = asyncio.create_task(wish)
            await until(lambda: user.waits(db))
        assert await asked == {"pause": "paused", "resume": "unpaused"}[verb]


async def test_a_pause_that_waits_for_a_claim_asks_the_worker(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        async with worker.session.transaction():
            [job] = await worker.take()
            asked = asyncio.create_task(pause(user, job_id))
            await until(lambda: user.waits(db))
        assert await asked == "requested"
        assert await rest(worker, job) == [job_id]


async def test_a_pause_that_waits_for_a_finish_answers_final(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        async with worker.session.transaction():
            await worker.finish(job)
            asked = asyncio.create_task(pause(user, job_id))
            await until(lambda: user.waits(db))
        assert await asked == "final"


async def test_one_that_has_ended_and_one_that_nobody_knows_are_told(db: str) -> None:
    job_id = await put_one(db)
    async with hand(db) as user:
        assert await user.cancel(job_id) == "cancelled"
        assert [await pause(user, job_id), await resume(user, job_id)] == ["final", "final"]
        await tell(db, "delete from pillars.finished_jobs")
        assert [await pause(user, job_id), await resume(user, job_id)] == ["unknown", "unknown"]


async def test_a_job_is_listed_where_its_state_says_and_nowhere_else(db: str) -> None:
    waiting, resting, running = [await put_one(db) for _ in range(3)]
    async with hand(db) as worker:
        await pause(worker, waiting)
        claimed = {one.job_id: one for one in await worker.take()}
        await pause(worker, resting)
        await rest(worker, claimed[resting])
        session = await Address(db).connect()
        try:
            found = {
                state: set(await listing.ids(session, Wanted(state=state)))
                for state in ("ready", "running", "waiting", "paused")
            }
            pages = {
                state: {
                    one.job_id for one in (await listing.page(session, Wanted(state=state))).jobs
                }
                for state in found
            }
        finally:
            await session.close()
    assert found == {
        "ready": set(), "running": {running}, "waiting": set(), "paused": {waiting, resting},
    }  # fmt: skip
    assert pages == found
