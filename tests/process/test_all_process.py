"""`app all`: three pillars in one process, which stand and fall together."""

import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from figures import Figures

from pillars.store.database import Database
from process.pillar import PROJECT, App, app, told
from process.work import deaf, hold, lines, quick, sit
from support import ask, asking, tell, until

READY = ("web.ready", "worker.ready", "cron.ready")
LOCAL = {"HOST": "127.0.0.1", "PORT": "0", "PILLARS_WEB": "front:app"}


@asynccontextmanager
async def everything(folder: Path, dsn: str, **environ: str) -> AsyncIterator[tuple[App, str]]:
    """`app all`, once each pillar says that it is ready, and where it serves."""
    with app(
        folder, dsn, "all", project=PROJECT, **{**LOCAL, "PILLARS_LOCK": "5s", **environ}
    ) as started:
        await until(
            lambda: (
                all(told(started, event) for event in READY) or started.process.poll() is not None
            )
        )
        assert started.process.poll() is None, started.output
        [ready] = told(started, "web.ready")
        yield started, str(ready["url"])


async def nothing_is_left(dsn: str) -> None:
    assert await ask(dsn, "select count(*) from pillars.workers") == 0
    assert await ask(dsn, "select count(*) from pillars.locks") == 0
    assert await ask(dsn, "select count(*) from pillars.jobs where locked_by is not null") == 0


async def ticked(dsn: str) -> bool:
    return bool(await ask(dsn, "select count(*) > 0 from pillars.ticks"))


