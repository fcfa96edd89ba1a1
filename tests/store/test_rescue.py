"""Taking from the dead: the sweep, the heartbeat against it, and what no mishap may strand."""

import asyncio
from datetime import timedelta

import pytest

from gates import at_gate, gated_clock
from pillars.store import locks
from pillars.store.rows import Claimed
from stepping import (
    EXPIRED,
    LOCK,
    NOBODY,
    Hand,
    define,
    final,
    hand,
    hands,
    locked_tokens,
    places_of,
    put,
    row,
)
from support import ask, asking, move_clock, tell

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
async def _defined(db: str) -> None:
    await define(db)


async def left_by_the_dead(db: str, worker: Hand, count: int = 1) -> list[Claimed]:
    """Jobs that a worker holds under a lock that has expired."""
    await put(db, count)
    claimed = await worker.take()
    await move_clock(db, EXPIRED)
    return claimed


async def test_the_jobs_of_a_dead_worker_are_ready_again_after_a_short_wait(db: str) -> None:
    async with hands(db) as (dead, heir):
        [job] = await left_by_the_dead(db, dead)
        swept = await heir.sweep()
        assert (swept.swept, swept.rescued, swept.failed, swept.cancelled) == (True, 1, 0, 0)
        stored = await row(db, job.job_id)
        assert (stored["attempt"], stored["crashes"]) == (0, 1)
        assert stored["last_error"] == "the worker died holding the job"
        nulls = ("locked_by", "lock_token", "locked_at", "deadline_at")
        assert [stored[one] for one in nulls] == [None] * 4
        await move_clock(db, 2 * SECOND)
        assert [one.job_id for one in await heir.take()] == [job.job_id]
    async with asking(db) as connection:
        [noted] = await connection.fetch("select * from pillars.attempts")
    assert SECOND <= stored["run_at"] - noted["ended_at"] <= 2 * SECOND, "not at once"
    assert (noted["outcome"], noted["attempt"]) == ("crashed", 1)
    assert (noted["lock_token"], noted["locked_by"]) == (job.lock_token, dead.worker_id)


async def test_one_sweep_gives_back_the_jobs_of_thousands_of_dead_claims(db: str) -> None:
    async with hands(db) as (alive, heir):
        await put(db, 3_000)
        await tell(db, A_CLAIM_FOR_EACH)
        await put(db)
        [held] = await alive.take()
        assert (await heir.sweep()).rescued == 3_000
        assert await locked_tokens(db) == [held.lock_token]
    assert await ask(db, "select count(*) from pillars.jobs where locked_by is null") == 3_000


A_CLAIM_FOR_EACH = """
with dead as (
    insert into pillars.locks (locked_by, expires_at, job_ids)
    select gen_random_uuid(), now() - interval '1 day', array[job_id] from pillars.jobs
    returning lock_token, locked_by, job_ids
)
update pillars.jobs job set locked_by = dead.locked_by, lock_token = dead.lock_token, locked_at = now(), attempt = 1
from dead where job.job_id = dead.job_ids[1]
"""


async def test_a_lock_that_has_not_expired_is_nobodys_to_take(db: str) -> None:
    async with hands(db) as (alive, other):
        await put(db)
        [job] = await alive.take()
        await move_clock(db, LOCK - SECOND)
        assert (await other.sweep()).rescued == 0
        assert (await row(db, job.job_id))["locked_by"] == alive.worker_id


async def test_a_healthy_long_job_is_never_rescued(db: str) -> None:
    async with hands(db) as (alive, other):
        await put(db)
        [job] = await alive.take()
        for _ in range(20):  # far longer than a lock, and than any timeout of its own
            await move_clock(db, 25 * SECOND)
            assert (await alive.beat(job.lock_token)).extended == [job.lock_token]
            assert (await other.sweep()).rescued == 0
        await move_clock(db, timedelta(hours=30))
        await alive.beat(job.lock_token)
        assert (await other.sweep()).rescued == 0
        assert await alive.finish(job) == ["done"]


async def test_jobs_that_lost_their_worker_together_come_back_apart(db: str) -> None:
    """One of them may be why it died: the others would die with it time and again."""
    async with hands(db) as (dead, heir):
        await left_by_the_dead(db, dead, 10)
        await heir.sweep()
    assert await ask(db, "select count(distinct run_at) from pillars.jobs") == 10


async def test_crashes_are_counted_and_the_last_one_fails_the_job_with_its_reason(db: str) -> None:
    await define(db, max_crashes=3)
    async with hands(db) as (dead, heir):
        [job_id] = await put(db)
        for crash in (1, 2):
            assert len(await dead.take()) == 1
            await move_clock(db, EXPIRED)
            await heir.sweep()
            stored = await row(db, job_id)
            assert (stored["crashes"], stored["attempt"]) == (crash, 0)
            await move_clock(db, timedelta(minutes=1))
        [last] = await dead.take()
        await move_clock(db, EXPIRED)
        assert (await heir.sweep()).failed == 1
    assert await places_of(db, job_id) == (0, 1)
    ended = await final(db, job_id)
    assert (ended["state"], ended["crashes"]) == ("failed", 3)
    assert ended["last_error"] == "the worker died holding the job, 3 times"
    assert ended["lock_token"] == last.lock_token
    outcomes = await ask(db, "select array_agg(outcome order by ended_at) from pillars.attempts")
    assert outcomes == ["crashed", "crashed", "failed"]
    assert await locked_tokens(db) == []


