"""C7: releases rolled out and back under load, workers stopped in every way there is; then nobody ran what he does not know, and no stop cost a try."""

import random
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from uuid import UUID

import anyio
from anyio.abc import TaskGroup

from chaos import recording
from chaos.clients import Clients, thread, work
from chaos.crowd import PROJECT, UNMEASURED
from chaos.history import History
from chaos.report import Report
from chaos.server import served
from chaos.storm import CALM, CALM_AFTER, counted, settled, told
from pillars import Context, job
from process.pillar import App, app
from process.relay import Relay, relayed
from support import ask, asking, until

LOCK = 6.0  # seconds: nobody dies here, so no lock of a machine that is slow may expire
DRAIN = 2.0
LEAVING = DRAIN + 30.0  # seconds; a hang limit
AT_ONCE = 2  # boots
INSIST = 0.2  # seconds between two SIGINTs
CAUGHT = 3.0  # seconds to wait for a claim in flight
DRAINED, FENCED, FORCED = 0, 75, 130

FIRST, SECOND, LAST = "first", "second", "last"
BOTH = {"storm.work", "storm.thread"}
KNOWN: Mapping[str, set[str]] = {
    FIRST: BOTH | {"deploy.old"},
    SECOND: BOTH | {"deploy.new"},
    LAST: BOTH | {"deploy.old", "deploy.new", "deploy.nobody"},
}

CODES: Mapping[str, set[int]] = {
    "SIGTERM": {DRAINED},
    "SIGINT": {DRAINED},
    # It may have drained before the second came.
    "SIGINT twice": {DRAINED, FORCED},
    "SIGTERM in a claim": {DRAINED},
}
"""What a worker may end with that was stopped in this way, beside 75 where a slow machine made it unsure of its locks."""

WORKER = (
    "select worker_id::text from pillars.workers where pid = $1 order by started_at desc limit 1"
)
LEFT = """
    select (select count(*) from pillars.locks where locked_by = $1::uuid)
         + (select count(*) from pillars.jobs where locked_by = $1::uuid)
         + (select count(*) from pillars.workers where worker_id = $1::uuid)
"""
NOBODY = UUID(int=0)  # of a worker that has ended already: its code will tell
CLAIM_BRINGS = b"storm."
"""What stands in the answer to a claim, and in no other."""
CLAIMS = """
    select event.owner::text as owner, job.name, min(job.job_id::text) as job_id
    from chaos.events event
    join (select job_id, name from pillars.jobs union all select job_id, name from pillars.finished_jobs) job on job.job_id = event.job_id
    where event.what in ('claimed', 'taken')
    group by event.owner, job.name
"""
UNKNOWN_STAY = """
    select not exists (select from pillars.jobs where name = 'deploy.nobody' and (not parked or attempt > 0))
       and not exists (select from pillars.finished_jobs where name = 'deploy.nobody' and state <> 'cancelled')
"""


