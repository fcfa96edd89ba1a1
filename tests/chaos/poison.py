"""C6: jobs that end the process they run in; then each has failed as often as it may, and what ran beside it is done."""

from dataclasses import dataclass
from pathlib import Path

from chaos import recording
from chaos.clients import Clients
from chaos.crowd import LEFT, Crowd
from chaos.report import Report
from chaos.server import served
from chaos.storm import LEAVING, counted, environment, settled, told
from support import ask

POISONS = ("segfault", "leave", "out_of_memory", "hang")
FORKS = 3
CODES = {-11, 3}
"""What a process ends with that was poisoned, beside being killed or ending itself."""
PATIENCE = 120.0  # seconds: a loop that hangs is given up after its deadline and twice the lock, three times
ENDED = """
    select array_agg(format('%s %s %s', job.name, job.state, job.crashes) order by job.name)
    from pillars.finished_jobs job where job.name like 'poison.%' and job.name <> 'poison.fork'
"""
FORKED = (
    "select count(*) from pillars.finished_jobs where name = 'poison.fork' and state = 'completed'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """How much of it."""

    seed: int
    neighbours: int = 400
    workers: int = 2


async def poison(plan: Poison, folder: Path) -> Report:
    """Run it, and look at what became of the poisoned and of the rest."""
    runs = folder / "runs"
    runs.mkdir()
    clients = Clients(plan.seed, count=plan.neighbours, seconds=10.0, long_share=0.05)
    async with served(folder) as server:
        crowd = Crowd(
            folder, [server.url] * plan.workers, ("worker",), environment(runs), expected=CODES
        )
        async with crowd.running():
            for name in POISONS:
                await ask(server.url, "select pillars.enqueue($1)", f"poison.{name}")
            for _ in range(FORKS):
                await ask(server.url, "select pillars.enqueue('poison.fork')")
            await clients.run(server.url)
            await settled(server.url, PATIENCE)
            codes = await crowd.leave(LEAVING)
        seen = await recording.history(server.url, runs, clients.asked, clients.cancels)
        ended, forked = await ask(server.url, ENDED), await ask(server.url, FORKED)
    expected = sorted(f"poison.{name} failed 3" for name in POISONS)
    broken = [f"the poisoned ended {ended}, not {expected}"] if ended != expected else []
    broken += [f"{forked} of {FORKS} jobs that fork completed"] if forked != FORKS else []
    broken += [f"a worker left with {code}" for code in codes if code not in LEFT]
    figures = {**counted(seen), **crowd.counted, **clients.figures}
    return Report(figures, [*crowd.strange, *broken, *told(seen)])
