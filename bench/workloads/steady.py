"""Whether tables and indexes stay as small as they were while jobs come and go at a constant rate."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

from ..drains import QUIET
from ..filling import check_history, check_none_left, holds_claims
from ..meter import MEGABYTE, measured
from ..processes import pillar, program, settings_of
from ..running import Bench, Figures, Workload
from ..server import Database
from ..waiting import until_not, until_ran

SECONDS = 1800.0
PER_S = 1_000  # jobs
PAUSE = 0.01  # seconds between two enqueues
SIZE = round(PER_S * PAUSE)  # jobs in one
LOOKS = 180  # at the sizes, in the whole time
WARM_UP = 0.05  # of the time; then a table has the size that it needs

SIZES = {
    "jobs_mb": "select pg_table_size('pillars.jobs')",
    "jobs_indexes_mb": "select pg_indexes_size('pillars.jobs')",
    "locks_mb": "select pg_total_relation_size('pillars.locks')",
}


@dataclass(slots=True)
class Course:
    """The sizes, looked at again and again."""

    database: Database
    began: float = field(default_factory=time.monotonic)
    series: dict[str, list[float]] = field(
        default_factory=lambda: {"minutes": [], **{name: [] for name in SIZES}}
    )

    async def look(self) -> None:
        self.series["minutes"].append((time.monotonic() - self.began) / 60)
        for name, question in SIZES.items():
            self.series[name].append(await self.database.ask(question) / MEGABYTE)

    async def look_during(self, work: Awaitable[object], *, every: float) -> None:
        """Look every so many seconds until the work is done, and once more then."""
        doing = asyncio.ensure_future(work)
        while not doing.done():
            await asyncio.wait([doing], timeout=every)
            await self.look()
        await doing

    def figures(self) -> dict[str, float]:
        """Of each size the first after the warm-up, the last and the largest; and how much more the last is."""
        start = int(len(self.series["minutes"]) * WARM_UP)
        found = dict[str, float]()
        for name in SIZES:
            sizes, size = self.series[name][start:], name.removesuffix("_mb")
            found |= {f"{size}_first_mb": sizes[0], f"{size}_last_mb": sizes[-1], f"{size}_most_mb": max(sizes)}  # fmt: skip
            found[f"{size}_growth"] = sizes[-1] / sizes[0]
        return found


async def pillars(bench: Bench) -> Figures:
    """One `app worker`; enqueued by `enqueue_many`, ten jobs every 10 ms."""
    seconds = bench.seconds(SECONDS)
    bursts = round(seconds / PAUSE)
    marks = bench.marks(bursts * SIZE)
    async with bench.database() as database:
        course = Course(database)
        bursting: dict[str, Any] = {"bursts": bursts, "pause": PAUSE, "size": SIZE, "first": 0}
        async with (
            pillar(bench.folder, database.url, "worker", environ=marks.environ | QUIET) as worker,
            program("ours", "load", environ=settings_of(database.url), url=database.url, **bursting) as load,
            measured(database, [worker.pid]) as cost,
        ):  # fmt: skip
            await course.look_during(load.go(), every=seconds / LOOKS)
            behind = marks.jobs - marks.ran()
            await until_ran(marks, marks.jobs)
            await until_not(lambda: holds_claims(database))
        marks.check()
        await check_history(database, marks.jobs)
        await check_none_left(database, "pillars.jobs")
        return {**cost.per_job(marks.jobs), "behind_jobs": behind, **course.figures(), **course.series}  # fmt: skip


STEADY = Workload(
    "steady",
    f"{PER_S:,} jobs a second for {SECONDS / 60:.0f} minutes: the size of tables and indexes",
    {"pillars": pillars},
    rounds=1,
)