async def test_a_rescued_job_whose_end_was_asked_for_ends_cancelled(db: str) -> None:
    async with hands(db) as (dead, heir):
        [job] = await left_by_the_dead(db, dead)
        assert await heir.cancel(job.job_id) == "requested"
        swept = await heir.sweep()
        assert (swept.rescued, swept.cancelled) == (0, 1)
    assert (await final(db, job.job_id))["state"] == "cancelled"
    assert await places_of(db, job.job_id) == (0, 1)


@pytest.mark.parametrize("keep", ["full", "none"])
async def test_what_ends_at_a_rescue_is_kept_as_its_definition_says(db: str, keep: str) -> None:
    await define(db, max_crashes=1, keep=keep)
    async with hands(db) as (dead, heir):
        [job] = await left_by_the_dead(db, dead)
        assert (await heir.sweep()).failed == 1
    assert await places_of(db, job.job_id) == (0, int(keep == "full"))


async def test_a_job_that_an_open_transaction_holds_is_rescued_by_a_later_sweep(db: str) -> None:
    async with hands(db) as (dead, heir), hand(db) as user:
        first, second = await left_by_the_dead(db, dead, 2)
        transaction = user.session.connection.transaction()
        await transaction.start()
        await user.cancel(first.job_id)
        assert (await heir.sweep()).rescued == 1, "the other job waits for nobody"
        await transaction.rollback()
        assert await ask(db, "select locked_by from pillars.locks") == NOBODY
        assert (await heir.sweep()).rescued == 1, "the lock stayed, so the job is found"
        assert (await row(db, first.job_id))["locked_by"] is None
        assert (await row(db, second.job_id))["locked_by"] is None
    assert await locked_tokens(db) == []


async def test_a_half_rescued_claim_is_not_revived_by_its_workers_heartbeat(db: str) -> None:
    async with hands(db) as (frozen, heir), hand(db) as user:
        first, second = await left_by_the_dead(db, frozen, 2)
        async with user.session.transaction():
            await user.ask("select 1 from pillars.jobs where job_id = $1 for update", first.job_id)
            await heir.sweep()
        await move_clock(db, 2 * SECOND)
        [taken] = await heir.take()
        assert taken.job_id == second.job_id
        beat = await frozen.beat(first.lock_token)
        assert (beat.extended, beat.lost) == ([], [first.lock_token])
        assert (await heir.sweep()).rescued == 1
        assert await frozen.finish(first, second) == ["lost", "lost"]
        assert await heir.finish(taken) == ["done"]


@pytest.mark.parametrize("ending", ["cancel", "touch"])
async def test_a_job_changed_between_snapshot_and_lock_is_left_to_the_next_sweep(
    db: str, ending: str
) -> None:
    async with hands(db) as (dead, heir), hand(db) as user:
        [job] = await left_by_the_dead(db, dead)
        async with gated_clock(db, user):
            asked = asyncio.create_task(heir.ask("select (pillars.rescue()).rescued"))
            await at_gate(db)
            if ending == "cancel":
                await user.cancel(job.job_id)
            else:
                await user.ask("update pillars.jobs set context = 'touched'")
        assert await asked == 0, "only what a write returned was done"
        assert await ask(db, "select locked_by from pillars.locks") == NOBODY
        swept = await heir.sweep()
        assert (swept.rescued, swept.cancelled) == ((0, 1) if ending == "cancel" else (1, 0))
    assert await locked_tokens(db) == []


async def test_a_finish_that_comes_between_snapshot_and_lock_wins(db: str) -> None:
    async with hands(db) as (late, heir), hand(db) as user:
        [job] = await left_by_the_dead(db, late)
        async with gated_clock(db, user):
            asked = asyncio.create_task(heir.ask("select (pillars.rescue()).rescued"))
            await at_gate(db)
            user.worker_id = late.worker_id
            assert await user.finish(job, last_of=[job.lock_token]) == ["done"]
        assert await asked == 0
    assert await places_of(db, job.job_id) == (0, 1)


async def test_a_rescue_goes_by_the_token_not_by_the_job(db: str) -> None:
    """A job that was released and taken again, by the same worker, is not the old claim's any more."""
    async with hands(db) as (worker, other):
        await put(db, 2)
        old, kept = await worker.take()
        await worker.put_back(old)
        await move_clock(db, 20 * SECOND)
        [new] = await worker.take()
        await move_clock(db, 11 * SECOND)
        assert (await other.sweep()).rescued == 1
        assert (await row(db, kept.job_id))["locked_by"] is None
        assert (await row(db, new.job_id))["lock_token"] == new.lock_token


