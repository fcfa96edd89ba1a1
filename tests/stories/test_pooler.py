"""An application behind a PgBouncer in transaction mode: everything works, with and without a second URL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import anyio
import pytest
from pooling import Pooler, pooler

from pillars import Context, JobCancelled, Retry, Snooze, connection, enqueue_many, every, job
from pillars.cron.leader import Leader
from pillars.cron.syncing import sync
from pillars.errors import DatabaseTrouble
from pillars.jobs.connected import using
from pillars.service.health import health
from pillars.service.presence import appear
from pillars.service.process import Process
from pillars.store.database import Database
from pillars.worker.sweeping import Sweeper
from stepping import EXPIRED, define, hand, put
from support import ask, asking, move_clock, running, settings_for, tell, until, worker_for

pytestmark = pytest.mark.needs("pgbouncer")

JOBS = 200


@job(name="number")
async def number(value: int) -> int:
    return value


@job(name="threaded")
def threaded(value: int) -> int:
    return value


@job(name="noted")
async def noted(ctx: Context, value: int) -> int:
    async with ctx.connection() as mine:
        await mine.execute("insert into notes values ($1)", value)
        await ctx.complete(value, connection=mine)
    return value


@job(name="fickle", backoff="0s")
async def fickle(ctx: Context, value: int) -> int:
    if ctx.attempt == 1:
        raise Retry(after="0s")
    return value


@job(name="drowsy")
async def drowsy(value: int, naps: str) -> int:
    if len(seen := _naps.setdefault(naps, set())) < JOBS and value not in seen:
        seen.add(value)
        raise Snooze("1ms")
    return value


@job(name="endless")
async def endless() -> None:
    await anyio.sleep_forever()


_naps: dict[str, set[int]] = {}
KINDS = (number, threaded, noted, fickle, drowsy)


@dataclass
class Behind:
    """A database behind a pooler, opened as an application's."""

    db: str
    pooler: Pooler
    database: Database


@asynccontextmanager
async def behind(db: str, *, direct: bool, **settings: object) -> AsyncIterator[Behind]:
    async with (
        pooler(db, **settings) as before,
        using(Database(before.url, direct_url=db if direct else None)) as database,
    ):
        yield Behind(db, before, database)


