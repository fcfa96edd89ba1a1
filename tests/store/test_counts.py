"""What sweeps count for all who look, where a count takes long."""

from datetime import timedelta

import pytest

from pillars.store import listing, queues, redriving, schedules, stats
from pillars.store.database import Database
from pillars.store.listing import Wanted
from pillars.store.rows import Stats
from stepping import define, hand, hands, rows_read
from support import ask, move_clock, tell

FILL = """
insert into pillars.jobs (job_id, name, queue, context)
select pillars.uuid7(), 'work', 'default', (select string_agg(md5(random()::text), '') from generate_series(1, 60) where number > 0)
from generate_series(1, $1::int) number
"""
FINISH = """
insert into pillars.finished_jobs (job_id, name, queue, priority, state, attempt, crashes, created_at)
select pillars.uuid7(), 'work', 'default', 0, $2, 1, 0, pillars.now() from generate_series(1, $1::int)
"""


async def fill_beyond_a_glance(db: str) -> None:
    """More unfinished jobs than are counted for whoever looks."""
    await tell(db, "alter table pillars.jobs alter column context set storage plain")
    await tell(db, FILL, 9_000)
    assert await ask(db, "select pg_relation_size('pillars.jobs')") > 16 * 2**20


async def test_many_unfinished_jobs_are_counted_by_a_sweep_and_read_from_there(
    db: str, database: Database
) -> None:
    await define(db)
    await fill_beyond_a_glance(db)
    assert (await stats.stats(database.pool)).ready == 9_000, "nobody has counted yet"
    async with hand(db) as worker:
        assert await stats.count_large(worker.session) == ["jobs"]
        assert await stats.count_large(worker.session) == [], "not due again"
        await worker.claim(10)
    looked = await stats.stats(database.pool)
    assert (looked.ready, looked.running) == (9_000, 0)
    [queue] = await queues.listed(database.pool)
    assert (queue.ready, queue.running, queue.scheduled, queue.parked) == (9_000, 0, 0, 0)
    assert queue.oldest_ready_seconds > 0
    await move_clock(db, timedelta(minutes=3))  # no sweep since: the workers are gone
    looked = await stats.stats(database.pool)
    assert (looked.ready, looked.running) == (8_990, 10)


async def test_running_jobs_among_many_are_found_by_their_locks_alone(db: str) -> None:
    await define(db)
    await fill_beyond_a_glance(db)
    async with hand(db) as worker:
        claim = await worker.claim(3)
        async with worker.session.transaction():
            page = await listing.glances(worker.session, Wanted(state="running"))
            assert await rows_read(worker.session) < 100
    assert {job.job_id for job in page.jobs} == {job.job_id for job in claim.jobs}


async def test_few_unfinished_jobs_are_counted_as_they_are(db: str, database: Database) -> None:
    await tell(db, FILL, 10)
    async with hand(db) as worker:
        assert await stats.count_large(worker.session) == []
    await tell(
        db,
        """insert into pillars.counts (part, figures, took) values ('jobs', '[{"queue": "q", "state": "ready", "jobs": 7}]', '1 s')""",
    )
    assert (await stats.stats(database.pool)).ready == 10


async def test_a_day_that_is_over_is_counted_once(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(db, FINISH, 30, "completed")
    await tell(db, FINISH, 20, "failed")
    await tell(db, FINISH, 10, "cancelled")
    before = await stats.stats(database.pool)
    async with hand(db) as worker:
        assert await stats.count_large(worker.session) == [], "the day is not over"
        await move_clock(db, timedelta(days=1, hours=1))
        await worker.ask("select pillars.make_days()")
        counted = [
            *await stats.count_large(worker.session),
            *await stats.count_large(worker.session),
        ]
        assert sorted(name[:-9] for name in counted) == ["finished_completed", "finished_ended"]
        assert await stats.count_large(worker.session) == []
    monkeypatch.setattr(stats, "COUNTED", 1)  # what is looked at now would be wrong
    assert of_history(await stats.stats(database.pool)) == of_history(before) == (30, 20, 10, 0)


async def test_a_counted_day_from_which_a_job_is_run_again_is_counted_anew(
    db: str, database: Database
) -> None:
    await tell(db, FINISH, 3, "failed")
    await move_clock(db, timedelta(days=1, hours=1))
    ids = await ask(db, "select array_agg(job_id) from pillars.finished_jobs")
    async with hand(db) as worker:
        await worker.ask("select pillars.make_days()")
        await stats.count_large(worker.session)
        await stats.count_large(worker.session)
        await redriving.retry_many(database.pool, ids[:2])
        looked = await stats.stats(database.pool)
        assert (looked.failed, looked.ready) == (1, 2)
        [again] = await stats.count_large(worker.session)
        assert again.startswith("finished_ended_")
        await redriving.retry(database.pool, ids[2])
    assert (await stats.stats(database.pool)).failed == 0


async def test_who_leads_keeps_nobody_from_counting_nor_the_other_way_round(db: str) -> None:
    await fill_beyond_a_glance(db)
    async with hands(db) as (leader, worker):
        assert (await leader.session.rows(schedules.LEAD))[0].yes
        async with worker.session.transaction():
            assert await stats.count_large(worker.session) == ["jobs"]
            await leader.session.rows(schedules.RESIGN)
            assert (await leader.session.rows(schedules.LEAD))[0].yes


async def test_the_count_of_a_day_goes_with_the_day(db: str) -> None:
    await tell(
        db,
        "insert into pillars.counts (part, figures, took) values ('finished_ended_20200101', '{}', '0')",
    )
    async with hand(db) as worker:
        await stats.count_large(worker.session)
    assert await ask(db, "select count(*) from pillars.counts") == 0


async def test_one_counts_and_the_others_do_not_wait(db: str) -> None:
    await fill_beyond_a_glance(db)
    async with hands(db) as (one, other), one.session.transaction():
        assert await stats.count_large(one.session) == ["jobs"]
        assert await stats.count_large(other.session) == []


def of_history(looked: Stats) -> tuple[int, int, int, int]:
    return looked.completed, looked.failed, looked.cancelled, looked.expired
