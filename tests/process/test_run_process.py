"""`app jobs run` as a terminal has it: a worker elsewhere, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from process.pillar import ROOT, app
from saying import Speaker
from stepping import define, hand
from support import MEASURED, ask, until


async def is_asked_to_end(db: str) -> bool:
    asked = "select exists (select from pillars.jobs where cancel_requested_at is not null)"
    return bool(await ask(db, asked))


async def has_job(db: str) -> bool:
    return bool(await ask(db, "select exists (select from pillars.jobs)"))


async def run_of(
    db: str, folder: Path, ending: dict[str, Any], *words: str
) -> "subprocess.CompletedProcess[str]":
    """What a run prints whose job says two things and ends so."""
    await define(db)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PILLARS_ENV": "prod", "DATABASE_URL": db,
               "PILLARS_SQL": str(ROOT / "sql" / "app"), **MEASURED}  # fmt: skip
    done: list[subprocess.CompletedProcess[str]] = []

    def call() -> None:
        asked = [sys.executable, "-m", "pillars", "jobs", "run", "work", "n=1", *words]
        done.append(
            subprocess.run(
                asked, cwd=folder, env=environ, text=True, capture_output=True, check=False
            )
        )

    async with hand(db) as worker, anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, call)
        await until(lambda: has_job(db))
        speaker = Speaker(worker, await worker.take())
        await speaker.say(1, kind="progress", body={"done": 1, "total": 2})
        await speaker.say(1, body="half")
        await speaker.end(**ending)
    return done[0]


async def test_a_run_prints_outputs_and_the_result_and_tells_the_rest(
    db: str, tmp_path: Path
) -> None:
    said = await run_of(db, tmp_path, {"result": '"whole"'})
    assert (said.returncode, said.stdout) == (0, 'half\n"whole"\n')
    told = said.stderr.splitlines()
    assert told[0].startswith("enqueued ")
    assert told[-2:] == ["progress 50% 1 of 2", "completed"]


async def test_a_run_of_a_job_that_fails_fails(db: str, tmp_path: Path) -> None:
    said = await run_of(db, tmp_path, {"state": "failed", "error": "boom"})
    assert (said.returncode, said.stderr.splitlines()[-1]) == (1, "failed: boom")


async def test_a_run_tells_programs_the_same(db: str, tmp_path: Path) -> None:
    said = await run_of(db, tmp_path, {"result": "1"}, "--json")
    told = [json.loads(line) for line in said.stdout.splitlines()]
    kinds = [one["event"] for one in told if one.get("state") not in {"ready", "running"}]
    assert kinds == ["progress", "output", "result", "state"]


@pytest.mark.slow
async def test_a_first_interrupt_ends_the_job_and_waits_for_its_end(
    db: str, tmp_path: Path
) -> None:
    await define(db)
    with app(tmp_path, db, "jobs", "run", "work") as run:
        await until(lambda: has_job(db))
        async with hand(db) as worker:
            speaker = Speaker(worker, await worker.take())
            await speaker.say(1, body="begun")
            await until(lambda: "begun" in run.output)
            run.signal(signal.SIGINT)
            await until(lambda: is_asked_to_end(db))
            assert run.process.poll() is None
            await speaker.say(1, body="last words")
            await speaker.end(state="cancelled")
            assert await run.ended() == 130
    assert "last words" in run.output
    assert "cancelled" in run.output


@pytest.mark.slow
async def test_a_second_interrupt_leaves_at_once_and_says_that_the_job_is_asked_to_end(
    db: str, tmp_path: Path
) -> None:
    await define(db)
    with app(tmp_path, db, "jobs", "run", "work") as run:
        await until(lambda: has_job(db))
        async with hand(db) as worker:
            await worker.take()
            await until(lambda: "running" in run.output)
            run.signal(signal.SIGINT)
            await until(lambda: is_asked_to_end(db))
            await until(lambda: "Ctrl-C again" in run.output)
            run.signal(signal.SIGINT)
            assert await run.ended() == 130
            assert "is asked to end" in run.output
