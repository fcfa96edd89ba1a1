"""`app dev` and honcho: everything on a machine that has only Python."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest
from honcho.printer import Message

from pillars.dev.restarting import Events
from process.pillar import PROJECT, ROOT, App
from process.work import lines, runs
from support import until

BIN = Path(sys.executable).parent


@pytest.fixture
def project() -> Iterator[Path]:
    """A project of its own, in a folder that Postgres's user can pass when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="pillars-dev-"))
    folder.chmod(0o711)
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    yield folder
    subprocess.run(
        [BIN / "app", "db", "stop"],
        cwd=folder,
        env=environ(folder),
        check=False,
        capture_output=True,
    )
    shutil.rmtree(folder)


def environ(folder: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "PILLARS_LOCK": "5s",
        "PGPORT": "1",  # of somebody's other Postgres: ours is found all the same
        **more,
    }


@contextmanager
def started(folder: Path, *command: str, **more: str) -> Iterator[App]:
    log = folder / f"{Path(command[0]).name}-{len(list(folder.glob('*.out')))}.out"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environ(folder, **more), stdout=output, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        yield App(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def healthy(port: int) -> bool:
    async with httpx2.AsyncClient() as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{port}/api/health?strict=1")
        except httpx2.HTTPError:
            return False
    return answer.status_code == 200


@pytest.mark.slow
@pytest.mark.smoke
async def test_dev_runs_everything_and_a_stop_ends_everything(project: Path) -> None:
    port = free_port()
    with started(project, str(BIN / "app"), "dev", PORT=str(port)) as dev:
        await until(
            lambda: f"ready http://127.0.0.1:{port}" in dev.output or dev.process.poll() is not None
        )
        assert dev.process.poll() is None, dev.output
        await until(lambda: healthy(port))
        await until(lambda: "job.completed" in dev.output)
        dev.signal(signal.SIGINT)
        assert await dev.ended() == 0, dev.output
        assert len(pids(dev)) == 3
        assert "starting it again" not in dev.output
        assert not alive(pids(dev))
    server = next((project / ".pillars").glob("pg*/data/postmaster.pid"), None)
    await until(lambda: server is None or not server.exists())


@pytest.mark.slow
async def test_honcho_runs_the_procfile_by_itself(project: Path) -> None:
    port = free_port()
    procfile = (ROOT / "Procfile.dev").read_text().replace("PORT=8000", f"PORT={port}")
    (project / "Procfile.dev").write_text(procfile)
    with started(
        project, str(BIN / "honcho"), "start", "-e", "/dev/null", "-f", "Procfile.dev"
    ) as honcho:
        await until(lambda: healthy(port))
        await until(lambda: "job.completed" in honcho.output)
        honcho.signal(signal.SIGTERM)
        assert await honcho.ended() in {0, 143}, honcho.output


@pytest.mark.slow
async def test_everything_resumes_by_itself_after_postgres_is_killed(project: Path) -> None:
    port = free_port()
    with started(project, str(BIN / "app"), "dev", PORT=str(port)) as dev:
        await until(lambda: healthy(port))
        url = subprocess.run(
            [BIN / "app", "db", "url"],
            cwd=project,
            env=environ(project),
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        pid_file = next((project / ".pillars").glob("pg*/data/postmaster.pid"))
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
        await until(lambda: pings_since_restart(url, 3))
        await until(lambda: healthy(port))
        assert dev.process.poll() is None, dev.output


@pytest.mark.slow
async def test_changed_code_is_taken_up_and_broken_code_waits_to_be_mended(project: Path) -> None:
    port = free_port()
    with started(project, str(BIN / "app"), "dev", PORT=str(port)) as dev:
        await until(lambda: f"ready http://127.0.0.1:{port}" in dev.output)
        added = project / "jobs" / "added.py"
        added.write_text("1 / 0\n")
        await until(lambda: "waiting for a change" in dev.output)
        assert dev.process.poll() is None
        added.write_text("from pillars import job\n\n\n@job\nasync def fresh() -> None: ...\n")
        await until(lambda: "jobs=7" in dev.output)
        assert dev.process.poll() is None, dev.output


def pids(dev: App, name: str = r"\w+") -> list[int]:
    """The processes that were started so far, of this name or of any."""
    return [int(pid) for pid in re.findall(rf"\b{name} started \(pid=(\d+)\)", dev.output)]


async def kill_cron(dev: App, *, pause: int) -> None:
    os.kill(pids(dev, "cron")[-1], signal.SIGKILL)
    await until(lambda: f"cron ended with -9; starting it again in {pause} s" in dev.output)


def alive(numbers: list[int]) -> list[int]:
    return [pid for pid in numbers if Path(f"/proc/{pid}").exists()]


@pytest.mark.slow
async def test_a_job_is_finished_although_its_worker_was_killed(project: Path) -> None:
    log, ended = project / "runs.txt", project / "may-end"
    with started(project, str(BIN / "app"), "dev", PORT=str(free_port())) as dev:
        await until(lambda: "ready http://" in dev.output)
        enqueue = (str(BIN / "app"), "jobs", "enqueue", "hold", f"log={log}", f"until={ended}")
        with started(project, *enqueue) as enqueued:
            assert await enqueued.ended() == 0, enqueued.output
        await until(lambda: runs(log) == ["began 1"])
        (killed,) = pids(dev, "worker")
        os.kill(killed, signal.SIGKILL)
        await until(lambda: "worker ended with -9; starting it again" in dev.output)
        ended.touch()
        await until(lambda: runs(log)[-1] == "ended 1")
        assert runs(log) == ["began 1", "began 1", "ended 1"]
        _, again = pids(dev, "worker")
        assert lines(log, "ended")[0][-1] == str(again)
        assert len(pids(dev)) == 4, dev.output
        dev.signal(signal.SIGINT)
        assert await dev.ended() == 0, dev.output
        assert not alive(pids(dev))


@pytest.mark.slow
async def test_a_wrong_setting_of_one_pillar_ends_everything(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(project, str(BIN / "app"), "dev", PORT=str(port)) as dev:
            assert await dev.ended() == 2, dev.output
    assert f"port {port} is in use" in dev.output
    assert "starting it again" not in dev.output
    assert not alive(pids(dev))


@pytest.mark.slow
async def test_a_stop_while_a_pillar_waits_to_be_started_again_ends_everything(
    project: Path,
) -> None:
    with started(project, str(BIN / "app"), "dev", PORT=str(free_port())) as dev:
        await until(lambda: len(pids(dev)) == 3)
        await kill_cron(dev, pause=1)
        await until(lambda: len(pids(dev, "cron")) == 2)
        await kill_cron(dev, pause=2)
        await until(lambda: len(pids(dev, "cron")) == 3)
        await kill_cron(dev, pause=4)
        dev.signal(signal.SIGINT)
        assert await dev.ended() == 0, dev.output
        assert len(pids(dev, "cron")) == 3, dev.output
        assert not alive(pids(dev))


def test_a_pillar_whose_start_crosses_the_stop_is_stopped_too() -> None:
    events = Events({"worker"})
    events.ending = True
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        events.put(Message("start", {"pid": child.pid}, None, "worker", None))
        events.get(timeout=10)
        try:
            assert child.wait(10) == -signal.SIGTERM
        finally:
            child.kill()


@pytest.mark.slow
async def test_a_process_that_is_no_pillar_ends_everything_with_its_end(project: Path) -> None:
    (project / "Procfile.dev").write_text("assets: exit 7\n")
    with started(project, str(BIN / "app"), "dev", PORT=str(free_port())) as dev:
        assert await dev.ended() == 7, dev.output
    assert not alive(pids(dev))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
async def test_no_pillar_outlives_dev(project: Path, number: signal.Signals) -> None:
    with started(project, str(BIN / "app"), "dev", PORT=str(free_port())) as dev:
        await until(lambda: "ready http://" in dev.output)
        os.killpg(dev.process.pid, number) if number == signal.SIGHUP else dev.signal(number)
        assert await dev.ended() == -number
        await until(lambda: not alive(pids(dev)))


async def pings_since_restart(url: str, count: int) -> bool:
    """Whether so many jobs have completed on the server that runs now, since it began to run."""
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError):
        return False
    try:
        return bool(
            await connection.fetchval(
                """select count(*) >= $1 from pillars.finished_jobs
                where name = 'ping' and finished_at > pg_postmaster_start_time()""",
                count,
            )
        )
    finally:
        await connection.close()
