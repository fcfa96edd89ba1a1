"""Workers behind a network that swallows everything: what runs is stopped in time, what is told late changes nothing."""

import asyncio
import signal
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import anyio
import pytest

from pillars.errors import DatabaseTrouble, Trouble
from pillars.jobs.connected import using
from pillars.jobs.enqueuing import enqueue_many
from pillars.store.database import Database
from pillars.store.enqueueing import NOW
from pillars.store.inserting import ENQUEUE, parameters
from pillars.store.listener import Listener
from pillars.store.pool import Address
from process.dev import free_port
from process.pillar import App, ready_app, told
from process.relay import relayed
from process.work import done, ended_as, history, hold, lines, quick, runs, sit
from stepping import new_job
from support import ask, until

JOBS = 20
STOPPED = {0, 75}  # drained; or ended by itself, since its locks were lost meanwhile
ONE_DONE = (
    b"\0\0\0\4\0\0\0\1" + b"\xff" * 12
)  # a finish says: one was moved, and of no other is there anything to say


async def serves_on(worker: App, *, other: App) -> None:
    """Where `other` stops, what is new is this one's."""
    other.signal(signal.SIGTERM)
    assert await other.ended() == 0, other.output
    handle = await quick.enqueue(7)
    assert await handle.result(timeout="20s") == 7, worker.output


