"""Workers as processes: killed, stopped, blocked."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from pillars.jobs.definition import job
from pillars.jobs.enqueuing import enqueue_many
from pillars.store.database import Database
from process.pillar import ready_app, told
from process.work import block, done, ended_as, grip, history, hold, lines, quick, runs
from support import ask, until

JOBS = 50


@pytest.mark.slow
async def test_jobs_of_a_killed_worker_start_elsewhere_and_are_recorded_once(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with ready_app(tmp_path, db, "worker") as first:
        await enqueue_many(hold.call(str(log), str(gate)) for _ in range(JOBS))
        await until(lambda: len(lines(log, "began")) == JOBS)
        async with ready_app(tmp_path, db, "worker"):
            first.signal(signal.SIGKILL)
            await until(lambda: len(lines(log, "began")) == 2 * JOBS)
            gate.touch()
            await until(lambda: done(db, JOBS))
    began = Counter(job_id for _, job_id, _, _ in lines(log, "began"))
    assert set(began.values()) == {2}
    assert await ask(db, "select count(distinct job_id) from pillars.finished_completed") == JOBS
    assert (
        await ask(
            db, "select count(*) from pillars.finished_jobs where crashes = 1 and attempt = 1"
        )
        == JOBS
    )
    assert await ask(db, "select count(*) from pillars.locks") == 0


@pytest.mark.slow
async def test_a_stop_under_load_gives_every_job_back_unharmed(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with ready_app(tmp_path, db, "worker", PILLARS_DRAIN="1s") as worker:
        await enqueue_many(hold.call(str(log), str(gate)) for _ in range(20))
        await enqueue_many(quick.call(number) for number in range(5000))
        await until(lambda: len(lines(log, "began")) == 20)
        worker.signal(signal.SIGTERM)
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0, worker.output
    assert await ask(db, "select count(*) from pillars.jobs where locked_by is not null") == 0
    assert await ask(db, "select count(*) from pillars.locks") == 0
    assert (
        await ask(
            db,
            "select count(*) from pillars.jobs where name = 'hold' and attempt = 0 and crashes = 0",
        )
        == 20
    )
    total = await ask(
        db,
        "select (select count(*) from pillars.jobs) + (select count(*) from pillars.finished_jobs)",
    )
    assert total == 5020
    assert await ask(db, "select count(*) from pillars.workers") == 0


@pytest.mark.slow
async def test_a_job_that_blocks_the_loop_longer_than_its_lock_runs_once(
    db: str, database: Database, tmp_path: Path
) -> None:
    log = tmp_path / "runs"
    async with (
        ready_app(tmp_path, db, "worker", PILLARS_LOCK="2s") as first,
        ready_app(tmp_path, db, "worker", PILLARS_LOCK="2s") as second,
    ):
        await block.enqueue(str(log), 4.0)
        await until(lambda: done(db, 1))
        assert "loop.blocked" in first.output + second.output
    assert len(lines(log, "began")) == 1
    assert await ask(db, "select crashes from pillars.finished_jobs") == 0


@pytest.mark.slow
async def test_code_that_holds_the_interpreter_longer_than_its_lock_ends_once_though_it_runs_again(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, fifo = tmp_path / "runs", tmp_path / "fifo"
    os.mkfifo(fifo)
    async with (
        ready_app(tmp_path, db, "worker") as one,
        ready_app(tmp_path, db, "worker") as other,
    ):
        await grip.enqueue(str(log), str(fifo))
        await until(lambda: done(db, 1))
        [held] = [app for app in (one, other) if runs(log, by=app) == ["began 1"]]
        heir = other if held is one else one
        before = await history(db)
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        await until(lambda: told(held, "job.lock_lost") != [] or held.process.poll() is not None)
        assert await history(db) == before
    assert runs(log, by=heir) == ["began 1", "ended 1"]
    assert await ended_as(db) == ["completed 1 1"]


@pytest.mark.slow
async def test_a_second_interrupt_leaves_at_once_and_gives_jobs_back_however_many_follow(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with ready_app(tmp_path, db, "worker") as worker:
        await hold.enqueue(str(log), str(gate))
        await until(lambda: len(lines(log, "began")) == 1)
        worker.signal(signal.SIGINT)
        await until(lambda: "service.draining" in worker.output)

        def insist() -> bool:
            worker.signal(signal.SIGINT)
            return worker.process.poll() is not None

        await until(insist, every=0.02)
        assert await worker.ended() == 130, worker.output
    assert await ask(db, "select attempt from pillars.jobs where locked_by is null") == 0


@pytest.mark.slow
async def test_terminations_that_repeat_to_the_very_end_mean_a_drain(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with ready_app(tmp_path, db, "worker") as worker:
        await hold.enqueue(str(log), str(gate))
        await until(lambda: len(lines(log, "began")) == 1)
        gate.touch()

        def insist() -> bool:
            worker.signal(signal.SIGTERM)
            return worker.process.poll() is not None

        await until(insist, every=0.002)
        assert await worker.ended() == 0, worker.output
    assert await done(db, 1)


@job(name="at_once", max_attempts=3)
async def at_once() -> int:
    return 0


async def test_a_retry_without_a_wait_is_taken_up_at_once_on_the_loop_that_app_runs_on(
    db: str, database: Database, tmp_path: Path
) -> None:
    async with ready_app(tmp_path, db, "worker") as worker:
        assert await (await at_once.enqueue()).result(timeout="20s") == 3, worker.output
