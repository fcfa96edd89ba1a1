"""How long after the call of an enqueue a job's code begins, and how late the code of a job that was due later."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from ..calling import most_apart
from ..drains import QUIET, Drain
from ..marks import Marks
from ..processes import Pillar, Program, pillar, program, settings_of
from ..running import Bench, Figures, Workload
from ..server import Database
from ..spread import part
from ..waiting import until_ran

SECONDS = 12.0  # of calls, one every 30 ms
COLD = 5  # first calls, which make connections
DUE_JOBS = 300
CAPACITY = Drain(jobs=10_000)  # what a worker can do, to know what half of it is
PAUSE = 0.01  # seconds between bursts of the load
AROUND = 1.0  # seconds that the load begins earlier, and ends later
MILLISECOND = 1_000_000  # nanoseconds


async def raw(bench: Bench) -> Figures:
    """An insert that notifies within its statement, to a loop that listens."""
    seconds = bench.seconds(SECONDS)
    marks = bench.marks(most_apart(seconds))
    async with (
        bench.database() as database,
        program("raw", "listen", url=database.url, environ=marks.environ),
        _client(database, "raw", "send", seconds=seconds) as client,
    ):
        answer = await client.go()
        return await _delays(marks, answer["began"])


async def pillars(bench: Bench) -> Figures:
    """`await stamp.enqueue(i)`, to an idle `app worker`."""
    seconds = bench.seconds(SECONDS)
    marks = bench.marks(most_apart(seconds))
    async with (
        bench.database() as database,
        _worker(bench, database, marks),
        _client(database, "ours", "send", seconds=seconds) as client,
    ):
        answer = await client.go()
        return await _delays(marks, answer["began"])


async def half_load(bench: Bench) -> Figures:
    """The same, to a worker that is given half of what it can do already, in bursts every 10 ms."""
    able = (await CAPACITY.pillars(bench))["jobs_per_s"]
    seconds = bench.seconds(SECONDS)
    size, bursts = max(round(able / 2 * PAUSE), 1), round((seconds + 2 * AROUND) / PAUSE)
    first = most_apart(seconds)
    marks = bench.marks(first + bursts * size)
    bursting = {"bursts": bursts, "pause": PAUSE, "size": size, "first": first}
    async with (
        bench.database() as database,
        _worker(bench, database, marks),
        _client(database, "ours", "send", seconds=seconds) as client,
        _client(database, "ours", "load", **bursting) as load,
    ):
        load.start()
        await asyncio.sleep(AROUND)
        answer = await client.go()
        await load.answer()
        delays = await _delays(marks, answer["began"], others=range(first, marks.jobs))
        return {"load_per_s": size / PAUSE, **delays}


async def raw_due(bench: Bench) -> Figures:
    """A loop that polls every 10 ms."""
    marks = bench.marks(bench.jobs(DUE_JOBS))
    async with (
        bench.database() as database,
        program("raw", "drain", url=database.url, environ=marks.environ, function="stamp", connections=1) as worker,
        _client(database, "raw", "schedule", jobs=marks.jobs) as client,
    ):  # fmt: skip
        worker.start()
        return await _lateness(marks, await client.go())


async def pillars_due(bench: Bench) -> Figures:
    """`stamp.configure(run_at=…).enqueue(i)`, to an `app worker`."""
    marks = bench.marks(bench.jobs(DUE_JOBS))
    async with (
        bench.database() as database,
        _worker(bench, database, marks),
        _client(database, "ours", "schedule", jobs=marks.jobs) as client,
    ):
        return await _lateness(marks, await client.go())


def _worker(bench: Bench, database: Database, marks: Marks) -> AbstractAsyncContextManager[Pillar]:
    return pillar(bench.folder, database.url, "worker", environ=marks.environ | QUIET)


def _client(
    database: Database, module: str, role: str, **arguments: Any
) -> AbstractAsyncContextManager[Program]:
    return program(module, role, environ=settings_of(database.url), url=database.url, **arguments)


async def _delays(marks: Marks, began: Sequence[int], *, others: range = range(0)) -> Figures:
    """Wait for what was enqueued; from the beginning of the call to the beginning of the job's code."""
    await until_ran(marks, len(began) + len(others))
    marks.check(range(len(began)), others)
    pairs = zip(began[COLD:], marks.times()[COLD:], strict=False)
    return _spread("start", [(ran - call) / MILLISECOND for call, ran in pairs])


async def _lateness(marks: Marks, answer: dict[str, Any]) -> Figures:
    """Wait for what is due; from then to the beginning of the job's code. Raises where one began too early."""
    await until_ran(marks, marks.jobs)
    marks.check()
    due = [at * 1000 for at in answer["due"]]
    late = [ran / MILLISECOND - at for ran, at in zip(marks.times(), due, strict=True)]
    if min(late) < 0:
        raise AssertionError(f"a job was run {-min(late):.3f} ms before it was due")
    return _spread("late", late)


def _spread(what: str, milliseconds: Sequence[float]) -> Figures:
    return {
        f"{what}_p50_ms": part(milliseconds, 0.5),
        f"{what}_p99_ms": part(milliseconds, 0.99),
        f"{what}_most_ms": max(milliseconds),
    }


LATENCY = Workload(
    "latency",
    "from the call of an enqueue to the job's code, one at a time every 30 ms",
    {"raw": raw, "pillars": pillars, "pillars, half load": half_load},
    compares="start_p50_ms",
    against={"pillars": "raw", "pillars, half load": "pillars"},
)

FUTURE = Workload(
    "future",
    "jobs due 1 to 5 s ahead: how late their code begins",
    {"raw, 100 polls a second": raw_due, "pillars": pillars_due},
    compares="late_p50_ms",
)