async def test_one_process_serves_runs_jobs_and_ticks_and_leaves_nothing_behind(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with everything(tmp_path, db) as (process, url), httpx2.AsyncClient() as client:
        assert (await client.get(url)).text == "hello"
        assert await (await quick.enqueue(7)).result(timeout="20s") == 7
        await until(lambda: ticked(db))
        health = (await client.get(f"{url}/api/health")).json()
        assert (health["status"], health["role"]) == ("ok", "web")
        assert health["checks"]["workers"] == {"status": "up", "count": 1}
        async with asking(db) as connection:
            rows = await connection.fetch("select role, pid from pillars.workers order by role")
        pid = process.process.pid
        assert [tuple(row) for row in rows] == [("cron", pid), ("web", pid), ("worker", pid)]
        await hold.enqueue(str(log), str(gate))
        await until(lambda: len(lines(log, "began")) == 1)
        process.signal(signal.SIGTERM)
        await until(lambda: bool(told(process, "service.draining", role="all")))
        gate.touch()
        assert await process.ended() == 0, process.output
        assert len(told(process, "service.draining")) == 1
    assert await ask(db, "select state from pillars.finished_jobs where name = 'hold'") == (
        "completed"
    )
    await nothing_is_left(db)


async def test_one_scrape_tells_of_all_three_and_of_the_database_once(
    db: str, database: Database, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = str(found.getsockname()[1])
    async with (
        everything(tmp_path, db, PILLARS_HEALTH_PORT=port, PILLARS_HEALTH_HOST="127.0.0.1") as (
            _,
            url,
        ),
        httpx2.AsyncClient() as client,
    ):
        assert await (await quick.enqueue(7)).result(timeout="20s") == 7
        await until(lambda: ticked(db))
        for place in (url, f"http://127.0.0.1:{port}"):
            text = (await client.get(f"{place}/metrics")).text
            figures = Figures(text)
            roles = {one["role"] for one in figures.labels("pillars_build_info")}
            assert roles == {"web", "worker", "cron"}
            for role in roles:
                assert figures.of("pillars_process_ready", role=role) == 1
            assert figures.of("pillars_attempts_total", job="quick", outcome="completed") == 1
            assert (figures.of("pillars_ticks_total", outcome="enqueued") or 0) > 0
            assert figures.of("pillars_leads") == 1
            assert figures.of("pillars_workers") == 1
            series = [line.rpartition(" ")[0] for line in text.splitlines() if line[:1] != "#"]
            assert len(series) == len(set(series))


async def test_a_pillar_that_fails_lets_the_others_drain_and_the_exit_code_says_so(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate, fails_at = tmp_path / "runs", tmp_path / "gate", tmp_path / "fails"
    with app(tmp_path, db, "all", project=PROJECT, **LOCAL, FAILS_AT=str(fails_at)) as process:
        await hold.enqueue(str(log), str(gate))
        await until(lambda: len(lines(log, "began")) == 1)
        fails_at.touch()
        await until(lambda: bool(told(process, "service.failed", role="web")))
        gate.touch()
        assert await process.ended() == 1, process.output
        assert process.output.endswith(
            "\napp: the web application did not start: RuntimeError: no licence key (front.py:20)\n"
        )
        assert "Traceback" not in process.output
    assert await ask(db, "select state from pillars.finished_jobs where name = 'hold'") == (
        "completed"
    )
    await nothing_is_left(db)


async def test_schedules_of_another_deployment_end_all_three(db: str, tmp_path: Path) -> None:
    await tell(
        db,
        """insert into pillars.schedules (name, job, queue, max_attempts, every, deployment)
           values ('beat', 'ping', 'default', 1, '1 minute', 'another')""",
    )
    with app(tmp_path, db, "all", project=PROJECT, **LOCAL) as process:
        assert await process.ended() == 1, process.output
        assert "another" in process.output.splitlines()[-1]
    await nothing_is_left(db)


async def test_code_that_heeds_no_cancellation_ends_with_the_others_and_holds_up_none(
    db: str, database: Database, tmp_path: Path
) -> None:
    log = tmp_path / "runs"
    async with everything(tmp_path, db, PILLARS_DRAIN="200ms") as (process, _):
        await deaf.enqueue(str(log))
        await until(lambda: len(lines(log, "began")) == 1)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0, process.output
    assert await ask(db, "select attempt + crashes from pillars.jobs where name = 'deaf'") == 0
    await nothing_is_left(db)


async def test_what_failed_is_told_also_where_code_heeds_no_cancellation(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, fails_at = tmp_path / "runs", tmp_path / "fails"
    places = {**LOCAL, "FAILS_AT": str(fails_at), "PILLARS_DRAIN": "200ms"}
    with app(tmp_path, db, "all", project=PROJECT, **places) as process:
        await deaf.enqueue(str(log))
        await until(lambda: len(lines(log, "began")) == 1)
        fails_at.touch()
        assert await process.ended() == 1, process.output
        assert process.output.endswith("\napp: the web application did not start: RuntimeError: no licence key (front.py:20)\n")  # fmt: skip
    await nothing_is_left(db)


@pytest.mark.parametrize("command", ["web", "all"])
async def test_a_request_that_heeds_no_cancellation_does_not_outlive_the_drain(
    db: str, tmp_path: Path, command: str
) -> None:
    places = {**LOCAL, "PILLARS_WEB": "obstinate:app", "PILLARS_DRAIN": "200ms"}
    with app(tmp_path, db, command, project=PROJECT, **places) as process:
        await until(lambda: bool(told(process, "web.ready")))
        [ready] = told(process, "web.ready")
        at = urlsplit(str(ready["url"]))
        with socket.create_connection((str(at.hostname), at.port or 0)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await until(lambda: "request.begun" in process.output)
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0, process.output
    assert "beside.ended" in process.output
    await nothing_is_left(db)


async def test_changed_code_begins_all_three_again(db: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    with app(tmp_path, db, "all", "--reload", project=project, **LOCAL) as process:
        await until(lambda: all(told(process, event) for event in READY))
        front = project / "front.py"

        def begun_again() -> bool:
            if len(told(process, "web.ready")) == 1:
                front.write_text(front.read_text() + "\n")
            return all(len(told(process, event)) >= 2 for event in READY)

        await until(begun_again, every=0.5)
        assert process.process.poll() is None


async def test_a_taken_port_and_a_broken_web_module_are_one_line_each(
    db: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with app(tmp_path, db, "all", project=PROJECT, **{**LOCAL, "PORT": port}) as process:
            assert await process.ended() == 2
            assert process.output == f"app: port {port} is in use; set PORT or stop the other process\n"  # fmt: skip
    (tmp_path / "front.py").write_text("import nowhere_to_be_found\n")
    with app(tmp_path, db, "all", project=tmp_path, **LOCAL) as process:
        assert await process.ended() == 2
        assert process.output == 'app: importing "front" failed: no module named "nowhere_to_be_found" (front.py:1)\n'  # fmt: skip
    await nothing_is_left(db)


async def test_the_options_of_web_and_worker_hold(
    db: str, database: Database, tmp_path: Path
) -> None:
    words = (
        "all",
        "-q",
        "mail:3",
        "-c",
        "7",
        "--threads",
        "2",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    )
    with app(
        tmp_path, db, *words, project=PROJECT, PILLARS_LOCK="5s", PILLARS_ENV="dev"
    ) as process:
        await until(lambda: all(told(process, event) for event in READY))
        [ready] = told(process, "worker.ready")
        assert (ready["slots"], ready["queues"]) == ({"async": 7, "thread": 2}, ["mail"])
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0, process.output


@pytest.mark.slow
async def test_a_second_interrupt_ends_all_three_at_once_and_gives_jobs_back(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with everything(tmp_path, db) as (process, _):
        await hold.enqueue(str(log), str(gate))
        await until(lambda: len(lines(log, "began")) == 1)

        def insist() -> bool:
            process.signal(signal.SIGINT)
            return process.process.poll() is not None

        await until(insist, every=0.4)
        assert await process.ended() == 130, process.output
    assert await ask(db, "select attempt from pillars.jobs where name = 'hold'") == 0
    assert await ask(db, "select count(*) from pillars.jobs where locked_by is not null") == 0


@pytest.mark.slow
async def test_a_fenced_worker_ends_all_three_with_75(
    db: str, database: Database, tmp_path: Path
) -> None:
    log = tmp_path / "runs"
    async with everything(tmp_path, db, PILLARS_LOCK="2s") as (process, _):
        await sit.enqueue(str(log), str(tmp_path / "never"))
        await until(lambda: len(lines(log, "began")) == 1)
        process.signal(signal.SIGSTOP)
        await until(lambda: expired(db))
        process.signal(signal.SIGCONT)
        assert await process.ended() == 75, process.output


async def expired(dsn: str) -> bool:
    left = "expires_at + interval '1 s' > pillars.now()"
    return bool(await ask(dsn, f"select count(*) = 0 from pillars.locks where {left}"))
