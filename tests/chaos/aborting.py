"""Jobs of every kind on two hosts that share nothing, aborted by every door at odd moments; with LISTEN, and without."""

import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
from pooling import free_port

from chaos.crowd import LEFT, PROJECT, UNMEASURED
from chaos.hosts import Host, hosts
from chaos.report import Report
from chaos.server import served
from pillars import Context, Handle, connect, connection, job, shell_job
from pillars.jobs.definition import Job
from process.pillar import App, app
from process.relay import Relay
from support import ask, is_alive, until

HOSTS = 2
TOKEN = "the-token-of-a-chaos-run"
PATIENCE = 60.0  # seconds; a hang limit
MOMENT = (0.0, 0.3)  # seconds that a job runs before it is aborted
ENDED = """
    select finished.state, finished.last_error as said, extract(epoch from ended.noted_at)::float8 as at
    from pillars.finished_jobs finished join chaos.events ended using (job_id)
    where finished.job_id = $1::uuid and ended.what = 'ended'
"""


@job(name="abort.loop")
async def loop(mark: str) -> None:
    raise NotImplementedError  # it is the workers' project that has the code


@job(name="abort.thread")
def thread(ctx: Context, mark: str) -> None:
    raise NotImplementedError


@job(name="abort.child", process=True)
def child(mark: str) -> None:
    raise NotImplementedError


program = shell_job(["false", "{mark}"], name="abort.program")
KINDS: tuple[Job[..., Any], ...] = (loop, thread, child, program)
WHO = {"handle": "handle", "sql": "sql", "api": "PILLARS_TOKEN"}
"""Who is said to have asked, by the door."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborting:
    """How much of it."""

    seed: int
    tries: int = 100
    at_once: int = 4
    heard: bool = True
    """Whether workers hear notifications: else their LISTEN is cut, and it is a heartbeat's answer that tells them."""
    within: float = 1.0
    """Seconds from the call to the stored end."""
    environ: dict[str, str] = field(default_factory=dict)


async def aborting(plan: Aborting, folder: Path) -> Report:
    """Start jobs, abort each, and see how it ended, when, and that nothing of it is left."""
    tried = Tried(plan)
    async with served(folder) as server, connect(server.url), AsyncExitStack() as stack:
        places = stack.enter_context(hosts(HOSTS, wires=2))
        workers = [
            await stack.enter_async_context(working(folder, server.url, number, host, plan))
            for number, host in enumerate(places)
        ]
        port = free_port()
        web = stack.enter_context(
            app(folder, server.url, "web", project=PROJECT, PORT=str(port), PILLARS_TOKEN=TOKEN, **UNMEASURED)
        )  # fmt: skip
        await web.ready()
        browser = await stack.enter_async_context(
            httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}
            )
        )
        doors = Doors(server.url, browser)
        async with anyio.create_task_group() as group:
            numbers = iter(range(plan.tries))
            for _ in range(plan.at_once):
                group.start_soon(tried.one_after_another, numbers, doors, folder)
        codes = [await left(worker) for worker in workers]
    tried.broken += [f"a worker left with {code}" for code in codes if code not in LEFT]
    left_over = filter(None, map(goes_on, folder.glob("mark-*[0-9]")))
    tried.broken += [f"after the workers: {told}" for told in left_over]
    figures = {
        **tried.figures,
        "hosts with a network of their own": sum(host.is_apart for host in places),
    }
    return Report(figures, tried.broken)


@asynccontextmanager
async def working(
    folder: Path, url: str, number: int, host: Host, plan: Aborting
) -> AsyncIterator[App]:
    """A worker on a host, of a queue of its own, with one wire for what it asks and one by which it hears."""
    asks, hears = (Relay(url).opened(end) for end in host.ends)
    async with asks as wire, hears as ear:
        environ = {
            "DATABASE_DIRECT_URL": ear.url, "PILLARS_CHILDREN": str(plan.at_once), "PILLARS_QUEUES": f"host-{number}", **UNMEASURED, **plan.environ,
        }  # fmt: skip
        with app(
            folder, wire.url, "worker", project=PROJECT, within=host.words, **environ
        ) as worker:
            await worker.ready()
            if not plan.heard:
                ear.blackhole()
            yield worker


