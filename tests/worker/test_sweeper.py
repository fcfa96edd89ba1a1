"""The sweeper's turn, and what a worker sees to before its first claim."""

from datetime import timedelta

import pytest

from pillars import Context, job
from pillars.store.database import Database
from pillars.worker.claiming import Claimer
from pillars.worker.pillar import Worker
from pillars.worker.sweeping import COUNT_EVERY, Sweeper
from stepping import EXPIRED, define, hand, put
from support import ask, asking, move_clock, running, tell, until, worker_for

CUT_OFF = """select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()"""


@job(name="work")
async def work() -> None:
    pass


@pytest.mark.parametrize("fails", [False, True])
async def test_a_sweep_counts_what_is_large_and_is_none_the_worse_where_that_fails(
    db: str, database: Database, *, fails: bool
) -> None:
    await define(db)
    large = "insert into pillars.jobs (job_id, name, queue, payload) select pillars.uuid7(), 'other', 'q', jsonb_build_object('a', repeat('x', 1500)) from generate_series(1, 12000)"
    await tell(db, large)
    await move_clock(db, timedelta(days=1, hours=1))
    if fails:
        await tell(db, "alter table pillars.counts rename to away")
    sweeper = Sweeper(worker_for(database, work, lock="10s").process)
    assert await sweeper.sweep_once() is None
    sweeper._connected_at -= 6
    for _ in range(COUNT_EVERY):
        assert await sweeper.sweep_once() is not None
    await sweeper._forget_session()
    if not fails:
        counted = await ask(
            db, "select array_agg(left(part, 8) order by part desc) from pillars.counts"
        )
        assert counted == ["jobs", "finished"], "the long queue does not keep the days from it"


async def test_only_a_connection_that_has_stood_for_half_a_lock_sweeps(
    db: str, database: Database
) -> None:
    """So that after an outage, which cuts all connections, the living beat first."""
    await define(db)
    await put(db)
    sweeper = Sweeper(worker_for(database, work, lock="10s").process)
    async with hand(db) as dead:
        await dead.take()
    await move_clock(db, EXPIRED)
    assert await sweeper.sweep_once() is None
    sweeper._connected_at -= 4.9
    assert await sweeper.sweep_once() is None
    sweeper._connected_at -= 0.2
    swept = await sweeper.sweep_once()
    assert swept is not None
    assert swept.rescued == 1
    assert sweeper._session is not None
    await tell(db, CUT_OFF)
    await until(lambda: sweeper._session is None or sweeper._session.closed)
    assert await sweeper.sweep_once() is None, "a new connection has to stand first"
    await sweeper._forget_session()


async def test_a_worker_makes_the_days_of_history_before_its_first_claim(
    db: str, database: Database
) -> None:
    await move_clock(db, timedelta(days=9))
    async with running(worker_for(database, work)):
        days = "select count(*) from pg_class where relname = 'finished_completed_' || to_char({}, 'YYYYMMDD')"
        assert await ask(db, days.format("pillars.now() at time zone 'UTC'")) == 1
        assert (
            await ask(db, days.format("pillars.now() at time zone 'UTC' + interval '3 days'")) == 1
        )


@pytest.mark.parametrize("cut", ["", " and query ilike 'listen%'"])
async def test_a_worker_that_was_cut_off_for_days_makes_them_before_it_claims(
    db: str, database: Database, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a lock of an hour no sweep comes in between. A pool renews its connections unnoticed; the listener notices."""

    @job(name="inside")
    async def inside(ctx: Context) -> None:
        async with ctx.connection() as connection:
            await ctx.complete(None, connection=connection)

    heard: list[bool] = []
    asleep: list[float] = []
    hear, sleep = Worker._heard, Claimer._sleep

    def hearing(worker: Worker, up: bool, why: str) -> None:  # noqa: FBT001
        heard.append(up)
        hear(worker, up, why)

    async def sleeping(claimer: Claimer, seconds: float) -> bool:
        asleep.append(seconds)
        try:
            return await sleep(claimer, seconds)
        finally:
            asleep.pop()

    monkeypatch.setattr(Worker, "_heard", hearing)
    monkeypatch.setattr(Claimer, "_sleep", sleeping)
    async with running(worker_for(database, inside, lock="1h", poll="50s")) as worker:
        await until(lambda: heard == [True] and bool(asleep) and not worker.claimer._woken.is_set())
        async with asking(db) as other:
            await other.execute("update pillars_test.clock set shift = shift + interval '5 days'")
            assert await other.fetch(CUT_OFF + cut)
        await until(lambda: False in heard)
        handle = await inside.enqueue()
        await handle.result(timeout="20s")
    assert await ask(db, "select count(*) from pillars.attempts") == 0, "it was not refused once"


async def test_a_worker_whose_claims_failed_makes_the_days_that_came_meanwhile(
    db: str, database: Database
) -> None:
    """Also where it hears no notification: behind a pooler, say."""
    worker = worker_for(database, work)
    await move_clock(db, timedelta(days=5))
    worker.claimer.recover()
    await worker.claimer.claim_once()
    day = "select to_regclass('pillars.attempts_' || to_char({}, 'YYYYMMDD')) is not null"
    assert await ask(db, day.format("pillars.now() at time zone 'UTC'"))


async def test_a_frozen_process_that_was_forgotten_has_a_row_again_once_it_thaws(
    db: str, database: Database
) -> None:
    async with running(worker_for(database, work)) as worker, hand(db) as other:
        async with other.session.transaction():  # in which no heartbeat can come between
            await other.ask("update pillars.workers set seen_at = seen_at - interval '2 hours'")
            await other.sweep()
            assert await other.ask("select count(*) from pillars.workers") == 0
        mine = "select count(*) from pillars.workers where worker_id = $1 and state = 'running'"
        await until(lambda: ask(db, mine, worker.process.worker_id))


async def test_a_reader_of_the_history_keeps_no_worker_from_starting(
    db: str, database: Database
) -> None:
    """As a long report, or an analyze: the days ahead are there already, and a sweep makes the rest."""
    await move_clock(db, timedelta(days=1))
    async with hand(db) as reader, reader.session.transaction():
        await reader.ask("lock table pillars.finished_completed in share update exclusive mode")
        async with running(worker_for(database, work)) as worker:
            assert worker.process.ready
