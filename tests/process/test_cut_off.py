"""Workers behind a network that swallows everything: what runs is stopped in time, what is told late changes nothing."""

import signal
from datetime import datetime
from pathlib import Path

import pytest

from pillars.jobs.enqueuing import enqueue_many
from pillars.store.database import Database
from process.pillar import App, ready_app, told
from process.relay import relayed
from process.work import done, ended_as, history, hold, lines, quick, runs, sit
from support import ask, until

JOBS = 20
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