@job(name="deploy.old", max_attempts=100, max_crashes=1000, backoff="200ms")
async def old(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    raise NotImplementedError


@job(name="deploy.new", max_attempts=100, max_crashes=1000, backoff="200ms")
async def new(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    raise NotImplementedError


@job(name="deploy.nobody", max_attempts=100, max_crashes=1000, backoff="200ms")
async def nobody(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploys:
    """How much of it: so many stops of each of four kinds, in an order that the seed draws, a wave of one to each worker."""

    seed: int
    stops: int = 10
    workers: int = 4
    rate: float = 60.0
    """Jobs a second, of which `long_share` take one to four seconds, so that some outlast the drain."""
    long_share: float = 0.15


@dataclass(frozen=True, slots=True)
class Member:
    """A worker of a release, with its way to the database, and its id."""

    release: str
    way: Relay
    app: App
    worker_id: str

    @property
    def code(self) -> int | None:
        return self.app.process.poll()

    @property
    def drains(self) -> bool:
        return self.code is not None or "service.draining" in self.app.output


async def deploys(plan: Deploys, folder: Path) -> Report:
    """Roll the first release to the second and back until all stops are used up, then to the last, and look at what became of the jobs."""
    runs = folder / "runs"
    runs.mkdir()
    clients = Clients(
        plan.seed, count=10**6, seconds=10**6 / plan.rate, long_share=plan.long_share,
        of=(work, work, thread, thread, old, old, new, new, nobody),
    )  # fmt: skip
    async with served(folder) as server:
        rollout = Rollout(server.url, folder, runs)
        async with rollout.stack:
            async with anyio.create_task_group() as group:
                group.start_soon(clients.run, server.url)
                await _back_and_forth(plan, rollout)
                clients.over = True
            with suppress(AssertionError):
                await until(lambda: ask(server.url, UNKNOWN_STAY))
            if not await ask(server.url, UNKNOWN_STAY):
                rollout.broken.append("a job of a name that nobody knew did not stay as it was")
            async with anyio.create_task_group() as draining:
                await rollout.roll(LAST, ["SIGTERM"] * plan.workers, draining)
            calm_at = anyio.current_time()
            await settled(server.url, CALM)
            took = anyio.current_time() - calm_at
            await rollout.leave()
        seen = await recording.history(server.url, runs, clients.asked, clients.cancels)
        strangers = await claimed_by_strangers(server.url, rollout.releases)
    figures = {**counted(seen), **rollout.counted, **clients.figures, CALM_AFTER: round(took)}
    return Report(figures, [*rollout.broken, *strangers, *tries_lost(seen), *told(seen)])


async def _back_and_forth(plan: Deploys, rollout: "Rollout") -> None:
    """A deploy does not wait until the workers of the one before have drained."""
    stops = list(CODES) * plan.stops
    random.Random(plan.seed).shuffle(stops)
    releases = cycle((SECOND, FIRST))
    await rollout.begin(FIRST, plan.workers)
    async with anyio.create_task_group() as draining:
        for first in range(0, len(stops), plan.workers):
            await rollout.roll(next(releases), stops[first : first + plan.workers], draining)


@dataclass
class Rollout:
    """The workers that stand, each replaced in turn: the new one is ready before the old one is stopped."""

    url: str
    folder: Path
    runs: Path
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    members: list[Member] = field(default_factory=list)
    releases: dict[str, str] = field(default_factory=dict)
    """Of every worker there was, by its id."""
    counted: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    _booting: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(AT_ONCE))

    async def begin(self, release: str, workers: int) -> None:
        self.members = [await self._started(release) for _ in range(workers)]

    async def roll(self, release: str, stops: Sequence[str], draining: TaskGroup) -> None:
        """Put a worker of this release in the place of each that stands, and have that one stopped in its way."""
        self.counted["deploys"] += 1
        leaving, self.members = self.members, []
        async with anyio.create_task_group() as group:
            for member, stop in zip(leaving, stops, strict=True):
                group.start_soon(self._replace, member, release, stop, draining)

    async def leave(self) -> None:
        """Stop those that stand, idle as they are."""
        async with anyio.create_task_group() as group:
            for member in self.members:
                group.start_soon(self._stop, member, "SIGTERM")

    async def _replace(self, leaving: Member, release: str, stop: str, draining: TaskGroup) -> None:
        async with self._booting:
            self.members.append(await self._started(release))
        draining.start_soon(self._stop, leaving, stop)

    async def _started(self, release: str) -> Member:
        way = await self.stack.enter_async_context(relayed(self.url))
        started = self.stack.enter_context(
            app(
                self.folder, way.url, "worker", project=PROJECT,
                CHAOS_RUNS=str(self.runs), PILLARS_JOBS=f"releases.{release}", PILLARS_LOCK=f"{LOCK}s", PILLARS_DRAIN=f"{DRAIN}s",
                **UNMEASURED,
            )
        )  # fmt: skip
        await started.ready()
        worker_id = str(await ask(self.url, WORKER, started.process.pid) or NOBODY)
        self.releases[worker_id] = release
        return Member(release, way, started, worker_id)

    async def _stop(self, member: Member, stop: str) -> None:
        """Stop it in this way, and look at what it leaves."""
        self.counted[f"stops by {stop}"] += 1
        with anyio.move_on_after(LEAVING):
            await self._signalled(member, stop)
            await until(lambda: member.code is not None, within=LEAVING)
        code = member.code
        left = await ask(self.url, LEFT, member.worker_id)
        self.counted["forced out"] += code == FORCED
        self.counted["fenced themselves"] += code == FENCED
        if code not in CODES[stop] | {FENCED}:
            said = member.app.output[-500:]
            self.broken.append(f"a worker of {member.release} left by {stop} with {code}: {said}")
        if code == DRAINED and left:
            self.broken.append(
                f"a worker of {member.release} left by {stop}, and {left} rows are still its own"
            )

    async def _signalled(self, member: Member, stop: str) -> None:
        send = member.app.signal
        match stop:
            case "SIGTERM":
                send(signal.SIGTERM)
            case "SIGINT":
                send(signal.SIGINT)
            case "SIGINT twice":
                while member.code is None:
                    send(signal.SIGINT)
                    await anyio.sleep(INSIST)
            case "SIGTERM in a claim":
                member.way.blackhole_at(answered=CLAIM_BRINGS)
                with suppress(AssertionError):
                    await until(lambda: not member.way.passing, within=CAUGHT)
                    self.counted["claims in flight at a stop"] += 1
                send(signal.SIGTERM)
                await until(lambda: member.drains)
                member.way.heal()


def tries_lost(seen: History) -> list[str]:
    """Jobs that ended with more tries than they took: each, or the second of every 50th number, is done at once."""
    return [
        f"job {job_id} completed at attempt {events[-1].attempt}\n{seen.told(job_id)}"
        for job_id, events in seen.of_job.items()
        if events[-1].state == "completed"
        and events[-1].attempt > 1 + (int(str(events[0].told["number"])) % 50 == 0)
    ][:1]


async def claimed_by_strangers(url: str, releases: Mapping[str, str]) -> list[str]:
    """Jobs that were claimed by a worker of a release that does not know their name."""
    async with asking(url) as connection:
        return [
            f"job {claim['job_id']} of {claim['name']} was claimed by the {releases.get(claim['owner'])} release"
            for claim in await connection.fetch(CLAIMS)
            if claim["name"] not in KNOWN.get(releases.get(claim["owner"], ""), frozenset())
        ]
