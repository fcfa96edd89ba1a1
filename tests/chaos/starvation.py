"""C3: jobs that hold the loop, or the interpreter itself, for longer than the lock; then nothing was done twice, and what stood beside ran once."""

import random
import re
from dataclasses import dataclass
from pathlib import Path

from chaos import recording
from chaos.crowd import LEFT, Crowd
from chaos.history import Asked, History
from chaos.report import Report
from chaos.server import served
from chaos.storm import LEAVING, counted, environment, settled, told
from support import ask, until

HOGS = ("sleep", "spin", "grip")
APART = 1000  # between the numbers of those beside one and those beside the next
PATIENCE = 120.0  # seconds
BESIDE = "select pillars.enqueue('storm.thread', jsonb_build_object('number', $1::int, 'seconds', $2::float8))"
HOG = "select pillars.enqueue($1, jsonb_build_object('seconds', $2::float8))"
ALL_RUN = "select not exists (select from pillars.jobs where locked_by is null)"
WARNED = re.compile(r'"event":"loop.blocked"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Starvation:
    """How much of it: seconds that each hog holds on, which is more than twice the lock. The seed draws their order."""

    seed: int
    seconds: float = 6.0
    workers: int = 2
    bystanders: int = 12
    """Of eight threads a worker, so many are taken."""


async def starvation(plan: Starvation, folder: Path) -> Report:
    """Run each kind of hog beside jobs in threads, and see who was run again."""
    runs = folder / "runs"
    runs.mkdir()
    asked: list[Asked] = []
    async with served(folder) as server:
        crowd = Crowd(folder, [server.url] * plan.workers, ("worker",), environment(runs))
        async with crowd.running():
            for hog in random.Random(plan.seed).sample(HOGS, len(HOGS)):
                await _hogged(server.url, plan, hog, asked)
            codes = await crowd.leave(LEAVING)
        seen = await recording.history(server.url, runs, asked, {})
    broken = [f"a job beside a {hog} ran again" for hog in run_again(seen, asked) if hog != "grip"]
    said = [log.read_text() for log in folder.glob("*.log")]
    broken += [
        f"no warning named the {hog} that held the loop"
        for hog in HOGS
        if hog != "grip"
        and not any(WARNED.search(text) and f'"starve.{hog}"' in text for text in said)
    ]
    broken += [f"a worker left with {code}" for code in codes if code not in LEFT]
    return Report({**counted(seen), **crowd.counted}, [*crowd.strange, *broken, *told(seen)])


async def _hogged(url: str, plan: Starvation, hog: str, asked: list[Asked]) -> None:
    """Have the jobs beside it begin, then the hog, and wait for all to end."""
    first = HOGS.index(hog) * APART
    for number in range(first, first + plan.bystanders):
        job_id = await ask(url, BESIDE, number, plan.seconds * 2)
        asked.append(Asked(number=number, job_id=str(job_id)))
    await until(lambda: ask(url, ALL_RUN))
    await ask(url, HOG, f"starve.{hog}", plan.seconds)
    await settled(url, PATIENCE)


def run_again(seen: History, asked: list[Asked]) -> list[str]:
    """The hog beside which each job ran that ran more than once."""
    return [
        HOGS[one.number // APART]
        for one in asked
        if len(seen.runs_of.get(one.job_id or "", ())) > 1
    ]