async def test_a_rescue_wakes_workers_once_a_queue(db: str) -> None:
    heard: list[str] = []
    async with hands(db) as (dead, heir), hand(db) as listener:
        await put(db, 2, queue="a")
        await put(db, 2, queue="b")
        await dead.take()
        await move_clock(db, EXPIRED)
        await listener.session.connection.add_listener(
            "pillars", lambda *told: heard.append(told[-1])
        )
        await heir.sweep()
        await listener.ask("select 1")
    assert sorted(heard) == ["a", "b"]


class TestHeartbeatAgainstRescue:
    async def test_a_beat_before_the_sweep_saves_the_jobs(self, db: str) -> None:
        async with hands(db) as (worker, heir):
            [job] = await left_by_the_dead(db, worker)
            assert (await worker.beat(job.lock_token)).extended == [job.lock_token]
            assert (await heir.sweep()).rescued == 0

    async def test_an_uncommitted_beat_is_skipped_by_the_sweep(self, db: str) -> None:
        async with hands(db) as (worker, heir):
            [job] = await left_by_the_dead(db, worker)
            async with worker.session.transaction():
                await worker.beat(job.lock_token)
                assert (await heir.sweep()).rescued == 0
            assert (await heir.sweep()).rescued == 0

    async def test_a_beat_between_snapshot_and_lock_saves_the_jobs(self, db: str) -> None:
        async with hands(db) as (worker, heir):
            [job] = await left_by_the_dead(db, worker)
            async with gated_clock(db, worker):
                asked = asyncio.create_task(heir.ask("select (pillars.rescue()).rescued"))
                await at_gate(db)
                await worker.beat(job.lock_token)
            assert await asked == 0
            assert await locked_tokens(db) == [job.lock_token]
            assert (await row(db, job.job_id))["locked_by"] == worker.worker_id

    async def test_an_uncommitted_sweep_holds_up_no_beat_which_is_then_told(self, db: str) -> None:
        async with hands(db) as (worker, heir):
            [job] = await left_by_the_dead(db, worker)
            async with heir.session.transaction():
                assert (await heir.sweep()).rescued == 1
                beat = await worker.beat(job.lock_token)
                assert (beat.extended, beat.lost) == ([], [])
            beat = await worker.beat(job.lock_token)
            assert (beat.extended, beat.lost) == ([], [job.lock_token])

    async def test_a_beat_extends_exactly_the_locks_it_names_and_deletes_none(
        self, db: str
    ) -> None:
        async with hands(db) as (worker, other):
            await put(db, 3)
            [named], [unnamed], [foreign] = (
                await worker.take(1), await worker.take(1), await other.take(1),
            )  # fmt: skip
            await move_clock(db, 10 * SECOND)
            beat = await worker.beat(named.lock_token, foreign.lock_token)
            assert beat.extended == [named.lock_token]
            assert beat.lost == [foreign.lock_token], "another's lock cannot be prolonged"
            assert beat.unnamed == [unnamed.lock_token]
            await move_clock(db, 21 * SECOND)
            assert (await other.sweep()).rescued == 2
            assert await locked_tokens(db) == [named.lock_token]

    async def test_a_beat_tells_which_jobs_are_asked_to_end(self, db: str) -> None:
        async with hands(db) as (worker, user):
            await put(db, 2)
            one, two = await worker.take()
            assert (await worker.beat(one.lock_token)).ending == []
            await user.cancel(two.job_id)
            assert (await worker.beat(one.lock_token)).ending == [two.job_id]
            assert (await worker.beat()).ending == [two.job_id]

    async def test_a_beat_of_a_worker_without_a_row_says_so(self, db: str) -> None:
        async with hand(db) as worker:
            assert not (await worker.beat()).known


async def test_a_claim_of_unknown_outcome_is_given_back_without_a_crash(db: str) -> None:
    """The client has given up, the backend has not: the claim commits after its worker first looked for it."""
    async with hands(db) as (backend, worker):
        backend.worker_id = worker.worker_id
        [job_id] = await put(db)
        async with backend.session.transaction():
            [job] = await backend.take()
            assert await locks.held(worker.session, worker.worker_id) == []
        assert (await worker.beat()).unnamed == [job.lock_token]
        [stray] = await locks.held(worker.session, worker.worker_id)
        assert (stray.job_id, stray.lock_token) == (job_id, job.lock_token)
        assert await worker.put_back(job, last_of=[job.lock_token]) == ["done"]
        stored = await row(db, job_id)
    assert (stored["attempt"], stored["crashes"], stored["locked_by"]) == (0, 0, None)
    assert await locked_tokens(db) == []


async def test_a_second_sweep_with_an_old_snapshot_counts_no_second_crash(db: str) -> None:
    async with hands(db) as (dead, heir), hand(db) as late:
        [job] = await left_by_the_dead(db, dead)
        async with gated_clock(db, heir):
            asked = asyncio.create_task(late.ask("select (pillars.rescue()).rescued"))
            await at_gate(db)
            assert await heir.ask("select (pillars.rescue()).rescued") == 1
        assert await asked == 0
        assert (await row(db, job.job_id))["crashes"] == 1
