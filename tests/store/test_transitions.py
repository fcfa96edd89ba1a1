"""The table of transitions, tried out on Postgres: each event meets a job in each state, and nothing else happens than it says."""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from pillars import every, job
from pillars.cron.syncing import sync
from pillars.store import jobs, redriving, schedules
from pillars.store.database import Database
from pillars.store.rows import Claimed, Held
from pillars.store.states import STATES
from pillars.worker.attempts import AFTER_DRAIN
from stepping import Hand, define, hand, put_one
from support import ask, asking, move_clock, tell
from transitions import NOTHING, TRANSITIONS

HOUR = timedelta(hours=1)
ONE_TOO_MANY = 2  # crashes before the third, of a job that nobody defines

Make = Callable[[Hand, str], Awaitable[Claimed]]
Happen = Callable[[Hand, str, Claimed], Coroutine[Any, Any, object]]


# A job in each state, and the claim by which it was held: now, or before.


async def running(worker: Hand, db: str) -> Claimed:
    lane = f"lane-{await ask(db, 'select count(*) from pillars.all_jobs')}"
    await put_one(db, queue=lane)
    [claimed] = (await worker.claim(queues={lane: None})).jobs
    return claimed


async def ready(worker: Hand, db: str) -> Claimed:
    held = await running(worker, db)
    await worker.put_back(held, begun=False, last_of=[held.lock_token])
    return held


async def scheduled(worker: Hand, db: str) -> Claimed:
    held = await running(worker, db)
    await worker.put_back(held, outcome="snoozed", wait=HOUR, last_of=[held.lock_token])
    return held


async def waiting(worker: Hand, db: str) -> Claimed:
    return await parked(worker, db, "definition")


async def waiting_for_an_ended_job(worker: Hand, db: str) -> Claimed:
    before = await ended(worker, db, "completed")
    return await parked(worker, db, f"job {before.job_id}")


async def parked(worker: Hand, db: str, waiting_for: str) -> Claimed:
    held = await ready(worker, db)
    park = "update pillars.jobs set parked = true, waiting_for = $2 where job_id = $1"
    await tell(db, park, held.job_id, waiting_for)
    return held


async def paused(worker: Hand, db: str) -> Claimed:
    held = await ready(worker, db)
    await jobs.pause(worker.session, held.job_id, by="a hand")
    return held


async def resting(worker: Hand, db: str) -> Claimed:
    held = await running(worker, db)
    await jobs.pause(worker.session, held.job_id, by="a hand")
    await rest(worker, db, held)
    return held


async def completed(worker: Hand, db: str) -> Claimed:
    return await ended(worker, db, "completed")


async def failed(worker: Hand, db: str) -> Claimed:
    return await ended(worker, db, "failed")


async def cancelled(worker: Hand, db: str) -> Claimed:
    return await ended(worker, db, "cancelled")


async def ended(worker: Hand, db: str, state: str) -> Claimed:
    held = await running(worker, db)
    await worker.finish(held, state=state, last_of=[held.lock_token])
    return held


async def expired(worker: Hand, db: str) -> Claimed:
    held = await ready(worker, db)
    await expire(worker, db, held)
    return held


MAKERS: dict[str, Make] = {
    made.__name__: made
    for made in (scheduled, ready, running, waiting, paused, completed, failed, cancelled, expired)
}


# What can happen to a job.


async def expire(worker: Hand, db: str, held: Claimed) -> None:
    """It should have begun by now; where it is due later, by then."""
    late = "update pillars.jobs set expires_at = greatest(run_at, pillars.now()) where job_id = $1"
    await tell(db, late, held.job_id)
    await worker.ask("select pillars.expire()")


async def rest(worker: Hand, db: str, held: Claimed) -> None:
    asked = "update pillars.jobs set pause_requested_at = pillars.now() where job_id = $1 and locked_by is not null"
    await tell(db, asked, held.job_id)
    await jobs.rest(worker.session, worker.worker_id, [Held(held.lock_token, held.job_id)])


async def die(worker: Hand, db: str, crashes: int) -> None:
    await tell(db, "update pillars.jobs set crashes = $1", crashes)
    await tell(db, "update pillars.locks set expires_at = pillars.now()")
    await worker.ask("select rescued from pillars.rescue()")


async def pause_name(worker: Hand, db: str, _held: Claimed) -> None:
    await define(db)
    await worker.ask("select pillars.pause_name('work')")
    await worker.ask("select pillars.park_paused()")


async def resume_name(worker: Hand, db: str, _held: Claimed) -> None:
    await define(db)
    await worker.ask("select pillars.pause_name('work')")
    await worker.ask("select pillars.resume_name('work')")


async def waiting_for_its_name(worker: Hand, db: str) -> Claimed:
    return await parked(worker, db, "name")