@pytest.mark.parametrize("direct", ["", "and a direct URL"])
async def test_jobs_of_every_kind_run_exactly_once(db: str, direct: str) -> None:
    await tell(db, "create table notes (value int primary key)")
    async with behind(db, direct=bool(direct), default_pool_size=3) as app:
        each = range(JOBS // len(KINDS))
        async with running(worker_for(app.database, *KINDS)):
            handles = [
                *await enqueue_many(number.call(value) for value in each),
                *await enqueue_many(threaded.call(value) for value in each),
                *await enqueue_many(noted.call(value) for value in each),
                *await enqueue_many(fickle.call(value) for value in each),
                *await enqueue_many(drowsy.call(value, db) for value in each),
            ]
            results = [await handle.result(timeout="20s") for handle in handles]
        assert results == [*each] * len(KINDS)
    assert await ask(db, "select count(*) from pillars.finished_completed") == JOBS
    assert await ask(db, "select count(*) from pillars.finished_jobs where crashes > 0") == 0
    assert await ask(db, "select count(*) from notes") == len(each)
    assert await ask(db, LEFT) == 0


LEFT = "select (select count(*) from pillars.jobs) + (select count(*) from pillars.locks)"


async def test_without_a_direct_url_it_polls_and_says_so_once(
    db: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with behind(db, direct=False) as app:
        worker = worker_for(app.database, number)
        async with running(worker):
            await until(lambda: worker.listener._told_up is False)
            await (await number.enqueue(1)).result(timeout="20s")
            await appear(worker.process, state="running")
            _, said = await health(worker.process, "")
            assert said["checks"]["workers"] == {"status": "polling", "count": 1}
            assert worker.claimer._poll <= 1.0
        async with connection() as one, connection() as other:  # all the servers there are
            for server in (one, other):
                assert await server.fetch("select pg_listening_channels()") == []
    logged = "".join(capsys.readouterr())
    assert logged.count("listener.lost") == 1
    assert "LISTEN cannot work through a transaction pooler; set DATABASE_DIRECT_URL" in logged


async def test_with_a_direct_url_a_worker_that_hardly_polls_is_woken(db: str) -> None:
    async with behind(db, direct=True) as app:
        worker = worker_for(app.database, number, poll="90s", poll_max="90s")
        async with running(worker):
            await until(lambda: worker.listener.proved)
            assert await (await number.enqueue(1)).result(timeout="20s") == 1
        assert app.database.address.pooled
        assert not app.database.direct.pooled


async def test_a_session_pooler_is_listened_through(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pillars.store.listener.LOOK_AGAIN", 0.05)  # it may have stalled
    async with behind(db, direct=False, pool_mode="session", default_pool_size=20) as app:
        worker = worker_for(app.database, number, poll="90s", poll_max="90s")
        async with running(worker):
            await until(lambda: worker.listener.proved)
            assert await (await number.enqueue(1)).result(timeout="20s") == 1


async def test_a_direct_url_to_another_database_is_told_and_polled_around(
    db: str, empty_db: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        pooler(db) as before,
        using(Database(before.url, direct_url=empty_db)) as database,
        running(worker_for(database, number)) as worker,
    ):
        await until(lambda: worker.listener._told_up is False)
        assert await (await number.enqueue(1)).result(timeout="20s") == 1
        assert not worker.process.listening
    logged = "".join(capsys.readouterr())
    assert "is DATABASE_DIRECT_URL a server of the same database?" in logged


async def test_a_running_job_is_cancelled_by_the_heartbeats_reply(db: str) -> None:
    async with (
        behind(db, direct=False) as app,
        running(worker_for(app.database, endless, lock="2s")) as worker,
    ):
        handle = await endless.enqueue()
        await until(lambda: bool(worker.running()))
        await handle.cancel()
        with pytest.raises(JobCancelled):
            await handle.result(timeout="20s")


async def test_unique_keys_and_bulk_enqueues_hold(db: str) -> None:
    async with behind(db, direct=False, default_pool_size=4) as app:
        one = number.configure(unique_key="one")
        first: set[object] = set()

        async def enqueue() -> None:
            first.add((await one.enqueue(1)).job_id)

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(enqueue)
        assert len(first) == 1
        copied = await enqueue_many(number.call(value) for value in range(1500))
        assert len({handle.job_id for handle in copied}) == 1500
        assert await ask(db, "select count(*) from pillars.jobs") == 1501
        assert not app.database.wakeups._queues


async def test_a_rolled_back_transaction_leaves_no_job(db: str) -> None:
    async with behind(db, direct=False, default_pool_size=1):
        with pytest.raises(ZeroDivisionError):
            await enqueue_and_fail()
        assert await ask(db, "select count(*) from pillars.jobs") == 0


async def enqueue_and_fail() -> None:
    async with connection() as mine:
        await number.configure(connection=mine).enqueue(1)
        raise ZeroDivisionError


async def test_an_enqueue_whose_answer_the_pooler_loses_is_repeated_and_stored_once(
    db: str,
) -> None:
    await tell(db, GATED)
    async with behind(db, direct=False, query_timeout=1) as app, asking(db) as gate:
        await gate.execute("select pg_advisory_lock(42)")
        async with anyio.create_task_group() as group:
            group.start_soon(number.enqueue, 1)
            await until(lambda: "query timeout" in app.pooler.log)
            await gate.execute("select pg_advisory_unlock(42)")
    assert await ask(db, "select count(*) from pillars.jobs") == 1


GATED = """
create function wait() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(42); return null; end $$;
create trigger waits after insert on pillars.jobs for each row execute function wait();
"""


@pytest.mark.parametrize("direct", ["", "and a direct URL"])
async def test_all_goes_on_when_the_pooler_is_killed_and_started_again(
    db: str, direct: str
) -> None:
    async with behind(db, direct=bool(direct)) as app:
        worker = worker_for(app.database, number, lock="5s")
        async with running(worker):
            assert await (await number.enqueue(1)).result(timeout="20s") == 1
            app.pooler.kill()
            with pytest.raises(DatabaseTrouble):
                await number.enqueue(2)
            await app.pooler.start()
            assert await (await number.enqueue(3)).result(timeout="20s") == 3


async def test_servers_that_the_pooler_replaces_are_not_missed(db: str) -> None:
    async with (
        behind(db, direct=False, server_lifetime=0) as app,
        running(worker_for(app.database, number)),
    ):
        handles = await enqueue_many(number.call(value) for value in range(50))
        assert [await one.result(timeout="20s") for one in handles] == [*range(50)]


async def test_a_sweep_that_waited_in_the_pooler_through_an_outage_takes_nothing(db: str) -> None:
    """Or it would come before the beats of the living, whose locks have expired meanwhile."""
    await define(db)
    await put(db)
    async with behind(db, direct=False) as app:
        sweeper = Sweeper(worker_for(app.database, number, lock="10s").process)
        assert await sweeper.sweep_once() is None
        async with hand(db) as living:
            await living.take()
            await move_clock(db, EXPIRED)
            sweeper._connected_at -= 10
            app.pooler.pause()
            async with anyio.create_task_group() as group:
                group.start_soon(sweep, sweeper)
                with anyio.move_on_after(3):
                    await until(lambda: sweeper._session is None)
                app.pooler.resume()
        assert await sweeper.sweep_once() is None, "a new connection has to stand first"
        await sweeper._forget_session()
    assert await ask(db, "select count(*) from pillars.jobs where locked_by is null") == 0


async def sweep(sweeper: Sweeper) -> None:
    """One turn of its loop."""
    try:
        await sweeper.sweep_once()
    except DatabaseTrouble:
        await sweeper._forget_session()


async def test_two_leaders_behind_a_pooler_tick_once_by_turns(db: str) -> None:
    async with behind(db, direct=False, default_pool_size=3) as app:
        await sync(
            app.database,
            [every("1d", number.call(1), name="crons.x", overlap="allow")],
            deployment="shop",
        )
        settings = settings_for(app.pooler.url)
        processes = [Process("cron", settings, app.database) for _ in range(2)]
        leaders = [Leader(process) for process in processes]
        for _ in range(8):
            await move_clock(db, timedelta(days=1))
            async with anyio.create_task_group() as group:
                for leader in leaders:
                    group.start_soon(leader.tick_once)
        assert all(process.leads for process in processes)
        assert await ask(db, LOCKS) == 0, "a session's lock would stay on a server that others use"
        assert await ask(db, "select count(*) from pillars.ticks") == 8
        assert await ask(db, "select count(*) from pillars.jobs") == 8
        for leader in leaders:
            await leader.resign()


LOCKS = "select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())"


async def test_a_leader_of_another_database_says_so_and_ticks_nothing(
    db: str, other_db: str
) -> None:
    async with pooler(db) as before, using(Database(before.url, direct_url=other_db)) as database:
        leader = Leader(Process("cron", settings_for(before.url), database))
        with pytest.raises(DatabaseTrouble, match="DATABASE_DIRECT_URL is another database"):
            await leader.tick_once()
        assert not leader._process.leads
