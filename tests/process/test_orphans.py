"""Children of a worker that is gone: none is left, however it went."""

import os
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from crunching import work
from worker.test_children import state_of, written

from pillars import connect
from pillars.jobs.definition import Job
from process.pillar import App, ready_app
from support import is_alive, until

PROJECT = Path(__file__).parent.parent


def worker(folder: Path, db: str, **environ: str) -> AbstractAsyncContextManager[App]:
    return ready_app(folder, db, "worker", project=PROJECT, PILLARS_JOBS="crunching", **environ)


async def begun(kind: Job[..., Any], path: Path) -> int:
    """The process that the job has written down, once it runs."""
    await kind.enqueue(str(path))
    await until(lambda: bool(written(path)), within=30)
    return written(path)[0]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_none_outlives_its_worker(db: str, tmp_path: Path, end: signal.Signals) -> None:
    kinds: list[Job[..., Any]] = [work.sleeps, work.stubborn, work.pair, work.heeds]
    async with connect(db), worker(tmp_path, db, PILLARS_CHILDREN="5", PILLARS_DRAIN="0s") as app:
        pids = [await begun(kind, tmp_path / f"{number}.pid") for number, kind in enumerate(kinds)]
        await begun(work.leaves, tmp_path / "left.pid")
        pids += written(tmp_path / "left.pid")
        assert all(is_alive(pid) for pid in pids)
        app.signal(end)
        await until(lambda: not any(is_alive(pid) for pid in pids))
        assert await app.ended() == (0 if end == signal.SIGTERM else -end)


async def test_one_that_was_paused_does_not_outlive_it_either(db: str, tmp_path: Path) -> None:
    path = tmp_path / "steps"
    async with connect(db), worker(tmp_path, db) as app:
        handle = await work.sleeps.enqueue(str(path))
        await until(lambda: len(written(path)) == 2, within=30)
        pid = written(path)[0]
        await handle.pause()
        await until(lambda: state_of(pid) == "T")
        app.signal(signal.SIGKILL)
        await until(lambda: not is_alive(pid))


async def test_a_warden_that_was_killed_is_replaced(db: str, tmp_path: Path) -> None:
    async with connect(db), worker(tmp_path, db, PILLARS_CHILDREN="3") as app:
        sleeper = await begun(work.pair, tmp_path / "1.pid")
        [warden] = wardens_of(app)
        os.kill(warden, signal.SIGKILL)
        await until(lambda: not is_alive(warden))
        other = await begun(work.pair, tmp_path / "2.pid")
        app.signal(signal.SIGKILL)
        await until(lambda: not is_alive(sleeper) and not is_alive(other))


def wardens_of(app: App) -> list[int]:
    found = Path(f"/proc/{app.process.pid}/task/{app.process.pid}/children").read_text().split()
    return [int(pid) for pid in found if "warden.py" in Path(f"/proc/{pid}/cmdline").read_text()]
