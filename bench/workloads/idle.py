"""What processes cost that have nothing to do."""

import asyncio
from contextlib import AbstractAsyncContextManager
from functools import partial

from ..meter import measured, rss_mb
from ..processes import Pillar, Program, pillar, program
from ..running import Bench, Figures, Workload
from ..server import Database

SETTLE = 40.0  # seconds until the polls have stretched to their longest
SECONDS = 60.0


async def raw(bench: Bench) -> Figures:
    """The raw loop, listening."""
    marks = bench.marks(1)
    async with bench.database() as database:
        listening = program("raw", "listen", url=database.url, environ=marks.environ)
        return await _idle(bench, database, listening)


async def role(bench: Bench, *, name: str) -> Figures:
    """A pillar on a database of its own; no schedules, no requests."""
    marks = bench.marks(1)
    async with bench.database() as database:
        started = pillar(bench.folder, database.url, name, environ=marks.environ)
        return await _idle(bench, database, started)


async def _idle(
    bench: Bench,
    database: Database,
    starting: AbstractAsyncContextManager[Program] | AbstractAsyncContextManager[Pillar],
) -> Figures:
    async with starting as process:
        await database.settle()
        await asyncio.sleep(bench.seconds(SETTLE))
        async with measured(database, [process.pid]) as cost:
            await asyncio.sleep(bench.seconds(SECONDS))
        return {
            "statements_per_s": cost.statements / cost.seconds,
            "core_percent": cost.programs_cpu / cost.seconds * 100,
            "postgres_core_percent": cost.postgres_cpu / cost.seconds * 100,
            "rss_mb": rss_mb(process.pid),
        }


IDLE = Workload(
    "idle",
    f"{SECONDS:.0f} s of nothing to do, each process alone on the server",
    {
        "raw": raw,
        "web": partial(role, name="web"),
        "worker": partial(role, name="worker"),
        "cron": partial(role, name="cron"),
    },
    compares="rss_mb",
    rounds=1,
)