@pytest.mark.slow
async def test_a_worker_cut_off_stops_its_jobs_before_another_may_begin_them(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with (
        relayed(db) as relay,
        ready_app(tmp_path, relay.url, "worker", PILLARS_LOCK="8s") as cut_off,
    ):
        handles = await enqueue_many(hold.call(str(log), str(gate)) for _ in range(JOBS))
        await until(lambda: len(lines(log, "began")) == JOBS)
        async with ready_app(tmp_path, db, "worker", PILLARS_LOCK="8s") as heir:
            relay.blackhole()
            await until(lambda: len(lines(log, "stopped")) == JOBS)
            expires: datetime = await ask(db, "select min(expires_at) from pillars.locks")
            stopped = [float(line[3]) for line in lines(log, "stopped")]
            assert max(stopped) < expires.timestamp(), "stopped while the lock still stood"
            await until(lambda: len(lines(log, "began")) == 2 * JOBS)
            gate.touch()
            await until(lambda: done(db, JOBS))
            before = await history(db)
            relay.heal()
            await until(lambda: len(told(cut_off, "job.lock_lost")) == JOBS)
            assert await history(db) == before, "who was cut off writes nothing about them"
            assert cut_off.process.poll() is None, cut_off.output
            await serves_on(cut_off, other=heir)
    for handle in handles:
        one = [
            f"{word} {pid}" for word, job_id, *_, pid in lines(log, "") if job_id == handle.job_id
        ]
        first, second = cut_off.process.pid, heir.process.pid
        assert one == [f"began {first}", f"stopped {first}", f"began {second}", f"ended {second}"]
    assert await ended_as(db) == ["completed 1 1"] * JOBS + ["completed 1 0"]


@pytest.mark.slow
async def test_a_worker_cut_off_whose_code_does_not_stop_ends_itself(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with (
        relayed(db) as relay,
        ready_app(tmp_path, relay.url, "worker") as cut_off,
    ):
        await sit.enqueue(str(log), str(gate))
        await until(lambda: runs(log) == ["began 1"])
        async with ready_app(tmp_path, db, "worker"):
            relay.blackhole()
            assert await cut_off.ended() == 75, cut_off.output
            await until(lambda: len(runs(log)) == 2)
            gate.touch()
            await until(lambda: done(db, 1))
            relay.heal()
    [fenced] = told(cut_off, "worker.fenced")
    began_again = await ask(db, "select started_at from pillars.finished_jobs")
    gone_at = datetime.fromisoformat(str(fenced["timestamp"]))
    assert gone_at < began_again, "the thread is gone before another begins"
    assert runs(log) == ["began 1", "began 1", "ended 1"]
    assert await ended_as(db) == ["completed 1 1"]
    assert await ask(db, "select count(*) from pillars.locks") == 0


async def test_an_enqueue_whose_answer_was_lost_may_have_happened_whatever_its_repeats_met(
    db: str,
) -> None:
    async with relayed(db) as relay, using(Database(relay.url)):
        await quick.enqueue(1)
        relay.blackhole_at(answered=b"INSERT 0 1")
        asked = asyncio.create_task(quick.configure(run_in="1h").enqueue(2))
        await until(lambda: not relay.passing)
        relay.lead_to(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
        with pytest.raises(DatabaseTrouble) as trouble:
            await asked
        assert trouble.value.may_have_happened
    assert await ask(db, "select count(*) from pillars.jobs") == 2


@pytest.mark.slow
@pytest.mark.parametrize("arrived", [True, False])
async def test_an_outcome_whose_answer_is_swallowed_is_told_once(
    db: str, database: Database, tmp_path: Path, *, arrived: bool
) -> None:
    """Whether it was the question that was kept back, which then comes after all beside its own repeat, or the answer."""
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with (
        relayed(db) as relay,
        ready_app(tmp_path, relay.url, "worker", PILLARS_LOCK="30s") as worker,
    ):
        handle = await hold.enqueue(str(log), str(gate))
        await until(lambda: runs(log) == ["began 1"])
        if arrived:
            relay.blackhole_at(answered=ONE_DONE)
        else:
            relay.blackhole_at(asked=handle._id.bytes)
        gate.touch()
        await until(lambda: bool(told(worker, "database.lost", during="finish")))
        assert await done(db, 1) is arrived
        relay.heal()
        await until(lambda: bool(told(worker, "job.completed")))
        await until(lambda: done(db, 1))
        assert await (await quick.enqueue(7)).result(timeout="20s") == 7
        assert len(told(worker, "job.completed", job_id=handle.job_id)) == 1
        assert not told(worker, "job.lock_lost")
    assert runs(log) == ["began 1", "ended 1"]
    assert await ended_as(db) == ["completed 1 0"] * 2
    assert await ask(db, "select count(*) from pillars.locks") == 0


@pytest.mark.slow
async def test_an_outcome_that_comes_after_the_rescue_is_lost_and_the_job_ends_once(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with (
        relayed(db) as relay,
        ready_app(tmp_path, relay.url, "worker") as cut_off,
    ):
        handle = await hold.enqueue(str(log), str(gate))
        await until(lambda: runs(log) == ["began 1"])
        async with ready_app(tmp_path, db, "worker") as heir:
            relay.blackhole_at(asked=handle._id.bytes)
            gate.touch()
            await until(lambda: not relay.passing)
            await until(lambda: done(db, 1))
            before = await history(db)
            relay.heal()
            await until(lambda: bool(told(cut_off, "job.lock_lost")))
            assert await history(db) == before
            assert len(told(cut_off, "job.lock_lost", outcome="completed")) == 1
            assert not told(cut_off, "job.completed")
            assert len(told(heir, "job.completed")) == 1
    assert runs(log) == ["began 1", "ended 1"] * 2
    assert await ended_as(db) == ["completed 1 1"]


@pytest.mark.slow
async def test_a_claim_whose_answer_is_cut_off_is_given_back_and_run_once(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    gate.touch()
    async with (
        relayed(db) as relay,
        ready_app(tmp_path, relay.url, "worker", PILLARS_LOCK="60s") as worker,
    ):
        relay.blackhole_at(answered=b"the claimed one")
        await hold.configure(context="the claimed one").enqueue(str(log), str(gate))
        await until(lambda: not relay.passing)
        lost: int = await ask(db, "select lock_token from pillars.locks")
        relay.cut()
        await until(lambda: done(db, 1))
        assert told(worker, "database.lost", during="claim")
        assert await ask(db, "select lock_token from pillars.finished_jobs") > lost
    assert runs(log) == ["began 1", "ended 1"]
    assert await ended_as(db) == ["completed 1 0"], "neither a try nor a crash"
    assert await ask(db, "select count(*) from pillars.attempts") == 0
    assert await ask(db, "select count(*) from pillars.locks") == 0


@pytest.mark.slow
async def test_a_claim_whose_answer_is_swallowed_is_rescued_and_run_once(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    gate.touch()
    async with (
        relayed(db) as relay,
        ready_app(tmp_path, relay.url, "worker") as cut_off,
    ):
        relay.blackhole_at(answered=b"the claimed one")
        await hold.configure(context="the claimed one").enqueue(str(log), str(gate))
        await until(lambda: not relay.passing)
        async with ready_app(tmp_path, db, "worker") as heir:
            await until(lambda: done(db, 1))
            relay.heal()
            await serves_on(cut_off, other=heir)
        assert runs(log, by=heir) == ["began 1", "ended 1"]
    assert runs(log) == ["began 1", "ended 1"], "the late answer starts nothing"
    assert await ended_as(db) == ["completed 1 1", "completed 1 0"]
    assert await ask(db, "select array_agg(outcome) from pillars.attempts") == ["crashed"]
    assert await ask(db, "select count(*) from pillars.locks") == 0


@pytest.mark.slow
@pytest.mark.parametrize("asked", [b"BEGIN", b"COMMIT"])
async def test_a_transaction_in_a_silent_cut_fails_in_time_and_leaves_the_pool_whole(
    db: str, asked: bytes
) -> None:
    async with relayed(db) as relay, using(Database(relay.url, size=1)) as database:
        await database.pool.rows(NOW)
        relay.blackhole_at(asked=asked)
        with pytest.raises(DatabaseTrouble) as trouble:
            await put_two(database)
        assert trouble.value.kind is Trouble.LOST
        relay.cut()
        assert await ask(db, "select count(*) from pillars.jobs") == 0
        await put_two(database)
        assert await ask(db, "select count(*) from pillars.jobs") == 2


async def put_two(database: Database) -> None:
    async with database.pool.session() as session, session.transaction():
        for _ in range(2):
            await session.rows(ENQUEUE, *parameters(new_job()))


@pytest.mark.slow
async def test_a_listener_whose_listen_gets_no_answer_tries_again(
    db: str, database: Database
) -> None:
    changes: list[tuple[bool, str]] = []
    async with relayed(db) as relay, anyio.create_task_group() as group:
        listener = Listener(
            Address(relay.url),
            database.runtime,
            uuid4(),
            trust=timedelta(seconds=10),
            on_wake=lambda _: None,
            on_told=lambda _: None,
            on_change=lambda up, why: changes.append((up, why)),
        )
        relay.blackhole_at(asked=b"LISTEN")
        group.start_soon(listener.run)
        await until(lambda: changes != [])
        assert changes == [(False, "the connection to Postgres was lost: no answer in time")]
        relay.heal()
        await until(lambda: listener.proved)
        group.cancel_scope.cancel()


@pytest.mark.slow
async def test_a_worker_whose_ears_alone_are_cut_off_says_so_and_polls(
    db: str, database: Database, tmp_path: Path
) -> None:
    async with (
        relayed(db) as relay,
        ready_app(tmp_path, db, "worker", DATABASE_DIRECT_URL=relay.url) as worker,
    ):
        await until(lambda: ask(db, "select listening from pillars.workers"))
        relay.blackhole()
        await until(lambda: bool(told(worker, "listener.lost")))
        await until(lambda: ask(db, "select not listening from pillars.workers"))
        for number in range(3):
            assert await (await quick.enqueue(number)).result(timeout="20s") == number
        relay.heal()
        await until(lambda: ask(db, "select listening from pillars.workers"))
        assert not told(worker, "database.lost"), "nothing else was in trouble"


@pytest.mark.slow
async def test_a_worker_that_is_stopped_in_a_silent_cut_leaves_with_an_outcome_in_hand(
    db: str, database: Database, tmp_path: Path
) -> None:
    """Its job has ended, and it cannot say so: another runs that job again."""
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with (
        relayed(db) as relay,
        ready_app(tmp_path, relay.url, "worker", PILLARS_DRAIN="4s") as cut_off,
    ):
        await hold.enqueue(str(log), str(gate))
        await until(lambda: runs(log) == ["began 1"])
        relay.blackhole()
        gate.touch()
        await until(lambda: runs(log) == ["began 1", "ended 1"])
        cut_off.signal(signal.SIGTERM)
        assert await cut_off.ended() in STOPPED, cut_off.output
        relay.cut()
        async with ready_app(tmp_path, db, "worker"):
            await until(lambda: done(db, 1))
    assert runs(log) == ["began 1", "ended 1"] * 2
    assert await ended_as(db) == ["completed 1 1"]
    assert await ask(db, "select count(*) from pillars.locks") == 0


@pytest.mark.slow
@pytest.mark.parametrize("role", ["web", "worker", "cron"])
async def test_a_pillar_that_is_stopped_in_a_silent_cut_leaves(
    db: str, role: str, tmp_path: Path
) -> None:
    async with (
        relayed(db) as relay,
        ready_app(tmp_path, relay.url, role, PILLARS_DRAIN="4s") as cut_off,
    ):
        relay.blackhole()
        cut_off.signal(signal.SIGTERM)
        assert await cut_off.ended() in STOPPED, cut_off.output


@pytest.mark.slow
async def test_a_pool_is_closed_in_a_silent_cut(db: str) -> None:
    async with relayed(db) as relay:
        async with (
            using(Database(relay.url)) as database,
            anyio.create_task_group() as group,
        ):
            relay.blackhole_at(asked=b"pg_sleep")
            group.start_soon(fail_to_sleep, database)
            await until(lambda: not relay.passing)
            group.cancel_scope.cancel()
        with pytest.raises(DatabaseTrouble, match="the pool is closed"):
            await database.pool.rows(NOW)


async def fail_to_sleep(database: Database) -> None:
    async with database.pool.session() as session:
        await session.script("select pg_sleep(60)", timeout=timedelta(minutes=1))
