"""Jobs from the command line to their end, as operators see it: `app jobs` and a worker, each a process."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import anyio.to_thread
import pytest

from process.pillar import PROJECT, ROOT, app, ready_app
from support import MEASURED, ask, asking, tell, until


def environ(db: str, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PILLARS_ENV": "prod",
        "PILLARS_SQL": str(ROOT / "sql" / "app"),
        "DATABASE_URL": db,
        **MEASURED,
        **more,
    }


async def run(
    db: str, *words: str, project: Path = PROJECT, code: int = 0
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, both its streams apart."""

    def call() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "pillars", *words],
            cwd=project, env=environ(db), capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    done = await anyio.to_thread.run_sync(call)
    assert done.returncode == code, done
    return done


async def test_enqueue_waits_for_the_result_and_prints_it_alone(db: str, tmp_path: Path) -> None:
    async with ready_app(tmp_path, db, "worker"):
        done = await run(db, "jobs", "enqueue", "quick", "number=7", "--wait=20s")
        assert done.stdout == "7\n"
        done = await run(
            db, "jobs", "enqueue", "at_once", "--max-attempts", "2", "--wait", "--json", code=1
        )
        job = json.loads(done.stdout)
        assert (job["state"], job["attempt"]) == ("failed", 2)
        assert "failed: ValueError: again, now" in done.stderr
        shown = await run(db, "jobs", "show", job["job_id"])
        assert re.search(r"1  retried .*\n +Traceback .*(\n.*)+2  failed", shown.stdout)
        retried = await run(db, "jobs", "retry", job["job_id"])
        assert retried.stdout.startswith(job["job_id"])


async def test_arguments_are_checked_by_the_signature_before_anything_is_stored(db: str) -> None:
    done = await run(db, "jobs", "enqueue", "quick", "number=seven", code=2)
    assert done.stderr == "app: args.number: expected int, got str\n"
    done = await run(db, "jobs", "enqueue", "qiuck", code=1)
    assert done.stderr == 'app: no job named "qiuck"; did you mean "quick"?\n'
    assert await ask(db, "select count(*) from pillars.jobs") == 0


async def test_what_user_code_prints_is_no_part_of_the_answer(db: str, tmp_path: Path) -> None:
    package = tmp_path / "jobs"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from pillars import job\nprint('loading')\n\n@job(name='loud', unique_key=lambda: print('key') or 'k')\nasync def loud() -> None: ...\n"
    )
    done = await run(db, "jobs", "enqueue", "loud", "--json", project=tmp_path)
    assert json.loads(done.stdout)["name"] == "loud"
    assert "loading\nkey\n" in done.stderr


async def test_ctrl_c_ends_the_wait_and_not_the_job(db: str, tmp_path: Path) -> None:
    with app(tmp_path, db, "jobs", "enqueue", "ping", "--wait") as waiting:
        await until(lambda: "no worker is running" in waiting.output)
        waiting.signal(signal.SIGINT)
        assert await waiting.ended() == 130
        assert "stopped waiting; a job that was enqueued goes on" in waiting.output
        assert "Traceback" not in waiting.output
    assert await ask(db, "select state from pillars.all_jobs") == "ready"


async def test_a_reader_that_leaves_ends_a_listing_quietly(db: str) -> None:
    await tell(
        db,
        "insert into pillars.jobs (job_id, name, queue, context) select pillars.uuid7(), 'a', 'q', repeat('x', 10000) from generate_series(1, 200)",
    )

    def call() -> bytes:
        words = [sys.executable, "-m", "pillars", "jobs", "list", "--limit", "200", "--json"]
        with subprocess.Popen(
            words, cwd=PROJECT, env=environ(db), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.read(10)
            process.stdout.close()
            return process.stderr.read()

    assert await anyio.to_thread.run_sync(call) == b""


async def on_a_terminal(db: str, *words: str, typed: bytes = b"", **more: str) -> tuple[int, str]:
    """Run a command with a terminal of 80 columns as all its streams."""

    def call() -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "pillars", *words],
            cwd=PROJECT, env=environ(db, COLUMNS="80", TERM="xterm", **more), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        os.write(ours, typed)
        output = b""
        while True:
            try:
                output += (part := os.read(ours, 65536))
            except OSError:  # Linux's way of saying that the other side is closed
                break
            if not part:
                break
        os.close(ours)
        return process.wait(), output.decode()

    return await anyio.to_thread.run_sync(call)


async def test_a_terminal_gets_colours_and_lines_that_fit(db: str) -> None:
    await tell(
        db,
        "insert into pillars.finished_jobs (job_id, name, queue, priority, state, attempt, crashes, created_at)"
        " select pillars.uuid7(), 'jobs.mail.' || repeat('x', 60), 'q', 0, 'failed', 1, 0, now()",
    )
    code, output = await on_a_terminal(db, "jobs", "list")
    assert code == 0
    assert "\x1b[31mfailed\x1b[0m" in output
    lines = re.sub(r"\x1b\[\d*m", "", output).split("\r\n")
    assert max(map(len, lines[:2])) <= 80
    assert "…" in lines[1]
    _, plain = await on_a_terminal(db, "jobs", "list", NO_COLOR="1")
    assert "\x1b[" not in plain


@pytest.mark.parametrize(("typed", "code", "left"), [(b"n\n", 1, 3), (b"y\n", 0, 0)])
async def test_in_bulk_a_person_is_asked_with_the_count(
    db: str, typed: bytes, code: int, left: int
) -> None:
    await tell(
        db,
        "insert into pillars.jobs (job_id, name, queue) select pillars.uuid7(), 'a', 'q' from generate_series(1, 3)",
    )
    ended, output = await on_a_terminal(db, "jobs", "cancel", "--state", "ready", typed=typed)
    assert (ended, await ask(db, "select count(*) from pillars.jobs")) == (code, left), output
    assert "cancel 3 jobs (--state ready)? [y/N]" in output


async def test_ctrl_c_in_bulk_keeps_whole_batches_and_a_second_run_does_the_rest(
    db: str, tmp_path: Path
) -> None:
    await tell(
        db,
        "insert into pillars.jobs (job_id, name, queue) select pillars.uuid7(), 'a', 'q' from generate_series(1, 201)",
    )
    words = ("jobs", "cancel", "--state", "ready", "--yes")
    async with asking(db) as holder, holder.transaction():
        await holder.execute("select from pillars.jobs order by job_id limit 1 for update")
        with app(tmp_path, db, *words) as bulk:
            await until(lambda: _left(db, 1))
            await until(lambda: ask(db, WAITS))  # the first batch was answered, the second waits
            bulk.signal(signal.SIGINT)
            assert await bulk.ended() == 130
            assert "stopped: at least 200 cancelled of 201" in bulk.output
    done = await run(db, *words)
    assert done.stderr == "1 cancelled\n"


WAITS = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')"


async def _left(db: str, count: int) -> bool:
    return bool(await ask(db, "select count(*) = $1 from pillars.jobs", count))
