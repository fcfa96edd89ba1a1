"""Programs as jobs: what they are given, what their ends mean, what they print."""

import os
import shlex
import signal
import sys
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from crunching import work
from structlog.testing import capture_logs
from worker.test_children import is_in, working, written

from pillars import Child, JobCancelled, JobFailed, shell_job
from pillars.store.database import Database
from pillars.worker.children.lines import LONGEST_LINE
from pillars.worker.children.performing import REST_LEFT_OUT
from pillars.worker.children.process import ChildProcess, Launch
from pillars.worker.children.telling import LAST_LINES
from pillars.worker.children.warding import Warden
from pillars.worker.voice import MOST_LINES
from support import ask, is_alive, running, until, worker_for


async def lines_of(db: str, stream: str = "stdout") -> list[str]:
    """What has been printed, as it is kept."""
    return list(
        await ask(
            db,
            "select array(select body ->> 'line' from pillars.job_events where body ->> 'stream' = $1 order by event_id)",
            stream,
        )
    )


async def test_an_argument_stays_within_its_word(database: Database, db: str) -> None:
    hostile = "$(id); `id` && echo 'x\" \\ \n {word}"
    async with working(database):
        assert await (await work.echo.enqueue(hostile)).result(timeout="30s") is None
    assert "\n".join(await lines_of(db)) == hostile


@pytest.mark.parametrize(
    ("code", "state", "error"),
    [
        (0, "completed", None),
        (1, "scheduled", "exit code 1: not that way"),
        (65, "failed", "bad input"),
        (75, "scheduled", "exit code 75: not that way"),
        (76, "scheduled", "exit code 76: not that way"),
    ],
)
async def test_an_exit_code_ends_the_attempt_as_it_was_told(
    database: Database, db: str, code: int, state: str, error: str | None
) -> None:
    async with working(database):
        handle = await work.exits.enqueue(code)
        await until(partial(is_in, handle, state), within=30)
    job_id = UUID(handle.job_id)
    assert (
        await ask(db, "select last_error from pillars.all_jobs where job_id = $1", job_id) == error
    )
    if state == "scheduled":
        assert await ask(db, "select attempt from pillars.jobs") == (0 if code == 75 else 1)
        late = await ask(
            db, "select run_at > pillars.now() + interval '30 minutes' from pillars.jobs"
        )
        assert late == (code in {75, 76})


async def test_a_program_answers_on_its_fourth_descriptor(database: Database) -> None:
    async with working(database):
        assert await (await work.answers.enqueue()).result(timeout="30s") == {"rows": 3}


async def test_a_program_reads_its_job_on_its_third_descriptor(database: Database) -> None:
    async with working(database):
        read = await (await work.reads.enqueue()).result(timeout="30s")
    assert read["job"]["name"] == "shell.reads"
    assert read["job"]["arguments"] == {}
    assert "lock_token" not in read["job"]


async def test_a_program_that_is_not_there_is_told(database: Database) -> None:
    async with working(database):
        with pytest.raises(
            JobFailed, match=r"exit code 127: no-such-program-anywhere: No such file"
        ):
            await (await work.missing.enqueue()).result(timeout="30s")


async def test_a_folder_that_is_not_there_is_told(database: Database, tmp_path: Path) -> None:
    lost = shell_job(
        ["true"], name="shell.lost", process=Child(folder=tmp_path / "no"), max_attempts=1
    )
    async with running(worker_for(database, lost)):
        with pytest.raises(JobFailed, match="its process could not be started: No such file"):
            await (await lost.enqueue()).result(timeout="30s")


