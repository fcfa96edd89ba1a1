"""Paused names: no claim takes their jobs, a sweep parks them, a resume brings them back; and whatever else happens to a job meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from gates import at_gate, gated_clock
from pillars import job
from pillars.errors import UnknownJob
from pillars.store import jobs, names, redriving, schedules
from pillars.store.claiming import Claim
from pillars.store.database import Database
from stepping import Hand, define, final, hand, hands, heard_by, put, put_one, row
from support import ask, move_clock, running, tell, until, worker_for

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
OTHERS = ("work", "other")


@job(name="names.note", queue="mail")
async def note() -> None: ...


@job(name="names.aside", queue="mail")
async def aside() -> None: ...


@pytest.fixture(autouse=True)
async def _defined(db: str) -> None:
    for name in OTHERS:
        await define(db, name)


async def pause(user: Hand, name: str = "work", by: str = "ada") -> str:
    return str(await user.ask("select pillars.pause_name($1, $2)", name, by))


async def resume(user: Hand, name: str = "work") -> str:
    return str(await user.ask("select pillars.resume_name($1)", name))


async def claim(worker: Hand, *, lanes: bool) -> Claim:
    return await (worker.claim_in_lanes if lanes else worker.claim)(names=OTHERS)


async def taken(worker: Hand, *, lanes: bool = False) -> set[UUID]:
    return {one.job_id for one in (await claim(worker, lanes=lanes)).jobs}


async def state_of(db: str, job_id: UUID) -> str:
    return str(await ask(db, "select state from pillars.all_jobs where job_id = $1", job_id))


async def parked(db: str, **columns: object) -> UUID:
    """A due job of a paused name, as a sweep leaves it."""
    job_id = await put_one(db, **columns)
    async with hand(db) as user:
        await pause(user)
        await user.sweep()
    assert await state_of(db, job_id) == "waiting"
    return job_id


# Claims


@pytest.mark.parametrize("lanes", [False, True])
async def test_a_paused_name_gives_nothing_in_any_queue_until_it_is_resumed(
    db: str, *, lanes: bool
) -> None:
    paused = {await put_one(db, queue=queue) for queue in ("default", "mail")}
    free = await put_one(db, name="other")
    async with hands(db) as (worker, user):
        assert await pause(user) == "paused"
        assert await taken(worker, lanes=lanes) == {free}
        late = await put_one(db)
        assert await taken(worker, lanes=lanes) == set()
        assert await resume(user) == "resumed"
        assert await taken(worker, lanes=lanes) == {*paused, late}


@pytest.mark.parametrize("lanes", [False, True])
async def test_a_claim_that_began_before_a_pause_may_win_and_none_after_it_does(
    db: str, *, lanes: bool
) -> None:
    await put(db, 2)
    async with hands(db) as (worker, user):
        take = worker.claim_in_lanes if lanes else worker.claim
        async with gated_clock(db, user):
            begun = asyncio.create_task(take(1))
            await at_gate(db)
            assert await pause(user) == "paused"
        assert len((await begun).jobs) == 1
        assert await taken(worker, lanes=lanes) == set()


@pytest.mark.parametrize("lanes", [False, True])
async def test_a_pause_holds_from_its_commit_on(db: str, *, lanes: bool) -> None:
    await put(db, 2)
    async with hands(db) as (worker, user):
        async with user.session.transaction():
            await pause(user)
            assert len((await worker.claim(1, names=OTHERS)).jobs) == 1
        assert await taken(worker, lanes=lanes) == set()


async def test_of_many_claims_none_that_began_after_the_commit_takes_a_job(db: str) -> None:
    await put(db, 400)
    committed = asyncio.Event()
    async with hands(db) as (worker, other), hand(db) as user:

        async def take(one: Hand) -> None:
            while True:
                late = committed.is_set()
                got = (await one.claim(1)).jobs
                assert not (late and got)
                if late:
                    return

        async def say() -> None:
            before = "select count(*) > 20 from pillars.jobs where locked_by is not null"
            await until(lambda: ask(db, before), every=0)
            await pause(user)
            committed.set()

        await asyncio.gather(take(worker), take(other), say())
    assert await ask(db, "select count(*) from pillars.jobs where locked_by is null") > 0


async def test_what_runs_goes_on_and_what_comes_back_waits(db: str) -> None:
    await put(db, 2)
    async with hands(db) as (worker, user):
        one, two = await worker.take()
        await pause(user)
        assert await worker.finish(one) == ["done"]
        assert await worker.put_back(two, last_of=[two.lock_token]) == ["done"]
        assert await worker.take() == []
        await user.sweep()
        assert await state_of(db, two.job_id) == "waiting"
        await resume(user)
        assert [again.job_id for again in await worker.take()] == [two.job_id]


# What is said of a name


async def test_a_pause_keeps_its_first_time_and_person_and_ends_with_both(
    db: str, database: Database
) -> None:
    async with hand(db) as user:
        assert await pause(user) == "paused"
        first = await names.find(database.pool, "work")
        await move_clock(db, HOUR)
        assert await pause(user, by="bob") == "paused"
        assert await names.find(database.pool, "work") == first
        assert (first.paused_at is None, first.paused_by) == (False, "ada")
        assert [await resume(user), await resume(user)] == ["resumed", "unpaused"]
        after = await names.find(database.pool, "work")
        assert (after.paused_at, after.paused_by) == (None, None)


async def test_a_deploy_keeps_a_persons_pause(db: str) -> None:
    job_id = await parked(db)
    async with hand(db) as worker:
        await define(db, max_attempts=9, queue="mail")
        said = "select paused_by from pillars.definitions where name = 'work' and paused_at is not null and max_attempts = 9"
        assert await ask(db, said) == "ada"
        assert await state_of(db, job_id) == "waiting"
        assert await taken(worker) == set()


async def test_a_name_that_no_process_has_defined_is_refused_with_the_nearest(
    db: str, database: Database
) -> None:
    await put(db, name="wrok")
    async with hand(db) as user:
        assert [await pause(user, "wrok"), await resume(user, "wrok")] == ["unknown", "unknown"]
    refused = pytest.raises(UnknownJob, match=r'no job named "wrok"; did you mean "work"\?')
    with refused:
        await names.pause(database.pool, "wrok", by="ada")
    with refused:
        await names.resume(database.pool, "wrok")
    with refused:
        await names.find(database.pool, "wrok")
    assert not any((await names.paused(database.pool)).values())


async def test_names_are_listed_with_their_jobs_of_all_queues(db: str, database: Database) -> None:
    for queue in ("default", "mail"):
        await put_one(db, queue=queue)
    await put_one(db, run_at=datetime.now(UTC) + HOUR)
    await put_one(db, name="stranger")
    await put_one(db, name="other")
    async with hand(db) as user:
        [_] = (await user.claim(names=["other"])).jobs
        await put_one(db, name="other")
        await pause(user, "other")
        await user.sweep()
    listed = {one.name: one for one in await names.listed(database.pool)}
    assert list(listed) == ["other", "work"]
    counted = {
        name: (one.ready, one.running, one.scheduled, one.parked) for name, one in listed.items()
    }
    assert counted == {"other": (0, 1, 0, 1), "work": (2, 0, 1, 0)}
    for name, one in listed.items():
        assert await names.find(database.pool, name) == one
    assert await names.paused(database.pool) == {"other": True, "work": False}


async def test_it_is_paused_and_resumed_in_python_and_a_resume_wakes_its_workers(
    db: str, database: Database
) -> None:
    async with running(worker_for(database, note, aside, poll="1h")):
        await note.pause(by="ada")
        handle = await note.enqueue()
        await (await aside.enqueue()).result(timeout="30s")  # it has looked for work since
        assert await handle.state() == "ready"
        assert (await names.find(database.pool, note.name)).paused_by == "ada"
        await note.resume()
        # Its poll is an hour away: only the notification brings it here.
        await handle.result(timeout="30s")


async def test_in_python_a_name_that_was_never_defined_is_refused(
    db: str, database: Database
) -> None:
    with pytest.raises(UnknownJob, match=r'no job named "names\.note"'):
        await note.pause()


# Parked by a sweep, brought back by a resume


async def test_a_sweep_parks_what_is_due_of_a_paused_name_and_counts_it_as_nothing_wrong(
    db: str,
) -> None:
    due = await put_one(db)
    later = await put_one(db, run_at=datetime.now(UTC) + HOUR)
    free = await put_one(db, name="other")
    async with hand(db) as worker:
        await pause(worker)
        assert (await worker.sweep()).parked == 0
        seen = [await state_of(db, one) for one in (due, later, free)]
        assert seen == ["waiting", "scheduled", "ready"]
        assert (await row(db, due))["waiting_for"] == "name"
        await move_clock(db, 2 * HOUR)
        await worker.sweep()
        assert await state_of(db, later) == "waiting"


async def test_one_sweep_clears_a_long_front_of_a_paused_name_also_where_others_stand_in_it(
    db: str,
) -> None:
    for _ in range(5):
        await put(db, 900)
        await put(db, 50, name="other")
    async with hand(db) as worker:
        await pause(worker)
        await worker.sweep()
    assert await ask(db, "select count(*) from pillars.jobs where not parked") == 250


async def test_a_resume_brings_back_what_is_parked_and_wakes_its_queues(db: str) -> None:
    parked_id = await parked(db, queue="mail")
    async with hands(db) as (listener, user):
        unparked = await put_one(db, queue="post")
        heard = await heard_by(listener)
        assert await resume(user) == "resumed"
        assert await taken(listener) == {parked_id, unparked}
        assert sorted(heard) == ["mail", "post"]
        assert (await row(db, parked_id))["waiting_for"] is None


async def test_what_an_open_transaction_holds_is_left_to_the_next_sweep(db: str) -> None:
    held = await put_one(db)
    free = await parked(db)
    async with hands(db) as (user, worker):
        heard = await heard_by(worker)
        async with user.session.transaction():
            await user.ask("select 1 from pillars.jobs where job_id = $1 for update", held)
            await resume(worker)
            assert [await state_of(db, one) for one in (held, free)] == ["waiting", "ready"]
            await worker.sweep()
            assert await state_of(db, held) == "waiting"
        await worker.sweep()
        assert await taken(worker) == {held, free}
        assert heard == ["default", "default"]


async def test_a_sweep_waits_for_no_job_of_a_paused_name_that_is_held(db: str) -> None:
    held, free = await put(db, 2)
    async with hands(db) as (user, worker):
        await pause(user)
        async with user.session.transaction():
            await user.ask("select 1 from pillars.jobs where job_id = $1 for update", held)
            await worker.sweep()
            assert [await state_of(db, one) for one in (held, free)] == ["ready", "waiting"]


async def test_a_sweep_brings_back_what_was_parked_while_its_name_was_resumed(db: str) -> None:
    job_id = await put_one(db, queue="mail", parked=True, waiting_for="name")
    other = await put_one(db, name="other", parked=True, waiting_for="name")
    async with hands(db) as (worker, user):
        heard = await heard_by(worker)
        await pause(user, "other")
        await user.sweep()
        assert [await state_of(db, one) for one in (job_id, other)] == ["ready", "waiting"]
        assert await taken(worker) == {job_id}
        assert heard == ["mail"], "what stays paused wakes nobody"


# What else happens to such a job


async def test_a_resumed_name_leaves_a_job_paused_that_was_paused_by_itself(db: str) -> None:
    job_id = await parked(db)
    async with hands(db) as (worker, user):
        assert await jobs.pause(user.session, job_id, by="bob") == "paused"
        await resume(user)
        assert await state_of(db, job_id) == "paused"
        assert await taken(worker) == set()
        assert await jobs.resume(user.session, job_id) == "resumed"
        assert await taken(worker) == {job_id}


async def test_a_resumed_job_waits_on_for_its_name(db: str) -> None:
    job_id = await parked(db)
    async with hands(db) as (worker, user):
        await jobs.pause(user.session, job_id, by="bob")
        assert await jobs.resume(user.session, job_id) == "resumed"
        assert await state_of(db, job_id) == "waiting"
        assert await taken(worker) == set()
        await resume(user)
        assert await taken(worker) == {job_id}


async def test_one_that_waits_for_its_name_can_be_cancelled_and_run_again(db: str) -> None:
    job_id = await parked(db)
    async with hand(db) as user:
        assert await user.cancel(job_id) == "cancelled"
        assert (await final(db, job_id))["state"] == "cancelled"
        assert (await redriving.retry(user.session, job_id)).refused is None
        assert await state_of(db, job_id) == "ready"
        assert await taken(user) == set()
        await user.sweep()
        assert await state_of(db, job_id) == "waiting"
        await resume(user)
        assert await taken(user) == {job_id}


async def test_a_retry_by_hand_gets_no_job_past_the_pause_of_its_name(db: str) -> None:
    due = await parked(db)
    later = await put_one(db, run_at=datetime.now(UTC) + HOUR)
    async with hand(db) as user:
        refused = (await redriving.retry(user.session, due)).refused
        assert refused == "a waiting job cannot be retried"
        assert not await redriving.hasten(user.session, due)
        assert await redriving.retry_many(user.session, [due, later]) == 1
        assert await state_of(db, later) == "ready"
        assert await taken(user) == set()


async def test_one_that_waits_for_its_name_expires_all_the_same(db: str) -> None:
    job_id = await parked(db, expires_at=datetime.now(UTC) + HOUR)
    async with hand(db) as worker:
        await move_clock(db, 2 * HOUR)
        assert (await worker.sweep()).expired == 1
    assert (await final(db, job_id))["state"] == "expired"


async def test_what_nobody_defined_waits_for_its_name_once_it_is_defined_and_paused(
    db: str,
) -> None:
    job_id = await put_one(db, name="late")
    async with hand(db) as worker:
        await worker.sweep()
        assert (await row(db, job_id))["waiting_for"] == "definition"
        await define(db, "late")
        await pause(worker, "late")
        assert (await worker.claim(names=["late"])).jobs == []
        await worker.sweep()
        assert (await row(db, job_id))["waiting_for"] == "name"
        assert (await row(db, job_id))["last_error"] is None


async def test_a_schedule_takes_what_waits_for_its_name_for_unfinished(db: str) -> None:
    job_id = await parked(db)
    await schedule(db, job_id, overlap="skip")
    assert await tick(db) == ("overlapped", job_id)


async def test_a_queued_tick_waits_for_the_job_before_it_and_then_for_its_name(db: str) -> None:
    before = await put_one(db)
    async with hands(db) as (worker, user):
        [held] = await worker.take()
        await schedule(db, before, overlap="queue")
        outcome, after = await tick(db)
        assert outcome == "enqueued"
        await pause(user)
        await resume(user)
        assert (await row(db, after))["waiting_for"] == f"job {before}", "a resume frees its own"
        await pause(user)
        await worker.finish(held)
        await schedules.free(user.session)
        assert await taken(user) == set()
        await user.sweep()
        assert (await row(db, after))["waiting_for"] == "name"
        await resume(user)
        assert await taken(user) == {after}


async def schedule(db: str, last: UUID, *, overlap: str) -> None:
    await tell(
        db,
        """insert into pillars.schedules (name, job, queue, max_attempts, every, deployment, overlap, last_job_id, next_run_at)
           values ('hourly', 'work', 'default', 4, '1 hour', 'tests', $1, $2, '2026-01-01 00:00+00')""",
        overlap,
        last,
    )


async def tick(db: str) -> tuple[str, UUID]:
    """Decide the next tick."""
    async with hand(db) as leader:
        due = "'2026-01-01 00:00+00'::timestamptz"
        said = await leader.session.connection.fetchrow(
            f"select * from pillars.tick('hourly', {due}, {due}, false, 0, {due} + interval '1 h')"
        )
    assert said is not None
    return said["outcome"], said["job_id"]
