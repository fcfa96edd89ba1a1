"""C5: cron processes killed, frozen and cut off; then no tick is missing and none came twice."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import asyncpg

from chaos.crowd import LEFT, UNMEASURED, Crowd
from chaos.faults import Faults, Weather
from chaos.report import Report
from chaos.server import LOST, served
from support import ask, until

LOCK = 6.0  # seconds: the leader reads every second
LEAVING = 30.0  # seconds; a hang limit
FAULTS = (*["kill"] * 4, *["freeze"] * 2, "crash")
SCHEDULES = 5
CAUGHT_UP = """
    select count(*) = $1 and min(next_run_at) > now() from pillars.schedules
"""
TICKS = """
    select tick.schedule, tick.tick::text, tick.outcome, count(*) as rows,
           (select count(*) from pillars.jobs job
            where job.context = format('schedule %s at %s', tick.schedule, pillars.utc_text(tick.tick))) as jobs
    from pillars.ticks tick group by tick.schedule, tick.tick, tick.outcome
"""
MISSING = """
    select span.schedule, due::text from (
        select schedule, min(tick) as first, max(tick) as last from pillars.ticks group by schedule) span
    cross join lateral generate_series(span.first, span.last, interval '1 second') due
    where not exists (select from pillars.ticks tick where tick.schedule = span.schedule and tick.tick = due)
"""


STRAYS = """
    select job.context from pillars.jobs job
    where not exists (
        select from pillars.ticks tick
        where job.context = format('schedule %s at %s', tick.schedule, pillars.utc_text(tick.tick)))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticking:
    """How much of it: five schedules that tick every second, all to be caught up."""

    seed: int
    seconds: float = 60.0
    crons: int = 3
    pause: tuple[float, float] = (0.8, 2.2)
    frozen: tuple[float, float] = (1.0, 8.0)

    @property
    def weather(self) -> Weather:
        return Weather(
            seed=self.seed,
            seconds=self.seconds,
            pause=self.pause,
            frozen=self.frozen,
            faults=FAULTS,
        )


async def ticking(plan: Ticking, folder: Path) -> Report:
    """Run it, and look at every tick from the first to the last."""
    environ = {"PILLARS_LOCK": f"{LOCK}s", "CHAOS_RUNS": str(folder), **UNMEASURED}
    async with served(folder) as server:
        crowd = Crowd(folder, [server.url] * plan.crons, ("cron",), environ)
        async with crowd.running():
            await until(lambda: caught_up(server.url))
            await Faults(plan.weather, server, crowd).rage()
            calm_at = anyio.current_time()
            await until(lambda: caught_up(server.url))
            took = anyio.current_time() - calm_at
            codes = await crowd.leave(LEAVING)
        connection = await asyncpg.connect(server.url)
        try:
            ticks = await connection.fetch(TICKS)
            missing = await connection.fetch(MISSING)
            strays = await connection.fetch(STRAYS)
        finally:
            await connection.close()
    broken = [f"a cron process left with {code}" for code in codes if code not in LEFT]
    broken += [f"{schedule} has no tick at {due}" for schedule, due in missing]
    broken += [f"a job without a tick: {context}" for (context,) in strays]
    ticked = {tick["schedule"] for tick in ticks}
    broken += [f"only {sorted(ticked)} have ticked"] if len(ticked) != SCHEDULES else []
    figures = {
        "ticks": len(ticks), "missing": len(missing), "seconds until caught up": round(took), **crowd.counted,
    }  # fmt: skip
    return Report(figures, [*crowd.strange, *broken, *twice(ticks)])


async def caught_up(url: str) -> bool:
    """Whether every schedule's next tick is still to come."""
    with suppress(*LOST):
        return bool(await ask(url, CAUGHT_UP, SCHEDULES))
    return False


def twice(ticks: Sequence["asyncpg.Record"]) -> list[str]:
    """Ticks that stand there twice, or made more than one job or none."""
    return [
        f"{tick['schedule']} at {tick['tick']}: {tick['rows']} rows, {tick['jobs']} jobs, {tick['outcome']}"
        for tick in ticks
        if (tick["rows"], tick["jobs"], tick["outcome"]) != (1, 1, "enqueued")
    ]