async def left(worker: App) -> int:
    worker.process.terminate()
    return await worker.ended()


@dataclass(frozen=True, slots=True)
class Doors:
    """The ways in which a job is aborted."""

    url: str
    browser: httpx2.AsyncClient

    async def handle(self, handle: Handle[Any]) -> None:
        await handle.cancel(by="handle")

    async def sql(self, handle: Handle[Any]) -> None:
        await ask(self.url, "select pillars.cancel($1::uuid, 'sql')", handle.job_id)

    async def api(self, handle: Handle[Any]) -> None:
        (await self.browser.delete(f"/api/jobs/{handle.job_id}")).raise_for_status()

    @property
    def all(self) -> tuple[Callable[[Handle[Any]], Awaitable[None]], ...]:
        return self.handle, self.sql, self.api


@dataclass
class Tried:
    """What became of each try."""

    plan: Aborting
    took: list[float] = field(default_factory=list)
    """Seconds, of each that ended."""
    broken: list[str] = field(default_factory=list)

    @property
    def figures(self) -> dict[str, int]:
        within = sum(seconds <= self.plan.within for seconds in self.took)
        return {
            "aborts": self.plan.tries,
            f"ended in under {self.plan.within:g} s": within,
            "ms of the slowest": round(max(self.took, default=0) * 1_000),
            "ms of the median": round(statistics.median(self.took or [0]) * 1_000),
        }

    async def one_after_another(self, numbers: Iterator[int], doors: Doors, folder: Path) -> None:
        for number in numbers:
            chance = random.Random(f"abort {number} of {self.plan.seed}")
            kind, door = chance.choice(KINDS), chance.choice(doors.all)
            told = await self._trouble(number, kind, door, folder, chance.uniform(*MOMENT))
            if told:
                self.broken.append(f"abort {number}, of {kind.name} by {door.__name__}: {told}")

    async def _trouble(
        self, number: int, kind: Job[..., Any], door: Callable[[Handle[Any]], Awaitable[None]], folder: Path, moment: float
    ) -> str:  # fmt: skip
        """Start one and abort it; returns what was wrong, in words."""
        mark = folder / f"mark-{number}"
        handle = await kind.configure(queue=f"host-{number % HOSTS}").enqueue(mark=str(mark))
        await until(mark.exists, within=PATIENCE)
        await anyio.sleep(moment)
        asked_at = time.time()
        await door(handle)
        await until(lambda: end_of(handle), within=PATIENCE)
        ended = await end_of(handle)
        self.took.append(ended["at"] - asked_at)
        if ended["state"] != "cancelled":
            return f"it ended {ended['state']}"
        if ended["said"] != f"cancelled by {WHO[door.__name__]}":
            return f"of who asked is said: {ended['said']}"
        if self.took[-1] > self.plan.within:
            return f"it ended after {self.took[-1]:.2f} s"
        # An interpreter ends some moments after its function; a program is gone before its job has ended.
        return goes_on(mark) if kind is program else runs_on(mark)


async def end_of(handle: Handle[Any]) -> Any:
    """How it ended, who had asked, and when; None until then."""
    async with connection() as mine:
        return await mine.fetchrow(ENDED, handle.job_id)


def runs_on(mark: Path) -> str:
    """Whether code goes on that says so when it ends."""
    return "" if mark.with_suffix(".ended").exists() else "its code had not ended"


def goes_on(mark: Path) -> str:
    """Which of the processes that have written themselves down are alive."""
    alive = [pid for pid in map(int, mark.read_text().split()) if is_alive(pid)]
    return f"its processes {alive} are alive" if alive else ""
