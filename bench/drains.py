"""Jobs that lie there already are run, by the raw loop and by `app worker`."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from .filling import (
    check_history,
    check_none_left,
    close_queue,
    fill,
    fill_raw,
    holds_claims,
    open_queue,
    snapshot,
)
from .marks import Marks
from .meter import measured
from .processes import pids, pillar, program
from .running import Bench
from .server import Database
from .waiting import until_not, until_ran

JOBS = 60_000
QUIET = {"LOG_LEVEL": "warning"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """What is drained and in which way. Workers are ready and held before the time counts."""

    jobs: int = JOBS
    of: int | None = None
    """So many lie there, and the time counts until the first `jobs` were run; None: until all are run and moved to the history."""
    function: str = "noop"
    workers: int = 1
    held: bool = False
    """Whether a snapshot is held meanwhile."""
    of_raw: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the raw loop."""
    of_worker: Mapping[str, str] = field(default_factory=dict)
    """The environment of `app worker`."""

    async def raw(self, bench: Bench) -> dict[str, float]:
        """The raw loop, in so many processes."""
        marks = bench.marks(bench.jobs(self.of or self.jobs))
        async with bench.database() as database:
            await fill_raw(database, marks.jobs)
            async with AsyncExitStack() as stack:
                await self._settle(database, stack)
                started = [
                    await stack.enter_async_context(
                        program(
                            "raw", "drain", url=database.url, environ=marks.environ,
                            function=self.function, **self.of_raw,
                        )
                    )
                    for _ in range(self.workers)
                ]  # fmt: skip
                async with measured(database, pids(started)) as cost:
                    for one in started:
                        one.start()
                    await self._until_ran(bench, marks)
                    ran = marks.ran()
                    for one in started if self.of is None else ():
                        await one.answer()
            await self._check(database, marks, "raw.jobs")
            return cost.per_job(ran)

    async def pillars(self, bench: Bench) -> dict[str, float]:
        """`app worker`, as many, with the history kept."""
        marks = bench.marks(bench.jobs(self.of or self.jobs))
        environ = {**marks.environ, **QUIET, **self.of_worker}
        async with bench.database() as database:
            await fill(database, marks.jobs, name=self.function)
            await close_queue(database)
            async with AsyncExitStack() as stack:
                await self._settle(database, stack)
                started = [
                    await stack.enter_async_context(
                        pillar(bench.folder, database.url, "worker", environ=environ)
                    )
                    for _ in range(self.workers)
                ]
                async with measured(database, pids(started)) as cost:
                    await open_queue(database)
                    await self._until_ran(bench, marks)
                    ran = marks.ran()
                    if self.of is None:
                        await until_not(lambda: holds_claims(database))
            await check_history(database, marks.ran())
            await self._check(database, marks, "pillars.jobs")
            return cost.per_job(ran)

    async def _until_ran(self, bench: Bench, marks: Marks) -> None:
        if self.of is None:
            await until_ran(marks, marks.jobs)
        else:
            first = bench.jobs(self.jobs)
            await until_ran(marks, first, first=first)

    async def _settle(self, database: Database, stack: AsyncExitStack) -> None:
        await database.settle()
        if self.held:
            await stack.enter_async_context(snapshot(database))

    async def _check(self, database: Database, marks: Marks, table: str) -> None:
        """Each job was run once and none is left; of a backlog, none was run twice."""
        if self.of is None:
            marks.check()
            await check_none_left(database, table)
        else:
            marks.check_none_twice()
