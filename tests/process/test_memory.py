"""A worker that has more memory than it may: it ends nothing, and begins anew."""

import signal
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from crunching import work
from worker.test_children import later_than

from pillars import connect
from process.pillar import App, app, ready_app, told
from support import ask, until

PROJECT = Path(__file__).parent.parent


def worker(folder: Path, db: str, *words: str) -> AbstractAsyncContextManager[App]:
    return ready_app(folder, db, "worker", *words, project=PROJECT, PILLARS_JOBS="crunching")


async def test_a_worker_that_has_grown_begins_anew_under_its_process_id(
    db: str, tmp_path: Path
) -> None:
    async with connect(db), worker(tmp_path, db, "--max-memory", "150MB") as process:
        first = await (await work.grows.enqueue()).result(timeout="30s")
        await until(lambda: len(told(process, "worker.ready")) == 2, within=30)
        [full] = told(process, "worker.full")
        assert (full["most_mb"], full["running"]) == (150, 0)
        assert (
            await (await work.here.enqueue()).result(timeout="30s") == first == process.process.pid
        )
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
        assert len(told(process, "worker.full")) == 1


async def test_a_bound_below_what_the_app_takes_is_a_usage_error(db: str, tmp_path: Path) -> None:
    """Else it would begin anew for ever."""
    ballast = {"PILLARS_JOBS": "weighing"}
    words = ("worker", "--max-memory", "100MB")
    with app(tmp_path, db, *words, project=PROJECT, **ballast) as started:
        code = await started.ended()
    assert code == 2
    assert "before its first job, and may have 100 MB; give it more" in started.output


async def test_a_worker_loads_no_web_library(db: str, tmp_path: Path) -> None:
    async with connect(db), worker(tmp_path, db):
        loaded = await (await work.modules.enqueue()).result(timeout="30s")
    assert "pillars.worker.pillar" in loaded
    assert not {"starlette", "uvicorn", "h11", "jinja2", "pillars.web"} & set(loaded)


async def test_what_runs_goes_on_to_its_end_and_what_comes_waits(db: str, tmp_path: Path) -> None:
    path = tmp_path / "steps"
    words = ("--max-memory", "150MB", "--drain", "0s")
    async with connect(db), worker(tmp_path, db, *words) as process:
        long = await work.sleeps.enqueue(str(path))
        await until(path.exists, within=30)
        await work.grows.enqueue()
        await until(lambda: bool(told(process, "worker.full")), within=30)
        waits = await work.here.enqueue()
        for _ in range(2):
            beaten = await ask(db, "select max(expires_at) from pillars.locks")
            await until(partial(later_than, db, beaten), within=30)
        assert len(told(process, "worker.ready")) == 1
        assert await long.state() == "running"
        assert await waits.state() == "ready"
        await long.cancel()
        assert await waits.result(timeout="30s") == process.process.pid
        assert await ask(db, "select max(crashes) from pillars.all_jobs") == 0
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0


async def test_one_that_is_to_stop_while_it_runs_dry_stops(db: str, tmp_path: Path) -> None:
    path = tmp_path / "steps"
    async with (
        connect(db),
        worker(tmp_path, db, "--max-memory", "150MB", "--drain", "1s") as process,
    ):
        long = await work.sleeps.enqueue(str(path))
        await until(path.exists, within=30)
        await work.grows.enqueue()
        await until(lambda: bool(told(process, "worker.full")), within=30)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
        assert len(told(process, "worker.ready")) == 1
        assert await long.state() == "scheduled"
