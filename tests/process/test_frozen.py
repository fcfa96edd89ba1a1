"""Workers that stand still, as a machine that swaps or is suspended: what they do when they thaw is too late, and changes nothing."""

import signal
from datetime import timedelta
from pathlib import Path

import pytest

from pillars.jobs.enqueuing import enqueue_many
from pillars.store.database import Database
from process.pillar import ready_app, told
from process.relay import relayed
from process.work import done, ended_as, hold, lines, quick, runs, sit
from support import ask, move_clock, until

JOBS = 10
LONG, SHORT = "60s", "2s"  # locks: who is frozen trusts its own for long, its heir may sweep soon
EXPIRED = timedelta(seconds=61)


@pytest.mark.slow
async def test_what_a_claim_brings_to_a_worker_that_was_frozen_meanwhile_is_not_run(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with (
        relayed(db) as relay,
        ready_app(tmp_path, relay.url, "worker") as frozen,
    ):
        relay.blackhole_at(answered=b"the claimed one")
        await hold.configure(context="the claimed one").enqueue(str(log), str(gate))
        await until(lambda: not relay.passing)
        frozen.signal(signal.SIGSTOP)
        async with ready_app(tmp_path, db, "worker") as heir:
            await until(lambda: runs(log) == ["began 1"])
            relay.heal()
            frozen.signal(signal.SIGCONT)
            # It takes part again: beats, and says so in its row.
            thawed = await ask(db, "select pillars.now()")
            seen = "select count(*) = 2 from pillars.workers where seen_at > $1"
            await until(lambda: ask(db, seen, thawed))
            await until(lambda: ask(db, "select count(*) = 1 from pillars.locks"))
            assert runs(log) == ["began 1"]
            gate.touch()
            await until(lambda: done(db, 1))
            assert runs(log, by=heir) == ["began 1", "ended 1"]
        assert await (await quick.enqueue(7)).result(timeout="20s") == 7, frozen.output
        assert frozen.process.poll() is None, frozen.output
    assert runs(log) == ["began 1", "ended 1"]
    assert await ended_as(db) == ["completed 1 1", "completed 1 0"]
    assert await ask(db, "select count(*) from pillars.locks") == 0


@pytest.mark.slow
async def test_the_late_outcomes_of_a_worker_that_was_frozen_change_nothing(
    db: str, database: Database, tmp_path: Path
) -> None:
    """By the database's clock its locks expire at once, by its own they still stand: so it does offer what it has."""
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with ready_app(tmp_path, db, "worker", PILLARS_LOCK=LONG) as frozen:
        await enqueue_many(hold.call(str(log), str(gate)) for _ in range(JOBS))
        await sit.enqueue(str(log), str(gate))
        await until(lambda: len(lines(log, "began")) == JOBS + 1)
        async with ready_app(tmp_path, db, "worker", PILLARS_LOCK=SHORT) as heir:
            frozen.signal(signal.SIGSTOP)
            await move_clock(db, EXPIRED)
            await until(lambda: len(lines(log, "began")) == 2 * (JOBS + 1))
            before = await of_jobs(db)
            Path(f"{gate}.{frozen.process.pid}").touch()
            frozen.signal(signal.SIGCONT)
            await until(lambda: len(told(frozen, "job.lock_lost")) == JOBS + 1)
            assert await of_jobs(db) == before, "the heir's go on"
            gate.touch()
            await until(lambda: done(db, JOBS + 1))
            await until(lambda: len(told(heir, "job.completed")) == JOBS + 1)
            assert not told(frozen, "job.completed")
            frozen.signal(signal.SIGTERM)
            assert await frozen.ended() == 0, frozen.output
    assert await ended_as(db) == ["completed 1 1"] * (JOBS + 1)


@pytest.mark.slow
async def test_a_worker_that_was_frozen_past_its_trust_ends_itself_where_a_thread_goes_on(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with ready_app(tmp_path, db, "worker") as frozen:
        await sit.enqueue(str(log), str(gate))
        await until(lambda: runs(log) == ["began 1"])
        async with ready_app(tmp_path, db, "worker"):
            frozen.signal(signal.SIGSTOP)
            await until(lambda: runs(log) == ["began 1"] * 2)
            frozen.signal(signal.SIGCONT)
            assert await frozen.ended() == 75, frozen.output
            gate.touch()
            await until(lambda: done(db, 1))
    assert runs(log) == ["began 1", "began 1", "ended 1"], "the thread of the frozen one is gone"
    assert await ended_as(db) == ["completed 1 1"]


@pytest.mark.slow
async def test_a_worker_whose_jobs_were_rescued_while_it_was_frozen_in_its_drain_leaves_in_good_order(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with ready_app(tmp_path, db, "worker", PILLARS_DRAIN="4s", PILLARS_LOCK=LONG) as frozen:
        await enqueue_many(hold.call(str(log), str(gate)) for _ in range(JOBS))
        await until(lambda: len(lines(log, "began")) == JOBS)
        async with ready_app(tmp_path, db, "worker", PILLARS_LOCK=SHORT) as heir:
            frozen.signal(signal.SIGTERM)
            await until(lambda: bool(told(frozen, "service.draining")))
            frozen.signal(signal.SIGSTOP)
            await move_clock(db, EXPIRED)
            await until(lambda: len(lines(log, "began")) == 2 * JOBS)
            frozen.signal(signal.SIGCONT)
            assert await frozen.ended() == 0, frozen.output
            held = await ask(db, "select count(*) from pillars.jobs where locked_by is not null")
            assert held == JOBS, "what another holds by now was not given back"
            gate.touch()
            await until(lambda: done(db, JOBS))
            await until(lambda: len(told(heir, "job.completed")) == JOBS)
    assert await ended_as(db) == ["completed 1 1"] * JOBS
    assert await ask(db, "select count(*) from pillars.locks") == 0


@pytest.mark.slow
async def test_a_worker_that_thaws_after_its_drain_was_over_gives_its_jobs_back_unharmed(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with ready_app(tmp_path, db, "worker", PILLARS_DRAIN="1s", PILLARS_LOCK=LONG) as frozen:
        await enqueue_many(hold.call(str(log), str(gate)) for _ in range(JOBS))
        await until(lambda: len(lines(log, "began")) == JOBS)
        frozen.signal(signal.SIGTERM)
        await until(lambda: bool(told(frozen, "service.draining")))
        frozen.signal(signal.SIGSTOP)
        later = await ask(db, "select clock_timestamp() + interval '1.5 s'")
        await until(lambda: ask(db, "select clock_timestamp() > $1", later))
        frozen.signal(signal.SIGCONT)
        assert await frozen.ended() == 0, frozen.output
    given_back = (
        "select count(*) from pillars.jobs where locked_by is null and attempt = 0 and crashes = 0"
    )
    assert await ask(db, given_back) == JOBS
    assert await ask(db, "select count(*) from pillars.locks") == 0
    assert len(lines(log, "stopped")) == JOBS


async def of_jobs(db: str) -> object:
    """Which job is held by which claim, and all that ended."""
    held = "select array_agg((job_id, locked_by, lock_token, attempt, crashes)::text order by job_id) from pillars.jobs"
    return await ask(db, held), await ask(db, "select count(*) from pillars.finished_jobs")