async def test_all_that_a_program_started_ends_with_it(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    async with working(database, lock="90s"):
        handle = await work.pair.enqueue(str(path))
        await until(lambda: bool(written(path)), within=30)
        [sleeper] = written(path)
        await handle.cancel()
        with pytest.raises(JobCancelled):
            await handle.result(timeout="30s")
        await until(lambda: not is_alive(sleeper))


async def test_what_a_program_leaves_in_its_group_ends_with_it(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "pid"
    async with working(database):
        await (await work.forks.enqueue(str(path))).result(timeout="30s")
        [sleeper] = written(path)
        await until(lambda: not is_alive(sleeper))


async def test_a_program_that_was_told_to_end_has_not_completed_though_it_ends_in_peace(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "pid"
    async with working(database, lock="90s"):
        handle = await work.heeds.enqueue(str(path))
        await until(lambda: bool(written(path)), within=30)
        await handle.cancel()
        with pytest.raises(JobCancelled):
            await handle.result(timeout="30s")


async def test_what_others_kill_is_tried_again_and_told(
    database: Database, db: str, tmp_path: Path
) -> None:
    path = tmp_path / "pid"
    async with working(database, lock="90s"):
        handle = await work.pair.enqueue(str(path))
        await until(lambda: bool(written(path)), within=30)
        [sleeper] = written(path)
        os.killpg(os.getpgid(sleeper), signal.SIGSEGV)
        await until(partial(is_in, handle, "scheduled"), within=30)
    assert await ask(db, "select last_error from pillars.jobs") == "killed by SIGSEGV"


FLOODS = {
    "lines": "import sys; [sys.stdout.write('a line of the flood\\n' * 10_000) for _ in range(500)]",
    "one line": "import sys; [sys.stdout.write('x' * 1_000_000) for _ in range(100)]",
    "bytes": "import os; [os.write(1, bytes(range(256)) * 4_000) for _ in range(50)]",
    "escapes": "import sys; sys.stdout.write('\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07\\x1b[2J\\x1b[999999999;1Hover\\n' * 50_000)",
    "nothing": "import sys; sys.stdout.write('\\n' * 5_000_000)",
    "both": "import os; [os.write(1 + n % 2, b'ab\\n' * 10_000) for n in range(200)]",
    "answers": "import os; [os.write(4, b'{{]\\n' * 10_000) for n in range(100)]",
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_a_flood_harms_neither_the_job_nor_the_worker(
    database: Database, db: str, flood: str
) -> None:
    spills = shell_job([sys.executable, "-c", flood], name="shell.spills")
    with capture_logs() as said:
        async with running(worker_for(database, spills, lock="90s")):
            assert await (await spills.enqueue()).result(timeout="90s") is None
    printed = [*await lines_of(db), *await lines_of(db, "stderr")]
    assert len(printed) <= MOST_LINES + 2 * LAST_LINES
    assert all(len(line) <= 5 * LONGEST_LINE for line in printed)
    assert not any("\x1b" in line or "\0" in line for line in printed)
    if printed:
        assert REST_LEFT_OUT in printed or printed[0].endswith(" more bytes)")
    assert not [one for one in said if one["event"] == "loop.blocked"]


class Sated:
    """Wants one line, and no other."""

    full = False

    def __init__(self) -> None:
        self.lines: list[tuple[str, bytes, int]] = []
        self.process: ChildProcess | None = None

    def printed(self, stream: str, line: bytes, left_out: int) -> None:
        self.lines.append((stream, line, left_out))
        assert self.process is not None
        self.process.hush()

    def answered(self, line: bytes) -> None:
        """It wants none."""

    def ended(self, code: int) -> None:
        """It does not mind."""


async def test_once_nobody_wants_them_no_lines_are_made_of_what_was_read_already() -> None:
    prints = [
        sys.executable,
        "-c",
        "import os, signal; os.write(1, b'\\n' * 4_096); signal.pause()",
    ]
    warden, sated = Warden(uuid4()), Sated()
    process = ChildProcess(Launch(prints, os.environ, Child()), warden)
    process.listening, sated.process = sated, process
    await until(lambda: bool(sated.lines))
    assert sated.lines == [("stdout", b"", 0)]  # of a write that comes whole, as pipes have it
    process.signal(signal.SIGKILL)
    await process.gone.wait()
    assert len(sated.lines) == 4_096  # the rest was the last that it printed
    warden.close()


async def test_what_a_program_prints_without_an_end_of_line_is_kept(
    database: Database, db: str
) -> None:
    words = shlex.split("sh -c 'printf begun; printf ended >&2; exit 9'")
    says = shell_job(words, name="shell.says", max_attempts=1)
    async with running(worker_for(database, says)):
        with pytest.raises(JobFailed, match="exit code 9: ended"):
            await (await says.enqueue()).result(timeout="30s")
    assert await lines_of(db) == ["begun"]
    assert await lines_of(db, "stderr") == ["ended"]


async def test_a_program_out_of_memory_is_named_so(database: Database) -> None:
    eats = shell_job(
        [sys.executable, "-c", "x = [bytearray(10_000_000) for _ in range(100)]"], name="shell.eats",
        process=Child(memory="200MB"), max_attempts=1,
    )  # fmt: skip
    async with running(worker_for(database, eats)):
        with pytest.raises(
            JobFailed, match="out of memory, of which it may have 200 MB: MemoryError"
        ):
            await (await eats.enqueue()).result(timeout="30s")
