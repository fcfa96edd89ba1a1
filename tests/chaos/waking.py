"""Workers that poll once an hour, and whose listeners are cut off again and again: what becomes due must wake them, by whatever door it came."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio

from chaos import recording
from chaos.clients import work
from chaos.crowd import LEFT, UNMEASURED, Crowd
from chaos.history import Asked
from chaos.report import Report
from chaos.server import served
from chaos.storm import LEAVING, counted, told
from pillars import connect, connection, enqueue_many
from support import ask, until

PATIENCE = 20.0  # seconds in which a job must end; by a poll it would be an hour
SOON = "500ms"
CUT = """
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and query like 'LISTEN%' and pid <> pg_backend_pid()
"""
ENQUEUE = "select pillars.enqueue('storm.work', jsonb_build_object('number', $1::int, 'seconds', 0))::text"
ENDED = "select exists (select from pillars.finished_jobs where job_id = $1::uuid)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waking:
    """How much of it: jobs one after the other, each to workers that have nothing to do."""

    seed: int
    jobs: int = 120
    workers: int = 2
    cut_share: float = 0.5
    """Of the jobs, those that come while the listeners are cut off."""


async def alone(_url: str, number: int) -> str:
    return (await work.enqueue(number, 0)).job_id


async def keyed(_url: str, number: int) -> str:
    return (await work.configure(unique_key=f"waking {number}").enqueue(number, 0)).job_id


async def among_many(_url: str, number: int) -> str:
    [handle] = await enqueue_many([work.call(number, 0)])
    return handle.job_id


async def in_a_transaction(_url: str, number: int) -> str:
    async with connection() as mine, mine.transaction():
        return (await work.configure(connection=mine).enqueue(number, 0)).job_id


async def soon(_url: str, number: int) -> str:
    return (await work.configure(run_in=SOON).enqueue(number, 0)).job_id


async def by_sql(url: str, number: int) -> str:
    return str(await ask(url, ENQUEUE, number))


DOORS: tuple[Callable[[str, int], Awaitable[str]], ...] = (
    alone, keyed, among_many, in_a_transaction, soon, by_sql,
)  # fmt: skip


async def waking(plan: Waking, folder: Path) -> Report:
    """Enqueue them by one door after the other, and see each end."""
    runs = folder / "runs"
    runs.mkdir()
    environ = {
        "CHAOS_RUNS": str(runs), "PILLARS_LOCK": "5s", "PILLARS_POLL": "1h", **UNMEASURED,
    }  # fmt: skip
    async with served(folder) as server:
        crowd = Crowd(folder, [server.url] * plan.workers, ("worker",), environ)
        async with crowd.running():
            sleepers = Sleepers(server.url, random.Random(plan.seed))
            async with connect(server.url):
                for number in range(plan.jobs):
                    if not sleepers.broken:  # or each that is left would take as long
                        await sleepers.wake(number, cut=sleepers.chance.random() < plan.cut_share)
            codes = await crowd.leave(LEAVING)
        seen = await recording.history(server.url, runs, sleepers.asked, {})
    left = [f"a worker left with {code}" for code in codes if code not in LEFT]
    return Report(
        {**counted(seen), **sleepers.counted},
        [*crowd.strange, *left, *sleepers.broken, *told(seen)],
    )


@dataclass
class Sleepers:
    """Workers that nothing but a notification wakes."""

    url: str
    chance: random.Random
    asked: list[Asked] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    async def wake(self, number: int, *, cut: bool) -> None:
        """Enqueue one, at about the time at which the listeners are cut off, and see it end."""
        door = self.chance.choice(DOORS)
        async with anyio.create_task_group() as group:
            if cut:
                group.start_soon(self._cut, self.chance.uniform(0, 0.02))
            await anyio.sleep(self.chance.uniform(0, 0.02))
            job_id = await door(self.url, number)
        self.asked.append(Asked(number=number, job_id=job_id))
        try:
            await until(partial(ask, self.url, ENDED, job_id), within=PATIENCE)
        except AssertionError:
            self.broken.append(
                f"job {number}, enqueued {door.__name__.replace('_', ' ')}, woke nobody"
            )

    async def _cut(self, after: float) -> None:
        await anyio.sleep(after)
        self.counted["listeners cut off"] += await ask(self.url, CUT)
