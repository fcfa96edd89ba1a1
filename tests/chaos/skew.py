"""C10: workers and cron processes whose clocks are wrong; only the database's clock decides."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import anyio

from chaos import recording
from chaos.crowd import LEFT, UNMEASURED, Crowd
from chaos.failover import ticked
from chaos.history import Asked, History, Run
from chaos.report import Report
from chaos.server import served
from chaos.storm import LEAVING, counted, settled, told
from chaos.ticking import caught_up
from support import asking, until

SKEWS = (-90, 0, 90)  # seconds
LOCK = 5.0  # seconds: seen from 90 s off, every lock has expired, or never will
CALM = 45.0  # seconds: who waited for a time by the wrong clock would come later
LIBRARY = "usr/lib/*/faketime/libfaketimeMT.so.1"
DUE = """
    select pillars.enqueue('storm.work', jsonb_build_object('number', $1::int, 'seconds', $2::float8),
                           run_at => now() + $3::interval)::text
"""
EARLY = "select schedule || ' at ' || tick from pillars.ticks where tick > created_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skew:
    """How much of it: jobs that are due within some seconds, of which one in five takes longer than the lock."""

    seed: int
    jobs: int = 150
    due_within: float = 8.0


async def skew(plan: Skew, folder: Path) -> Report:
    """Run a worker and a cron process at each clock, the latter killed one after another, so that others lead."""
    runs = folder / "runs"
    runs.mkdir()
    environ = {"CHAOS_RUNS": str(runs), "PILLARS_LOCK": f"{LOCK}s", **UNMEASURED}
    own = [moved_by(seconds) for seconds in SKEWS]
    async with served(folder) as server:
        urls = [server.url] * len(SKEWS)
        crons = Crowd(folder, urls, ("cron",), environ, own=own)
        workers = Crowd(folder, urls, ("worker",), environ, own=own)
        async with crons.running(), workers.running():
            asked = await enqueued(plan, server.url)
            for number in range(len(SKEWS)):
                await anyio.sleep(plan.due_within / len(SKEWS))
                crons.kill(number / len(SKEWS))
            await until(lambda: caught_up(server.url))
            codes = await crons.leave(LEAVING)
            await settled(server.url, CALM)
            codes += await workers.leave(LEAVING)
        seen = await recording.history(server.url, runs, asked, {})
        async with asking(server.url) as connection:
            early = [f"{row[0]} was decided too early" for row in await connection.fetch(EARLY)]
        figures: Counter[str] = Counter()
        broken = [*early, *await ticked(server, figures)]
    broken += [f"a process left with {code}" for code in codes if code not in LEFT]
    broken += crons.strange + workers.strange
    found = clocks(seen)
    ran = Counter(found.values())
    broken += [
        f"nothing ran by a clock {one:+} s off: nothing was tried" for one in SKEWS if not ran[one]
    ]
    figures.update({f"runs at {seconds:+} s": count for seconds, count in ran.items()})
    return Report({**counted(seen), **figures}, [*broken, *told(righted(seen, found))])


def moved_by(seconds: int) -> dict[str, str]:
    """What a process is given whose clock is wrong by so much, and which measures durations rightly."""
    found = sorted(Path("/").glob(LIBRARY))
    if not found:
        raise FileNotFoundError(f"no /{LIBRARY}: apt-get install faketime")
    return {
        "LD_PRELOAD": str(found[0]), "FAKETIME": f"{seconds:+}", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip


async def enqueued(plan: Skew, url: str) -> list[Asked]:
    """Jobs, due at various times by the database's clock."""
    chance = random.Random(f"skew {plan.seed}")
    asked = []
    async with asking(url) as connection:
        for number in range(plan.jobs):
            seconds = chance.uniform(1.2, 1.5) * LOCK if chance.random() < 0.2 else 0.0
            due = timedelta(seconds=chance.uniform(0, plan.due_within))
            job_id = await connection.fetchval(DUE, number, seconds, due)
            asked.append(Asked(number=number, job_id=job_id))
    return asked


def clocks(seen: History) -> dict[tuple[str, int], int]:
    """By which of the clocks each claim's code began, as the times show that it wrote."""
    claimed = {(event.job_id, event.token): event.at for event in seen.events}
    return {
        (run.job_id, run.token): min(
            SKEWS, key=lambda one: abs(run.began_at - claimed[run.job_id, run.token] - one)
        )
        for run in seen.runs
    }


def righted(seen: History, found: Mapping[tuple[str, int], int]) -> History:
    """The same, with the times of the code's runs as the database would have told them."""
    runs = [_righted(run, found[run.job_id, run.token]) for run in seen.runs]
    return replace(seen, runs=runs)


def _righted(run: Run, seconds: int) -> Run:
    ended = None if run.ended_at is None else run.ended_at - seconds
    return replace(run, began_at=run.began_at - seconds, ended_at=ended)
