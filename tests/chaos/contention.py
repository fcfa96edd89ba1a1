"""C8: everybody at the same keys and rows, a transaction that stays open, a worker whose jobs hold its pool; then nobody was refused, and no lock was lost."""

import math
import signal
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx2

from chaos import recording
from chaos.crowd import LEFT, PROJECT, UNMEASURED
from chaos.history import History
from chaos.meddling import PAUSED, QUEUES, Meddling, queue_of
from chaos.report import Report
from chaos.server import served
from chaos.storm import CALM, CALM_AFTER, LEAVING, counted, settled, told
from process.dev import free_port
from process.pillar import App, app
from support import ask, asking, until

LOCK = 5.0  # seconds
CALM_BEFORE = 4.0  # seconds in which there are enqueuers and workers alone, to compare with
HOLDERS = 2  # jobs that hold the pool's only connection, one after the other
KEPT = 10  # keys whose jobs the open transaction keeps
LOOK = 1.0  # seconds between two scrapes
SMALL = QUEUES[-1]
WORKER = "select worker_id::text from pillars.workers where pid = $1"
CLOCK = "select extract(epoch from clock_timestamp())::float8"
HOLD = """
    select pillars.enqueue('contend.hold', jsonb_build_object('seconds', $1::float8), queue => $2)
"""
KEEP = """
    with kept as (select from pillars.jobs where unique_key = any($1::text[]) for update)
    select count(*) from kept
"""
READ = "select count(*) from pillars.finished_jobs"
BESIDE = """
    select count(*) filter (where event.what = 'claimed') as claimed, count(*) filter (where event.what = 'gone') as finished
    from pillars.finished_jobs holder
    left join chaos.events event
      on event.owner = $1::uuid and extract(epoch from event.noted_at)::float8
         between (holder.result ->> 'since')::float8 and (holder.result ->> 'until')::float8
    where holder.name = 'contend.hold'
    group by holder.job_id
"""
DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contention:
    """How much of it: enqueuers of so many keys, seconds that a transaction stays open, and those that a job holds the pool's connection."""

    seed: int
    seconds: float = 30.0
    holds: float = 12.0
    enqueuers: int = 16
    keys: int = 150


async def contention(plan: Contention, folder: Path) -> Report:
    """Run it, and see what the crowd was told, who lost a lock, and whether a key ever had two unfinished jobs."""
    runs = folder / "runs"
    runs.mkdir()
    async with served(folder) as server:
        url = server.url
        meddling = Meddling(plan.seed, url, keys=plan.keys)
        with ExitStack() as stack:
            workers = Workers(url, folder, runs, stack)
            small = await workers.small()
            for _ in range(2):
                await workers.started(*QUEUES[:-1])
            began = await _contended(plan, meddling, small)
            calm_at = anyio.current_time()
            await settled(url, CALM)
            took = anyio.current_time() - calm_at
            left = await workers.leave()
        seen = await recording.history(url, runs, meddling.asked, meddling.cancels)
        beside = await small.beside()
        figures = {
            **counted(seen), **meddling.figures, "enqueues": len(meddling.asked), "scrapes": small.scrapes,
            "done beside a full pool": sum(beside), "deadlocks": await ask(url, DEADLOCKS), CALM_AFTER: round(took),
            "ms of a start, p99 calm": slow_start(seen, 0, began), "ms of a start, p99": slow_start(seen, began, math.inf),
        }  # fmt: skip
    broken = [*meddling.broken, *small.broken, *lost_locks(seen)]
    broken += [f"a worker left with {code}" for code in left if code not in LEFT]
    if len(beside) != HOLDERS or not all(beside):
        broken.append(
            f"while each of {HOLDERS} jobs held the pool, so many were claimed and finished: {beside}"
        )
    return Report(figures, [*broken, *told(seen)])


