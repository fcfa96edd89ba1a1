"""Cancelling: by the state that the row has once it is locked, and against everything that moves it meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from pillars.store import redriving
from stepping import (
    EXPIRED,
    Hand,
    define,
    final,
    hand,
    hands,
    locked_tokens,
    places_of,
    put,
    put_one,
    row,
)
from support import ask, asking, move_clock, until

SECOND = timedelta(seconds=1)


async def heard_by(worker: Hand) -> list[str]:
    heard: list[str] = []
    channel = f"pillars_{worker.worker_id.hex}"
    await worker.session.connection.add_listener(channel, lambda *told: heard.append(told[-1]))
    return heard


async def test_a_job_that_does_not_run_ends_at_once(db: str) -> None:
    ready = await put_one(db, payload='{"n": 1}')
    scheduled = await put_one(db, run_at=datetime.now(UTC) + 60 * SECOND)
    parked = await put_one(db, parked=True, waiting_for="definition")
    async with hand(db) as user:
        for job_id in (ready, scheduled, parked):
            assert await user.cancel(job_id) == "cancelled"
            assert await places_of(db, job_id) == (0, 1)
            assert await user.cancel(job_id) == "final"
    assert (await final(db, ready))["state"] == "cancelled"
    assert (await final(db, ready))["payload"] == '{"n": 1}'


async def test_a_running_job_is_asked_to_end_and_its_worker_is_told(db: str) -> None:
    await put(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        heard = await heard_by(worker)
        assert await user.cancel(job.job_id) == "requested"
        await worker.ask("select 1")
        assert heard == [str(job.job_id)]
        first = (await row(db, job.job_id))["cancel_requested_at"]
        await move_clock(db, SECOND)
        assert await user.cancel(job.job_id) == "requested"
        assert (await row(db, job.job_id))["cancel_requested_at"] == first
        assert await worker.finish(job, state="cancelled") == ["done"]
    assert (await final(db, job.job_id))["state"] == "cancelled"


BY = "select pillars.cancel($1, $2)"


async def test_the_end_bears_who_asked_for_it_first(db: str) -> None:
    ready, ended, put_back, rescued = [await put_one(db) for _ in range(4)]
    await ask(db, BY, ready, "ada")
    async with hands(db) as (worker, other):
        first, second = await worker.take(2)
        [third] = await other.take()
        for job in (first, second, third):
            assert await ask(db, BY, job.job_id, "ada") == "requested"
            assert await ask(db, BY, job.job_id, "bob") == "requested"
        assert await worker.finish(first, state="cancelled") == ["done"]
        assert await worker.put_back(second, outcome="retried", error="no") == ["done"]
        await move_clock(db, EXPIRED)
        await worker.sweep()
    for job_id in (ready, ended, put_back, rescued):
        assert (await final(db, job_id))["last_error"] == "cancelled by ada"
    async with asking(db) as connection:
        noted = await connection.fetch("select job_id, error from pillars.attempts")
    assert {row["job_id"]: row["error"] for row in noted} == {
        ended: "cancelled by ada", put_back: "no", rescued: "the worker died holding the job",
    }  # fmt: skip


@pytest.mark.parametrize("by", [None, "", "  "])
async def test_who_does_not_say_is_told_by_role(db: str, by: str | None) -> None:
    job_id = await put_one(db)
    await ask(db, BY, job_id, by)
    role = await ask(db, "select session_user")
    assert (await final(db, job_id))["last_error"] == f"cancelled by the role {role}"


async def test_who_says_much_is_cut(db: str) -> None:
    job_id = await put_one(db)
    await ask(db, BY, job_id, "n" * 5000)
    assert (await final(db, job_id))["last_error"] == "cancelled by " + "n" * 200


async def test_a_job_that_completes_all_the_same_bears_no_such_reason(db: str) -> None:
    job_id = await put_one(db)
    async with hand(db) as worker:
        [job] = await worker.take()
        await ask(db, BY, job_id, "ada")
        assert await worker.finish(job) == ["done"]
    ended = await final(db, job_id)
    assert (ended["state"], ended["last_error"]) == ("completed", None)


async def test_a_cancel_that_is_rolled_back_leaves_no_trace_and_tells_nobody(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        heard = await heard_by(worker)
        transaction = user.session.connection.transaction()
        await transaction.start()
        assert await user.cancel(job_id) == "requested"
        await transaction.rollback()
        await worker.ask("select 1")
        assert heard == []
        assert await worker.put_back(job) == ["done"]
    assert (await row(db, job_id))["cancel_requested_at"] is None


async def test_a_job_that_nobody_knows_is_unknown(db: str) -> None:
    await define(db, keep="none")
    job_id = await put_one(db)
    async with hand(db) as user:
        assert await user.cancel(job_id) == "cancelled"
        assert await user.cancel(job_id) == "unknown", 'keep="none" leaves no row'


async def test_a_cancel_that_waits_for_a_finish_answers_final(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        async with worker.session.transaction():
            await worker.finish(job)
            asked = asyncio.create_task(user.cancel(job_id))
            await until(lambda: user.waits(db))
        assert await asked == "final"
    assert (await final(db, job_id))["state"] == "completed"


async def test_a_cancel_that_waits_for_a_give_back_ends_the_job(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        async with worker.session.transaction():
            await worker.put_back(job)
            asked = asyncio.create_task(user.cancel(job_id))
            await until(lambda: user.waits(db))
        assert await asked == "cancelled"
    assert await places_of(db, job_id) == (0, 1)


async def test_a_cancel_that_waits_for_a_claim_asks_the_worker(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        async with worker.session.transaction():
            await worker.take()
            asked = asyncio.create_task(user.cancel(job_id))
            await until(lambda: user.waits(db))
        assert await asked == "requested"
        assert (await worker.beat()).ending == [job_id]


async def test_a_cancel_that_waits_for_a_redrive_ends_the_job_again(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (other, user):
        await user.cancel(job_id)
        async with other.session.transaction():
            assert await redriving.redrive(other.session, job_id)
            assert await user.cancel(job_id) == "final", "the redrive has not happened yet"
        assert await user.cancel(job_id) == "cancelled"
    assert await places_of(db, job_id) == (0, 1)


async def test_a_cancel_overtaken_by_a_redrive_between_its_two_reads_finds_the_job_again(
    db: str,
) -> None:
    job_id = await put_one(db)
    async with hands(db) as (other, user):
        await user.cancel(job_id)
        async with other.session.transaction():
            await other.ask("lock table pillars.finished_jobs in access exclusive mode")
            asked = asyncio.create_task(user.cancel(job_id))
            await until(lambda: user.waits(db))  # it found nothing in jobs and asks the history
            assert await redriving.redrive(other.session, job_id)
        assert await asked == "cancelled"
    assert await places_of(db, job_id) == (0, 1)


async def test_two_cancels_at_once_end_the_job_once(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (one, two):
        async with one.session.transaction():
            assert await one.cancel(job_id) == "cancelled"
            asked = asyncio.create_task(two.cancel(job_id))
            await until(lambda: two.waits(db))
        assert await asked == "final"
    assert await places_of(db, job_id) == (0, 1)


async def test_an_open_cancel_hurts_no_other_job(db: str) -> None:
    await define(db)
    await put(db, 4)
    async with hands(db) as (worker, user), hand(db) as other:
        held, done, retried, dead = await worker.take()
        waiting, free = await put(db, 2)
        async with user.session.transaction():
            await user.cancel(held.job_id)
            await user.cancel(waiting)
            assert await worker.finish(held, done) == ["busy", "done"]
            assert await worker.put_back(held, retried) == ["busy", "done"]
            assert (await worker.beat(held.lock_token)).extended == [held.lock_token]
            [taken] = [one for one in await other.take() if one.job_id != retried.job_id]
            assert taken.job_id == free
            await move_clock(db, EXPIRED)
            assert (await other.sweep()).rescued == 3, "all but the one held"
            assert (await row(db, dead.job_id))["locked_by"] is None
        assert await worker.finish(held) == ["done"]


@pytest.mark.parametrize("rolled_back", [False, True])
async def test_a_job_whose_worker_died_beside_an_open_cancel_is_not_stranded(
    db: str, *, rolled_back: bool
) -> None:
    await define(db)
    job_id = await put_one(db)
    async with hands(db) as (worker, user), hand(db) as other:
        await worker.take()
        await move_clock(db, EXPIRED)
        transaction = user.session.connection.transaction()
        await transaction.start()
        await user.cancel(job_id)
        assert (await other.sweep()).rescued == 0
        await (transaction.rollback() if rolled_back else transaction.commit())
        swept = await other.sweep()
        assert (swept.rescued, swept.cancelled) == ((1, 0) if rolled_back else (0, 1))
    assert await locked_tokens(db) == []


async def test_a_cancel_in_a_repeatable_read_transaction_is_refused_to_its_caller(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (user, worker):
        transaction = user.session.connection.transaction(isolation="repeatable_read")
        await transaction.start()
        await user.ask("select count(*) from pillars.jobs")
        [job] = await worker.take()
        with pytest.raises(Exception, match="could not serialize") as refused:
            await user.ask("select pillars.cancel($1)", job_id)
        await transaction.rollback()
        assert getattr(refused.value, "sqlstate", None) == "40001"
        assert await worker.finish(job) == ["done"]


async def test_cancels_against_claims_and_finishes_leave_every_job_in_one_place(db: str) -> None:
    job_ids = await put(db, 60)
    start = asyncio.Barrier(3)

    async def work(worker: Hand) -> None:
        await start.wait()
        for _ in range(30):
            claim = await worker.claim(5)
            held = list(claim.jobs)
            while held:
                answers = await worker.finish(*held, last_of=[held[0].lock_token])
                held = [one for one, said in zip(held, answers, strict=True) if said == "busy"]

    async def cancel(user: Hand) -> list[str]:
        await start.wait()
        return [await user.cancel(job_id) for job_id in job_ids]

    async with hands(db) as (one, two), hand(db) as user:
        _, _, answers = await asyncio.gather(work(one), work(two), cancel(user))
    assert set(answers) <= {"cancelled", "requested", "final"}
    in_both = await ask(
        db, "select count(*) from pillars.jobs join pillars.finished_jobs using (job_id)"
    )
    twice = await ask(db, "select count(*) - count(distinct job_id) from pillars.finished_jobs")
    assert (in_both, twice) == (0, 0)
    cancelled = await ask(
        db, "select count(*) from pillars.finished_jobs where state = 'cancelled'"
    )
    assert cancelled == answers.count("cancelled")


async def test_a_job_can_be_cancelled_on_a_day_for_which_nobody_has_made_room(db: str) -> None:
    job_id = await put_one(db)
    await move_clock(db, timedelta(days=9))
    async with hand(db) as user:
        assert await user.cancel(job_id) == "cancelled"
    assert (await final(db, job_id))["state"] == "cancelled"
