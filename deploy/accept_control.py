"""Acceptance stories of jobs in processes of their own: paused for long, left by their worker, flooding it."""

import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
from crunching import work
from worker.test_children import state_of, written

from deploy.staging import LOCK, ROOT, Story, database, running, say
from pillars import connect
from pillars.jobs.definition import Job
from pillars.worker.children.performing import REST_LEFT_OUT
from process.pillar import App
from support import ask, is_alive, until

PAUSED = 3 * LOCK + 5  # seconds
GONE = 2.0  # seconds
PATIENCE = timedelta(minutes=5)
GROWTH = 50.0  # MB that a worker may have grown by, a flood later
FLOODS = {
    "1 GB of lines": "yes 'a line of the flood' | head -c 1000000000",
    "one line of 100 MB": "head -c 100000000 /dev/zero | tr '\\0' x",
    "100 MB of bytes that are no text": "head -c 100000000 /dev/urandom",
    "100 MB of NUL": "head -c 100000000 /dev/zero",
    "100 MB of escape sequences": "yes \"$(printf '\\033[31m\\033[999999999;1H\\033]0;title\\007\\033[2J')\" | head -c 100000000",
}


@asynccontextmanager
async def worker(folder: Path, url: str, **environ: str) -> AsyncIterator[App]:
    """One that knows the jobs of `tests/crunching`."""
    async with running(
        folder, url, "worker", project=ROOT / "tests", PILLARS_JOBS="crunching", **environ
    ) as app:
        yield app


async def paused_for_three_locks(folder: Path) -> None:
    """A process job that is paused for longer than three locks keeps its process and its lock, and goes on."""
    path = folder / "steps"
    async with database(folder) as url, worker(folder, url), connect(url):
        handle = await work.sleeps.enqueue(str(path))
        await until(lambda: len(written(path)) == 2)
        pid, _ = written(path)
        await handle.pause()
        await until(lambda: state_of(pid) == "T")
        _, stood_at = written(path)
        began = time.monotonic()
        await anyio.sleep(PAUSED)
        held = await ask(url, "select locked_by is not null from pillars.jobs")
        say(
            f"paused for {time.monotonic() - began:.0f} s, its lock is {LOCK} s: process {state_of(pid)}, held {held},"
            f" steps meanwhile {written(path)[1] - stood_at}, state {await handle.state()}"
        )
        assert (held, state_of(pid), written(path)[1]) == (True, "T", stood_at)
        await handle.resume()
        await handle.result(timeout=PATIENCE)
        attempt, crashes = await ask(url, "select (attempt, crashes) from pillars.finished_jobs")
        say(f"resumed, and completed by the same process, attempt {attempt}, crashes {crashes}")
        assert (written(path)[0], attempt, crashes) == (pid, 1, 0)


async def killed_with_children(folder: Path) -> None:
    """kill -9 of a worker leaves no child alive after 2 s: no function, no program, none that they have started."""
    async with (
        database(folder) as url,
        worker(folder, url, PILLARS_CHILDREN="8") as app,
        connect(url),
    ):
        paths = [folder / f"{kind.name}.pid" for kind in KINDS]
        for kind, path in zip(KINDS, paths, strict=True):
            await kind.enqueue(str(path))
        await until(lambda: all(map(written, paths)))
        pids = [pid for path in paths for pid in written(path)[:1]]
        app.signal(signal.SIGKILL)
        killed_at = time.monotonic()
        await until(lambda: not any(map(is_alive, pids)), within=PATIENCE.total_seconds())
        took = time.monotonic() - killed_at
        say(
            f"{len(pids)} processes of {len(KINDS)} jobs were gone {took * 1_000:.0f} ms after their worker"
        )
        assert took < GONE


KINDS: tuple[Job[..., Any], ...] = (
    work.sleeps, work.sleeps_async, work.stubborn, work.heeds, work.pair, work.leaves,
)  # fmt: skip


async def floods(folder: Path) -> None:
    """What a program prints without end is cut with a remark, and harms neither the worker nor the jobs beside it."""
    async with database(folder) as url, worker(folder, url) as app, connect(url):
        await (await work.here.enqueue()).result()
        for name, text in FLOODS.items():
            before, began = resident(app.process.pid), time.monotonic()
            flood = await work.runs.enqueue(text=text)
            waits = []
            while await flood.state() in {"ready", "running"}:
                asked_at = time.monotonic()
                await (await work.here.enqueue()).result(timeout=PATIENCE)
                waits.append(time.monotonic() - asked_at)
                await anyio.sleep(0.1)
            grown = resident(app.process.pid) - before
            rows, size, remarked = await ask(url, KEPT, flood.job_id, REST_LEFT_OUT)
            say(
                f"{name}: {await flood.state()} after {time.monotonic() - began:.1f} s; kept {rows} lines, {size / 1e6:.1f} MB,"
                f" {remarked} remarks; worker grown by {grown:.0f} MB; {len(waits)} jobs beside it, the slowest {max(waits) * 1_000:.0f} ms"
            )
            assert await flood.state() == "completed"
            assert remarked or rows < 1_000, "it was cut, and nothing says so"
            assert grown < GROWTH


KEPT = """
    select (count(*), coalesce(sum(length(body::text)), 0), count(*) filter (where body::text like '%' || $2 || '%' or body::text like '%more bytes)%'))
    from pillars.job_events where job_id = $1::uuid and kind = 'log'
"""


def resident(pid: int) -> float:
    """Its memory, in MB."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * 4096 / 1e6


STORIES: tuple[Story, ...] = (paused_for_three_locks, killed_with_children, floods)