async def _contended(plan: Contention, meddling: Meddling, small: "Small") -> float:
    """All at once, after a moment in which there are enqueuers alone; returns when that was over, by the database's clock."""
    url = meddling.url
    async with anyio.create_task_group() as group:
        for which in range(plan.enqueuers):
            group.start_soon(meddling.enqueue, which)
        await anyio.sleep(CALM_BEFORE)
        began = float(await ask(url, CLOCK))
        for _ in range(HOLDERS):
            await ask(url, HOLD, plan.holds, SMALL)
        group.start_soon(meddling.meddle)
        group.start_soon(small.scrape)
        kept = await meddling.put_off(KEPT)
        async with (
            asking(url) as keeper,
            keeper.transaction(),
            asking(url) as reader,
            reader.transaction(isolation="repeatable_read"),
        ):
            await reader.fetchval(READ)
            meddling.figures["rows kept by a transaction"] += await keeper.fetchval(KEEP, kept)
            await anyio.sleep(plan.seconds)
        meddling.over = small.over = True
    return began


@dataclass
class Workers:
    """Workers of some queues each, killed at the end of the stack."""

    url: str
    folder: Path
    runs: Path
    stack: ExitStack
    apps: list[App] = field(default_factory=list)

    async def started(self, *queues: str, **environ: str) -> App:
        """A worker of these queues alone, once it is ready."""
        served_queues = ",".join(f"{queue}:50" for queue in queues)
        started = self.stack.enter_context(
            app(
                self.folder, self.url, "worker", "-q", served_queues, project=PROJECT,
                CHAOS_RUNS=str(self.runs), PILLARS_LOCK=f"{LOCK}s", **UNMEASURED, **environ,
            )
        )  # fmt: skip
        self.apps.append(started)
        await started.ready()
        return started

    async def small(self) -> "Small":
        """One whose jobs have a single connection between them."""
        port = free_port()
        started = await self.started(
            SMALL,
            PILLARS_POOL="1",
            PILLARS_HEALTH_HOST="127.0.0.1",
            PILLARS_HEALTH_PORT=str(port),
        )
        worker_id = await ask(self.url, WORKER, started.process.pid)
        return Small(self.url, worker_id, f"http://127.0.0.1:{port}")

    async def leave(self) -> list[int | None]:
        """Stop them; returns their exit codes, None of those that had not ended in time."""
        for one in self.apps:
            one.signal(signal.SIGTERM)
        with suppress(AssertionError):
            await until(self._all_ended, within=LEAVING)
        return [one.process.poll() for one in self.apps]

    def _all_ended(self) -> bool:
        return all(one.process.poll() is not None for one in self.apps)


@dataclass
class Small:
    """The worker with one connection for its jobs, watched while two of them want it for long."""

    url: str
    worker_id: str
    address: str
    scrapes: int = 0
    over: bool = False
    broken: list[str] = field(default_factory=list)

    async def scrape(self) -> None:
        """Read its metrics again and again, until it is over."""
        async with httpx2.AsyncClient(timeout=LEAVING) as client:
            while not self.over:
                answer = await client.get(f"{self.address}/metrics")
                self.scrapes += 1
                if answer.status_code != 200 or "\npillars_database_up 1" not in answer.text:
                    self.broken.append(f"a scrape: {answer.status_code} {answer.text[:300]}")
                await anyio.sleep(LOOK)

    async def beside(self) -> list[int]:
        """How many jobs it has claimed while one held its pool's connection, and how many finished, of each that did: the lesser of both."""
        async with asking(self.url) as connection:
            return [min(row) for row in await connection.fetch(BESIDE, self.worker_id)]


def lost_locks(seen: History) -> list[str]:
    """Jobs that were taken from a worker: all of them live."""
    return [
        f"job {event.job_id} was taken from a worker that lives\n{seen.told(event.job_id)}"
        for event in seen.events
        if event.swept and event.what in {"freed", "gone"} and event.token is not None
    ][:1]


def slow_start(seen: History, since: float, until: float) -> int:
    """Milliseconds between a job's being made and its first claim, that 99 of 100 of that time needed less than; paused queues are left out."""
    waits = sorted(
        next(event.at for event in events if event.what == "claimed") - events[0].at
        for events in seen.of_job.values()
        if since <= events[0].at < until
        and queue_of(int(str(events[0].told.get("number", 0)))) != PAUSED
        and any(event.what == "claimed" for event in events)
        and events[0].run_at <= events[0].began_at
    )
    return round(1000 * waits[len(waits) * 99 // 100]) if waits else 0
