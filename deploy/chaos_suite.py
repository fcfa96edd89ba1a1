"""Hurt real processes on a real Postgres, and see that every promise holds.

    python deploy/chaos_suite.py                    every scenario, about eleven minutes
    python deploy/chaos_suite.py storm ticking      those scenarios
    python deploy/chaos_suite.py --seed 7 storm     with the jobs and the faults that this seed draws
    python deploy/chaos_suite.py --long             an hour, seed after seed

Without --seed one is drawn. One seed draws the same jobs, and the same faults at the same times. What is broken is told with the shortest history that shows it, and the run
ends with 1.
"""

import argparse
import asyncio
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from chaos.aborting import Aborting, aborting  # noqa: E402
from chaos.boots import Boots, boots  # noqa: E402
from chaos.contention import Contention, contention  # noqa: E402
from chaos.deploys import Deploys, deploys  # noqa: E402
from chaos.failover import Failover, failover, moved  # noqa: E402
from chaos.poison import Poison, poison  # noqa: E402
from chaos.report import Report  # noqa: E402
from chaos.server import place  # noqa: E402
from chaos.skew import Skew, skew  # noqa: E402
from chaos.squeeze import squeeze  # noqa: E402
from chaos.starvation import Starvation, starvation  # noqa: E402
from chaos.storm import PARTITIONS, Storm, storm  # noqa: E402
from chaos.ticking import Ticking, ticking  # noqa: E402
from chaos.waking import Waking, waking  # noqa: E402

LONG = 3600.0  # seconds

Scenario = Callable[[int, Path], Awaitable[Report]]


async def crash_storm(seed: int, folder: Path) -> Report:
    """Workers killed and frozen, Postgres crashed, connections cut, while 6,000 jobs run."""
    return await storm(Storm(seed=seed), folder)


async def freezes(seed: int, folder: Path) -> Report:
    """Workers frozen for longer than their locks, while two jobs of five run as long: what a missing fence shows in."""
    faults = (*["freeze"] * 4, "kill")
    return await storm(
        Storm(seed=seed, jobs=1_200, seconds=22.0, long_share=0.4, faults=faults), folder
    )


async def partitions(seed: int, folder: Path) -> Report:
    """Workers whose connections break, or stay and let nothing through, for up to twice the lock, while jobs of up to four times the lock run."""
    plan = Storm(
        seed=seed, seconds=30.0, jobs=1_500, long_share=0.15, long=(1, 8), faults=PARTITIONS
    )
    return await storm(plan, folder)


async def starved(seed: int, folder: Path) -> Report:
    """Jobs that hold the loop or the interpreter for longer than the lock."""
    return await starvation(Starvation(seed=seed), folder)


async def cron(seed: int, folder: Path) -> Report:
    """Cron processes killed and frozen, Postgres crashed, while five schedules tick each second."""
    return await ticking(Ticking(seed=seed), folder)


async def poisoned(seed: int, folder: Path) -> Report:
    """Jobs that end the process they run in."""
    return await poison(Poison(seed=seed), folder)


async def promoted(seed: int, folder: Path) -> Report:
    """A primary that dies, is made read-only, and falls silent; its synchronous standby is promoted, and the URL names both."""
    return await failover(Failover(seed=seed), folder)


async def address_moved(seed: int, folder: Path) -> Report:
    """One address that moves to an asynchronous standby, which lacks the last half second: what that loses is counted."""
    return await moved(Failover(seed=seed, loses=True, jobs=1_000, seconds=10.0), folder)


async def squeezed(seed: int, folder: Path) -> Report:
    """A server that for some seconds takes no writes, then no connections, then has no room on its disk."""
    return await squeeze(Failover(seed=seed), folder)


async def skewed(seed: int, folder: Path) -> Report:
    """Workers and cron processes whose clocks are 90 s behind, right, and 90 s ahead."""
    return await skew(Skew(seed=seed), folder)


async def booting(seed: int, folder: Path) -> Report:
    """Ten processes that boot at once on an empty database, three times."""
    return await boots(Boots(seed=seed), folder)


async def rolling(seed: int, folder: Path) -> Report:
    """Releases that know other names of jobs, rolled out and back under load, with every way to stop a worker."""
    return await deploys(Deploys(seed=seed), folder)


