"""`app worker --processes N`: several workers that share nothing, kept running by one that runs none of their jobs."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import httpx2
import pytest

from pillars.jobs.enqueuing import enqueue_many
from pillars.service.fleet import Fleet, Member
from pillars.service.line import VARIABLE, Inherited, Line
from pillars.store.database import Database
from process.dev import free_port
from process.pillar import PROJECT, App, app, told
from process.work import done, hold, lines, quick
from support import ask, tell, until

pytestmark = pytest.mark.slow
COUNT = 2


@asynccontextmanager
async def fleet(folder: Path, db: str, **environ: str) -> AsyncIterator[App]:
    """Two workers and who looks after them, once both are ready."""
    environ.setdefault("PILLARS_LOCK", "5s")
    words = ("worker", "--processes", str(COUNT))
    with app(folder, db, *words, project=PROJECT, **environ) as started:
        await until(
            lambda: len(told(started, "worker.ready")) == COUNT or not alive(started.process.pid)
        )
        first = children_of(started.process.pid)
        try:
            yield started
        finally:
            for pid in first | children_of(started.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def children_of(pid: int) -> set[int]:
    with suppress(FileNotFoundError):
        return {
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        }
    return set()


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def pids(db: str) -> list[int]:
    """Of the workers that have a row, in the order in which they came."""
    return list(
        await ask(db, "select array_agg(pid order by started_at) from pillars.workers") or ()
    )


async def test_all_of_a_fleet_take_jobs_and_each_job_is_run_once(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with fleet(tmp_path, db, PILLARS_CONCURRENCY="5") as workers:
        await enqueue_many(hold.call(str(log), str(gate)) for _ in range(COUNT * 5))
        await until(lambda: len(lines(log, "began")) == COUNT * 5)
        assert {line[-1] for line in lines(log, "began")} == {str(pid) for pid in await pids(db)}
        gate.touch()
        await enqueue_many(quick.call(number) for number in range(500))
        await until(lambda: done(db, 500 + COUNT * 5))
        assert {line["process"] for line in told(workers, "worker.ready")} == {1, 2}
    assert len(lines(log, "began")) == COUNT * 5


async def test_a_process_that_dies_is_started_again_and_the_others_go_on(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with fleet(tmp_path, db) as workers:
        await enqueue_many(hold.call(str(log), str(gate)) for _ in range(4))
        await until(lambda: len(lines(log, "began")) == 4)
        first, second = await pids(db)
        os.kill(first, signal.SIGKILL)
        await until(lambda: len(told(workers, "worker.ready")) == COUNT + 1)
        [ended] = told(workers, "process.ended")
        assert (ended["code"], ended["again_in_s"]) == (-signal.SIGKILL, 1.0)
        assert alive(second)
        gate.touch()
        await until(lambda: done(db, 4))
        workers.signal(signal.SIGTERM)
        assert await workers.ended() == 0, workers.output


async def test_a_stop_drains_every_process_and_none_is_started_again(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with fleet(tmp_path, db, PILLARS_CONCURRENCY="2") as workers:
        await enqueue_many(hold.call(str(log), str(gate)) for _ in range(COUNT * 2))
        await until(lambda: len(lines(log, "began")) == COUNT * 2)
        workers.signal(signal.SIGTERM)
        await until(lambda: len(told(workers, "service.draining")) == COUNT + 1)
        gate.touch()
        assert await workers.ended() == 0, workers.output
        assert told(workers, "process.ended") == []
    assert len(lines(log, "ended")) == COUNT * 2
    assert await pids(db) == []
    assert await ask(db, "select count(*) from pillars.locks") == 0


async def test_a_second_interrupt_ends_all_at_once_and_gives_their_jobs_back(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with fleet(tmp_path, db, PILLARS_CONCURRENCY="2") as workers:
        await enqueue_many(hold.call(str(log), str(gate)) for _ in range(COUNT * 2))
        await until(lambda: len(lines(log, "began")) == COUNT * 2)

        def insist() -> bool:
            workers.signal(signal.SIGINT)
            return workers.process.poll() is not None

        await until(insist, every=0.3)
        assert await workers.ended() == 130, workers.output
    waiting = f"select count(*) = {COUNT * 2} from pillars.jobs where locked_by is null"
    await until(lambda: ask(db, waiting))


async def test_processes_whose_fleet_is_killed_drain_and_end(
    db: str, database: Database, tmp_path: Path
) -> None:
    log, gate = tmp_path / "runs", tmp_path / "gate"
    async with fleet(tmp_path, db, PILLARS_CONCURRENCY="2") as workers:
        await enqueue_many(hold.call(str(log), str(gate)) for _ in range(COUNT * 2))
        await until(lambda: len(lines(log, "began")) == COUNT * 2)
        left = await pids(db)
        workers.signal(signal.SIGKILL)
        await until(lambda: len(told(workers, "service.draining")) == COUNT)
        gate.touch()
        await until(lambda: not any(alive(pid) for pid in left))
    assert len(lines(log, "ended")) == COUNT * 2
    assert await pids(db) == []


async def test_what_fails_before_any_was_ready_ends_all_with_its_code(
    db: str, tmp_path: Path
) -> None:
    await tell(db, "drop schema pillars cascade")
    with app(tmp_path, db, "worker", "--processes", "2") as workers:
        assert await workers.ended() == 1
        assert "app migrate" in workers.output
    assert all("again_in_s" not in one for one in told(workers, "process.ended"))


async def test_a_usage_error_ends_all_with_its_code(db: str, tmp_path: Path) -> None:
    with app(tmp_path, db, "worker", "--processes", "2", PILLARS_JOBS="nowhere") as workers:
        assert await workers.ended() == 2
        assert "nowhere" in workers.output


async def test_health_tells_of_all_and_metrics_of_each(db: str, tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environ = {"PILLARS_HEALTH_PORT": str(port), "PILLARS_HEALTH_HOST": "127.0.0.1"}
    async with fleet(tmp_path, db, **environ) as workers, httpx2.AsyncClient() as client:
        await until(lambda: is_well(client, address))
        health = (await client.get(f"{address}/api/health")).json()
        assert health["role"] == "worker"
        assert health["processes"] == {"ready": COUNT, "count": COUNT}
        assert health["checks"]["workers"]["count"] == COUNT
        metrics = (await client.get(f"{address}/metrics")).text
        assert 'pillars_process_ready{role="worker",process="2"} 1' in metrics
        assert metrics.count("# TYPE pillars_claims_total") == 1
        assert metrics.count("\npillars_database_up 1") == 1
        os.kill((await pids(db))[0], signal.SIGKILL)
        await until(lambda: told(workers, "process.ended") != [])
        answer = await client.get(f"{address}/api/health/ready")
        assert (answer.status_code, answer.json()["processes"]["ready"]) == (503, 1)
        await until(lambda: is_well(client, address))
        metrics = (await client.get(f"{address}/metrics")).text
        [ended] = told(workers, "process.ended")
        number = ended["process"]
        assert f'pillars_process_restarts_total{{process="{number}"}} 1' in metrics


async def is_well(client: httpx2.AsyncClient, address: str) -> bool:
    with suppress(httpx2.TransportError):
        return (await client.get(f"{address}/api/health/ready")).status_code == 200
    return False


async def test_an_answer_that_came_too_late_is_not_taken_for_the_next() -> None:
    line, slow = Line(), anyio.Event()
    inherited = Inherited.found({VARIABLE: f"1:{line.other.detach()}"})
    assert inherited is not None

    async def late() -> str:
        await slow.wait()
        return "late"

    async def soon() -> str:
        return "soon"

    async def broken() -> str:
        raise ZeroDivisionError

    async with anyio.create_task_group() as group:
        group.start_soon(inherited.serve, {"late": late, "soon": soon, "broken": broken})
        assert await line.ask("late", patience=0.01) is None
        assert await line.ask("soon", patience=5) == "soon", "it waits for no other answer"
        slow.set()
        assert await line.ask("broken", patience=5) is None
        assert await line.ask("soon", patience=5) == "soon"
        os.close(inherited.descriptor)
        line.close()
        assert await line.ask("soon", patience=5) is None


async def test_a_stop_that_comes_while_a_process_is_being_started_reaches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[int] = []
    fleet = Fleet("worker", 1, ["nothing"])

    async def live(
        _member: Member, _command: object, _environ: object, *, started: Callable[[], None]
    ) -> int:
        fleet.heed(signal.SIGTERM)  # nobody to tell yet
        fleet.process.stopping.set()
        monkeypatch.setattr(Member, "signal", lambda _member, number: told.append(number))
        started()
        return 0

    monkeypatch.setattr(Member, "live", live)
    await fleet.run()
    assert told == [signal.SIGTERM]


async def test_a_program_that_cannot_be_started_is_a_failure_and_no_traceback() -> None:
    fleet = Fleet("worker", 2, ["./there-is-no-such-program"])
    await fleet.run()
    assert fleet.code == 1


@pytest.mark.skipif(
    sys.platform != "linux", reason="by number, where the system has nothing better"
)
async def test_a_signal_reaches_no_stranger_who_got_the_number_of_a_process_that_ended() -> None:
    member, began = Member(1), anyio.Event()
    codes: list[int] = []

    async def live() -> None:
        codes.append(await member.live(["sleep", "60"], os.environ, started=began.set))

    async with anyio.create_task_group() as group:
        group.start_soon(live)
        await began.wait()
        stranger = await anyio.open_process(["sleep", "60"], stdout=None, stderr=None)
        member._child = stranger  # who answers to the number by now
        member.signal(signal.SIGTERM)
        await until(lambda: codes == [-signal.SIGTERM])
        assert stranger.returncode is None
        stranger.kill()
        await stranger.wait()