EVENTS: dict[str, Happen] = {
    "its time comes": lambda _worker, db, _held: move_clock(db, 2 * HOUR),
    "retry by hand": lambda worker, _db, held: redriving.retry(worker.session, held.job_id),
    "cancel": lambda worker, _db, held: worker.cancel(held.job_id),
    "claim": lambda worker, _db, _held: worker.claim(),
    "nobody defines its name": lambda worker, _db, _held: worker.ask(
        "select pillars.park_unknown()"
    ),
    "its name is paused": pause_name,
    "its name is resumed": resume_name,
    "its name is defined": lambda _worker, db, _held: define(db),
    "the job before it ends": lambda worker, _db, _held: schedules.free(worker.session),
    "expire": expire,
    "return": lambda worker, _db, held: worker.finish(held),
    "fail, tries left": lambda worker, _db, held: worker.put_back(
        held, outcome="retried", wait=HOUR, given_back=False
    ),
    "fail, no tries left": lambda worker, _db, held: worker.finish(held, state="failed"),
    "snooze": lambda worker, _db, held: worker.put_back(held, outcome="snoozed", wait=HOUR),
    "drain": lambda worker, _db, held: worker.put_back(held, wait=AFTER_DRAIN),
    "release": lambda worker, _db, held: worker.put_back(held),
    "its worker dies": lambda worker, db, _held: die(worker, db, 1),
    "its worker dies once too often": lambda worker, db, _held: die(worker, db, ONE_TOO_MANY),
    "pause": lambda worker, _db, held: jobs.pause(worker.session, held.job_id, by="a hand"),
    "rest as asked": rest,
    "resume": lambda worker, _db, held: jobs.resume(worker.session, held.job_id),
    "resume where it runs": lambda worker, _db, held: jobs.resume(worker.session, held.job_id),
    "end as asked": lambda worker, _db, held: worker.finish(held, state="cancelled"),
}

MEETS_ALL = {"its worker dies", "its worker dies once too often"}
"""Events that meet all jobs at once. What was rescued is scheduled for two seconds only: look soon."""


async def states(db: str) -> dict[object, str]:
    """Each job's state as everybody sees it."""
    async with asking(db) as connection:
        rows = await connection.fetch("select job_id, state from pillars.all_jobs")
    found = {row["job_id"]: row["state"] for row in rows}
    assert len(found) == len(rows), "some job is in two places"
    return found


@pytest.mark.parametrize("event", EVENTS)
async def test_an_event_changes_the_states_that_the_table_says_and_no_other(
    db: str, event: str
) -> None:
    makers = dict(MAKERS)
    if event == "the job before it ends":
        makers["waiting"] = waiting_for_an_ended_job
    if event == "its name is resumed":
        makers["waiting"] = waiting_for_its_name
    if event == "resume where it runs":
        makers["paused"] = resting
    async with hand(db) as worker:
        held = {state: await make(worker, db) for state, make in makers.items()}
        seen = await states(db)
        assert {state: seen[one.job_id] for state, one in held.items()} == {
            state: state for state in held
        }
        for one in list(held.values())[: 1 if event in MEETS_ALL else None]:
            await EVENTS[event](worker, db, one)
    seen = await states(db)
    moved = {state: seen[one.job_id] for state, one in held.items() if seen[one.job_id] != state}
    assert moved == {one.before: one.after for one in TRANSITIONS if one.happens == event}


@job(name="work")
async def work() -> None: ...


async def enqueue_behind_a_running_job(db: str, database: Database) -> None:
    """Two ticks of a schedule whose overlap is "queue", the first one's job still running."""
    await sync(database, [every("1h", work, overlap="queue", name="crons.x")], deployment="shop")
    async with hand(db) as leader:
        for _ in range(2):
            await move_clock(db, HOUR)
            await leader.ask(
                "select outcome from pillars.schedules due cross join lateral"
                " pillars.tick(due.name, due.next_run_at, due.next_run_at, false, 0, due.next_run_at + due.every)"
            )
            await leader.claim()


async def test_a_job_begins_as_the_table_says(db: str, database: Database) -> None:
    begun = {one.happens: one.after for one in TRANSITIONS if one.before == NOTHING}
    found = {
        "enqueue": await (await work.enqueue()).state(),
        "enqueue for later": await (await work.configure(run_in="1h").enqueue()).state(),
    }
    await tell(db, "delete from pillars.jobs")
    await enqueue_behind_a_running_job(db, database)
    by_state = await ask(
        db, "select array_agg(state order by created_at desc) from pillars.all_jobs"
    )
    assert by_state == ["waiting", "running"]
    found["tick behind a running job"] = by_state[0]
    assert found == begun


def test_the_table_tells_each_event_once_a_state_and_every_event_is_tried() -> None:
    assert len({(one.before, one.happens) for one in TRANSITIONS}) == len(TRANSITIONS)
    assert {one.happens for one in TRANSITIONS if one.before != NOTHING} == set(EVENTS)
    assert set(MAKERS) == set(STATES)