async def contended(seed: int, folder: Path) -> Report:
    """Everybody at the same unique keys and the same rows, beside a transaction that stays open and a worker without a connection to spare."""
    return await contention(Contention(seed=seed), folder)


async def awakened(seed: int, folder: Path) -> Report:
    """Workers that poll once an hour, whose listeners are cut off, and jobs that come one by one by every door."""
    return await waking(Waking(seed=seed), folder)


async def aborted(seed: int, folder: Path) -> Report:
    """A hundred running jobs of every kind on two hosts, aborted by a handle, by SQL and over HTTP: each has ended in under a second."""
    return await aborting(Aborting(seed=seed), folder)


async def aborted_unheard(seed: int, folder: Path) -> Report:
    """The same where no worker hears a notification, with heartbeats as they are by default: in under twelve seconds."""
    plan = Aborting(seed=seed, at_once=25, heard=False, within=12.0)
    return await aborting(plan, folder)


SCENARIOS: Mapping[str, Scenario] = {
    "storm": crash_storm,
    "freezes": freezes,
    "partitions": partitions,
    "starvation": starved,
    "ticking": cron,
    "poison": poisoned,
    "failover": promoted,
    "moved": address_moved,
    "squeeze": squeezed,
    "skew": skewed,
    "boots": booting,
    "deploys": rolling,
    "contention": contended,
    "waking": awakened,
    "aborts": aborted,
    "aborts-unheard": aborted_unheard,
}


@dataclass
class Table:
    """What was seen so far, by scenario."""

    figures: dict[str, Counter[str]] = field(default_factory=dict)
    runs: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, name: str, seed: int, report: Report, seconds: float) -> None:
        """Note a run, and say a line about it."""
        self.runs[name] += 1
        for what, count in report.figures.items():
            sums = self.figures.setdefault(name, Counter())
            sums[what] = (
                max(sums[what], count) if what.startswith(("seconds", "ms")) else sums[what] + count
            )
        said = ", ".join(f"{what} {count:,}" for what, count in report.figures.items())
        print(
            f"{name} --seed {seed}: {said}; broken {len(report.broken)} ({seconds:.0f} s)",
            flush=True,
        )
        for line in report.broken:
            self.broken.append(f"{name} --seed {seed}: {line}")
            print(self.broken[-1], flush=True)


async def tried(name: str, seed: int, table: Table) -> None:
    """Run a scenario; one that breaks off is broken, and the others are worth running all the same."""
    print(f"{name} --seed {seed}", flush=True)
    began = time.monotonic()
    with place() as folder:
        try:
            report = await SCENARIOS[name](seed, folder)
        except Exception:  # noqa: BLE001 - told
            report = Report({}, [traceback.format_exc()])
    table.add(name, seed, report, time.monotonic() - began)


def rounds(names: list[str], seed: int, *, long: bool) -> Iterator[tuple[int, str]]:
    """Every scenario with this seed; in the long run every one again, with other seeds and without end."""
    while True:
        yield from ((seed, name) for name in names)
        if not long:
            return
        seed = random.randrange(10**6)


async def main(names: list[str], first: int, *, long: bool) -> int:
    table = Table()
    began = time.monotonic()
    for seed, name in rounds(names, first, long=long):
        if long and time.monotonic() - began > LONG:
            break
        await tried(name, seed, table)
    for name, figures in table.figures.items():
        said = ", ".join(f"{what} {count:,}" for what, count in figures.items())
        print(f"in all, {name} {table.runs[name]} times: {said}")
    print(f"broken: {len(table.broken)}, after {time.monotonic() - began:.0f} s")
    return 1 if table.broken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="scenario", help=", ".join(SCENARIOS))
    parser.add_argument("--seed", type=int, help="the first, or the only one")
    parser.add_argument("--long", action="store_true", help="go on for an hour")
    said = parser.parse_args()
    if unknown := set(said.names) - set(SCENARIOS):
        parser.error(f"expected one of {', '.join(SCENARIOS)}, got {', '.join(sorted(unknown))}")
    drawn = random.randrange(10**6) if said.seed is None else said.seed
    sys.exit(asyncio.run(main(said.names or list(SCENARIOS), drawn, long=said.long)))
