"""Claims: which jobs, in what order, by whom, and what a race leaves."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from gates import at_gate, gated_clock
from pillars.store.claiming import CLAIM, Claim, Places
from pillars.store.rows import Lane
from stepping import (
    Hand,
    define,
    hand,
    hands,
    locked_tokens,
    put,
    put_one,
    row,
)
from support import ask, move_clock, tell

SECOND = timedelta(seconds=1)


def ids(claim: Claim) -> list[UUID]:
    return [job.job_id for job in claim.jobs]


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


async def test_jobs_come_by_priority_then_due_time_then_id(db: str) -> None:
    late = await put_one(db, run_at=ago(10))
    early = await put_one(db, run_at=ago(20))
    first_of_two, second_of_two = await put(db, 2, run_at=ago(5))
    urgent = await put_one(db, run_at=ago(1), priority=9)
    idle = await put_one(db, run_at=ago(99), priority=-1)
    async with hand(db) as worker:
        assert ids(await worker.claim()) == [
            urgent, early, late, first_of_two, second_of_two, idle,
        ]  # fmt: skip


async def test_priority_counts_across_queues(db: str) -> None:
    low = await put_one(db, queue="a", priority=0, run_at=ago(50))
    high = await put_one(db, queue="b", priority=5)
    async with hand(db) as worker:
        assert ids(await worker.claim(1)) == [high]
        assert ids(await worker.claim(1)) == [low]


async def test_every_lane_is_found(db: str) -> None:
    wanted = {
        await put_one(db, queue=queue, priority=priority)
        for queue in ("a", "b", "c.d", "Z")
        for priority in (-5, 0, 7)
    }
    async with hand(db) as worker:
        assert set(ids(await worker.claim(20))) == wanted


async def test_only_the_queues_served_are_claimed_from_and_up_to_their_slots(db: str) -> None:
    for queue in ("mail", "default", "other"):
        await put(db, 3, queue=queue)
    await put(db, 3, queue="mail", priority=5)
    async with hand(db) as worker:
        claim = await worker.claim(10, queues={"mail": 2, "default": None})
        assert sorted(job.queue for job in claim.jobs) == ["default"] * 3 + ["mail"] * 2
        assert {job.priority for job in claim.jobs if job.queue == "mail"} == {5}
        assert (await worker.claim(10, queues={})).jobs == []


async def test_the_slots_of_all_queues_together_are_no_more_than_the_free_ones(db: str) -> None:
    await put(db, 5, queue="mail")
    await put(db, 5, queue="default")
    async with hand(db) as worker:
        assert len((await worker.claim(4, queues={"mail": 3, "default": 3})).jobs) == 4


@pytest.mark.parametrize("lanes", [False, True])
async def test_a_paused_queue_gives_nothing_until_it_is_resumed(db: str, *, lanes: bool) -> None:
    job_id = await put_one(db, queue="mail")
    await tell(db, "insert into pillars.queues (name, paused_at) values ('mail', pillars.now())")
    async with hand(db) as worker:
        claim = worker.claim_in_lanes if lanes else worker.claim
        assert ids(await claim()) == []
        await tell(db, "update pillars.queues set paused_at = null")
        assert ids(await claim()) == [job_id]


@pytest.mark.parametrize("lanes", [False, True])
async def test_a_name_that_the_worker_does_not_know_is_never_taken(db: str, *, lanes: bool) -> None:
    await put(db, 3, name="stranger")
    known = await put_one(db)
    async with hand(db) as worker:
        claim = worker.claim_in_lanes if lanes else worker.claim
        assert ids(await claim()) == [known]


async def test_a_scheduled_job_waits_for_its_time_which_the_claim_tells(db: str) -> None:
    job_id = await put_one(db, run_at=datetime.now(UTC) + 60 * SECOND)
    async with hand(db) as worker:
        claim = await worker.claim()
        assert claim.jobs == []
        assert claim.next_in is not None
        assert 55 * SECOND < claim.next_in <= 60 * SECOND
        await move_clock(db, 61 * SECOND)
        assert ids(await worker.claim()) == [job_id]


async def test_the_next_time_is_that_of_the_lanes_served_and_not_paused(db: str) -> None:
    now = datetime.now(UTC)
    await put(db, queue="paused", run_at=now + 10 * SECOND)
    await put(db, queue="other", run_at=now + 20 * SECOND)
    await put(db, queue="mail", run_at=now + 60 * SECOND)
    await tell(db, "insert into pillars.queues (name, paused_at) values ('paused', pillars.now())")
    async with hand(db) as worker:
        claim = await worker.claim(queues={"mail": None, "paused": None})
        assert claim.next_in is not None
        assert claim.next_in > 50 * SECOND
        everywhere = await worker.claim()
        assert everywhere.next_in is not None
        assert everywhere.next_in <= 20 * SECOND


@pytest.mark.parametrize("lanes", [False, True])
async def test_an_expired_job_is_never_started(db: str, *, lanes: bool) -> None:
    await put(db, expires_at=ago(1))
    alive = await put_one(db, expires_at=datetime.now(UTC) + 60 * SECOND)
    async with hand(db) as worker:
        claim = worker.claim_in_lanes if lanes else worker.claim
        assert ids(await claim()) == [alive]


@pytest.mark.parametrize("lanes", [False, True])
async def test_a_claim_writes_who_holds_the_job_and_for_how_long(db: str, *, lanes: bool) -> None:
    job_id = await put_one(db, timeout=timedelta(minutes=2), max_attempts=7)
    async with hand(db) as worker:
        [job] = (await (worker.claim_in_lanes if lanes else worker.claim)()).jobs
        stored = await row(db, job_id)
        assert stored["locked_by"] == worker.worker_id
        assert stored["lock_token"] == job.lock_token
        assert (stored["attempt"], job.attempt) == (1, 1)
        assert stored["deadline_at"] - stored["locked_at"] == timedelta(minutes=2)
        lock = await worker.session.connection.fetchrow("select * from pillars.locks")
        assert lock is not None
        assert lock["lock_token"] == job.lock_token
        assert lock["job_ids"] == [job_id]
        assert lock["expires_at"] - stored["locked_at"] == timedelta(seconds=30)


@pytest.mark.parametrize("lanes", [False, True])
@pytest.mark.parametrize(
    ("of_row", "defined", "deadline"),
    [
        (timedelta(minutes=2), True, timedelta(minutes=2)),
        (None, True, timedelta(minutes=15)),
        (timedelta(0), True, None),
        (None, False, None),
    ],
)
async def test_the_deadline_is_the_rows_or_the_definitions_or_none(
    db: str, of_row: timedelta | None, deadline: timedelta | None, *, defined: bool, lanes: bool
) -> None:
    if defined:
        await define(db)
    await put(db, timeout=of_row)
    async with hand(db) as worker:
        [job] = (await (worker.claim_in_lanes if lanes else worker.claim)()).jobs
        left = None if job.deadline_at is None else job.deadline_at - job.locked_at
        assert left == deadline


async def test_the_attempts_of_a_job_that_nobody_had_defined_are_decided_at_its_claim(
    db: str,
) -> None:
    job_id = await ask(db, "select pillars.enqueue('work')")
    assert (await row(db, job_id))["max_attempts"] is None
    await define(db, max_attempts=9)
    async with hand(db) as worker:
        [job] = await worker.take()
        assert job.max_attempts == 9
        assert (await row(db, job_id))["max_attempts"] == 9


@pytest.mark.parametrize("lanes", [False, True])
async def test_a_claim_of_nothing_leaves_no_lock(db: str, *, lanes: bool) -> None:
    await put(db, name="stranger")
    async with hand(db) as worker:
        assert (await (worker.claim_in_lanes if lanes else worker.claim)()).jobs == []
    assert await locked_tokens(db) == []


async def test_a_running_a_parked_and_a_held_job_are_nobodys_to_take(db: str) -> None:
    await put(db, 3)
    await put(db, parked=True, waiting_for="definition")
    async with hands(db) as (one, two):
        assert len(await one.take(2)) == 2
        assert len(await two.take()) == 1
        assert await two.take() == []


async def test_every_claim_has_a_token_of_its_own_and_tokens_rise(db: str) -> None:
    [job_id] = await put(db)
    tokens = []
    async with hands(db) as (one, two):
        for worker in (one, two, one, one):
            [job] = await worker.take()
            tokens.append(job.lock_token)
            assert await worker.put_back(job, last_of=[job.lock_token]) == ["done"]
    assert tokens == sorted(set(tokens))
    assert (await row(db, job_id))["attempt"] == 0


async def test_two_claimers_at_once_never_take_the_same_job(db: str) -> None:
    wanted = set(await put(db, 300))
    async with hands(db) as (one, two):
        start = asyncio.Barrier(2)

        async def drain(worker: Hand) -> list[UUID]:
            await start.wait()
            taken: list[UUID] = []
            while len(taken) < 300:
                claim = await worker.claim(7)
                if claim.contended:
                    taken += ids(await worker.claim_in_lanes(7))
                taken += ids(claim)
                if not claim.jobs and not claim.contended:
                    break
            return taken

        mine, theirs = await asyncio.gather(drain(one), drain(two))
    assert len(mine) + len(theirs) == 300
    assert {*mine, *theirs} == wanted


async def test_what_another_holds_uncommitted_is_told_as_contention_and_found_behind_it(
    db: str,
) -> None:
    first = await put(db, 3, run_at=ago(10))
    second = await put(db, 3, run_at=ago(5))
    async with hands(db) as (one, two):
        async with one.session.transaction():
            assert ids(await one.claim(3)) == first
            beaten = await two.claim(3)
            assert beaten.jobs == []
            assert beaten.contended
            assert ids(await two.claim_in_lanes(3)) == second
        assert not (await two.claim(3)).contended


async def test_a_claim_in_lanes_keeps_to_the_slots_of_each_queue(db: str) -> None:
    await put(db, 4, queue="mail", priority=1)
    await put(db, 4, queue="mail")
    await put(db, 4, queue="slow")
    async with hand(db) as worker:
        claim = await worker.claim_in_lanes(9, queues={"mail": 5, "slow": None})
        assert [job.queue for job in claim.jobs].count("mail") == 5
        assert [job.queue for job in claim.jobs].count("slow") == 4
        assert [job.priority for job in claim.jobs][:4] == [1, 1, 1, 1]


async def test_a_job_touched_between_snapshot_and_lock_is_asked_for_again(db: str) -> None:
    touched, untouched = await put(db, 2)
    async with hands(db) as (one, user):
        async with gated_clock(db, user):
            asked = asyncio.create_task(one.claim())
            await at_gate(db)
            await user.ask("update pillars.jobs set context = 'touched' where job_id = $1", touched)
        claim = await asked
        assert ids(claim) == [untouched]
        assert claim.contended, (
            "the claim must be repeated, or the worker sleeps beside a ready job"
        )
        held = await one.ask("select job_ids from pillars.locks")
        assert held == [untouched], "a lock lists only what was written"
        assert ids(await one.claim()) == [touched]


async def test_a_claim_whose_only_job_was_touched_leaves_no_lock_and_asks_again(db: str) -> None:
    [job_id] = await put(db)
    async with hands(db) as (one, user):
        for claim in (one.claim, one.claim_in_lanes):
            async with gated_clock(db, user):
                asked = asyncio.create_task(claim())
                await at_gate(db)
                await user.ask("update pillars.jobs set context = 'touched'")
            answer = await asked
            assert answer.jobs == []
            assert answer.contended
            assert await locked_tokens(db) == []
        assert ids(await one.claim()) == [job_id]


async def test_a_job_claimed_and_released_between_snapshot_and_lock_is_not_taken_twice(
    db: str,
) -> None:
    [job_id] = await put(db)
    async with hands(db) as (one, other):
        async with gated_clock(db, other):
            asked = asyncio.create_task(one.claim())
            await at_gate(db)
            [job] = await other.take()
        assert (await asked).jobs == []
        stored = await row(db, job_id)
        assert (stored["locked_by"], stored["lock_token"]) == (other.worker_id, job.lock_token)
        assert await other.finish(job) == ["done"]


async def test_a_claim_starts_behind_the_place_where_the_last_one_ended(db: str) -> None:
    job_ids = await put(db, 4, run_at=ago(10))
    elsewhere = await put_one(db, queue="b")
    places = Places()
    async with hand(db) as worker:
        claim = await worker.claim(2)
        places.remember(claim.jobs)
        assert await worker.put_back(*claim.jobs) == ["done", "done"]
        behind = await worker.claim(places=places)
        assert ids(behind) == job_ids[2:], "in a streak only the lanes that have a place are read"
        front = await worker.claim()
        assert ids(front) == [*job_ids[:2], elsewhere], "a look at the front finds all the rest"


async def test_a_claim_in_lanes_starts_behind_the_places_too(db: str) -> None:
    early = await put(db, 2, run_at=ago(20))
    late = await put(db, 2, run_at=ago(10))
    await put(db, queue="b")
    places = Places()
    async with hand(db) as worker:
        claim = await worker.claim(2)
        assert ids(claim) == early
        places.remember(claim.jobs)
        await worker.put_back(*claim.jobs)
        assert ids(await worker.claim_in_lanes(places=places)) == late


async def test_lanes_passed_over_are_read_from_the_time_of_the_look(db: str) -> None:
    await put(db, run_at=ago(10))
    places = Places()
    async with hand(db) as worker:
        nothing = await worker.claim(names=["other"])
        assert nothing.now is not None
        places.pass_over([Lane("default", 0)], nothing.now)
        assert ids(await worker.claim(places=places)) == []
        fresh = await put_one(db)
        assert ids(await worker.claim(places=places)) == [fresh]


async def test_a_place_remembers_the_furthest_of_its_lane(db: str) -> None:
    early = await put(db, 1, run_at=ago(20))
    late = await put(db, 1, run_at=ago(10))
    places = Places()
    async with hand(db) as worker:
        claim = await worker.claim()
        places.remember(claim.jobs[1:])
        places.remember(claim.jobs[:1])
        assert ids(claim) == early + late
        await worker.put_back(*claim.jobs)
        assert ids(await worker.claim(places=places)) == []


async def test_rows_dead_in_front_are_not_read_by_a_claim_with_a_place(db: str) -> None:
    await put(db, 2000, run_at=ago(10))
    async with hands(db) as (worker, reader):
        places = Places()
        async with reader.session.transaction():
            await reader.ask("set transaction isolation level repeatable read")
            await reader.ask("select count(*) from pillars.jobs")  # its snapshot keeps dead rows
            for _ in range(10):
                claim = await worker.claim(150, places=places)
                places.remember(claim.jobs)
                await worker.finish(*claim.jobs)
            assert await rows_read(worker, places) < 100
            assert await rows_read(worker, Places()) > 1000


async def rows_read(worker: Hand, places: Places) -> int:
    """How many buffers a claim of one touches, as a measure of the rows it walks over."""
    async with worker.session.transaction():
        await worker.ask(
            "prepare measured (uuid, interval, text[], integer, text[], integer[], text[], integer[],"
            f" timestamptz[], uuid[], bigint) as {CLAIM.text}"
        )
        after = [[str(one) for one in column] for column in places.columns()]
        columns = ", ".join(
            f"'{{{','.join(chr(34) + one + chr(34) for one in column)}}}'" for column in after
        )
        plan = await worker.ask(
            "explain (analyze, buffers, format json) execute measured("
            f"'{worker.worker_id}', '30 s', '{{work}}', 1, null, null, {columns}, 0)"
        )
        await worker.ask("deallocate measured")
    [top] = json.loads(plan)
    return int(top["Plan"]["Shared Hit Blocks"])
