"""Web, worker and cron under a mixed load for a while: what they hold of the machine does not grow."""

import asyncio
import json
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx2

from chaos.report import Report
from process.dev import free_port
from process.pillar import App, ready_app
from support import ask, asking, tell, until

PROJECT = Path(__file__).parent / "project"
KINDS = {
    "done": "completed", "thread": "completed", "again": "completed", "fails": "failed", "late": "failed", "held": "cancelled",
}  # fmt: skip
SHARES = (10, 4, 3, 2, 1, 2)
PATHS = (
    "/dashboard", "/dashboard/jobs", "/dashboard/queues", "/dashboard/workers", "/api/jobs", "/api/jobs/stats", "/api/workers",
    "/api/health", "/metrics",
)  # fmt: skip
POOL = 3  # connections: that all of them are open shows in the first samples already
BURST = (
    200  # jobs of a kind before each sample, so that all pools and threads are as full as they get
)
MAY_GROW = 5  # descriptors, or tasks
MAY_GROW_BY = 64 * 1024  # kB of memory: what an allocator keeps is no leak
CUT = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name like 'pillars%'"
LEFT = "select count(*) from pillars.jobs where name <> 'pulse'"
ENQUEUE = "select pillars.enqueue($1, $2)"
ENQUEUE_MANY = "select pillars.enqueue($1, jsonb_build_object('number', number)) from generate_series(1, $2::integer) number"


@dataclass(frozen=True)
class Soak:
    """How long, and how it is looked at, in seconds."""

    seed: int
    warm_up: float = 120.0
    samples: int = 9
    sample_every: float = 60.0
    cut_every: float = 30.0


@dataclass(frozen=True)
class Sample:
    """What one process holds while it has nothing to do."""

    role: str
    at: float
    descriptors: int
    tasks: int
    threads: int
    memory: int
    """kB, resident."""

    def __str__(self) -> str:
        return (
            f"{self.at:5.0f} s  {self.role:6}  {self.descriptors:3} descriptors  {self.tasks:3} tasks  "
            f"{self.threads:3} threads  {self.memory / 1024:6.1f} MB"
        )


@dataclass
class Load:
    """Jobs of each kind, cancels, requests, and cut connections, while `flowing` is set."""

    plan: Soak
    url: str
    address: str
    random: random.Random
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    enqueued: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    cuts: int = 0
    to_cancel: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    unsure: set[str] = field(default_factory=set)
    """Jobs of which a cut connection kept from the API whether they are cancelled."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        async with anyio.create_task_group() as group:
            for part in (self._enqueue, self._cancel, self._browse, self._cut):
                group.start_soon(part)
            yield self
            group.cancel_scope.cancel()

    async def quiet(self) -> None:
        """Return once all is done, and nothing new comes."""
        self.flowing.clear()
        await until(self._nothing_left, within=120, every=0.2)
        for kind in ("done", "thread"):
            await tell(self.url, ENQUEUE_MANY, kind, BURST)
            self.enqueued[kind] += BURST
        await until(self._nothing_left, within=120, every=0.2)

    async def _nothing_left(self) -> bool:
        return bool(await ask(self.url, LEFT) == 0)

    async def _put(self, kind: str) -> None:
        number = json.dumps({"number": self.enqueued[kind]})
        self.enqueued[kind] += 1
        job_id = str(await ask(self.url, ENQUEUE, kind, number))
        if kind == "held":
            self.to_cancel.put_nowait(job_id)

    async def _enqueue(self) -> None:
        while True:
            await self.flowing.wait()
            [kind] = self.random.choices(list(KINDS), SHARES)
            await self._put(kind)
            await anyio.sleep(self.random.uniform(0, 0.04))

    async def _cancel(self) -> None:
        async with httpx2.AsyncClient(base_url=self.address, timeout=30) as client:
            while True:
                job_id = await self.to_cancel.get()
                await anyio.sleep(self.random.uniform(0, 0.2))
                answer = await client.delete(f"/api/jobs/{job_id}")
                if job_id in self.unsure and done_before(answer):
                    continue
                self.answers[answer.status_code] += 1
                if answer.status_code not in {200, 202}:
                    self.unsure.add(job_id)
                    self.to_cancel.put_nowait(job_id)

    async def _browse(self) -> None:
        """A client of its own for some requests, as browsers come and go."""
        while True:
            await self.flowing.wait()
            async with httpx2.AsyncClient(base_url=self.address, timeout=30) as client:
                for path in self.random.choices(PATHS, k=10):
                    answer = await client.get(path)
                    self.answers[answer.status_code] += 1
                    await anyio.sleep(0.05)

    async def _cut(self) -> None:
        while True:
            await anyio.sleep(self.plan.cut_every)
            await self.flowing.wait()
            self.cuts += int(await ask(self.url, CUT))


def done_before(answer: httpx2.Response) -> bool:
    """Whether the request that was answered by 503 had cancelled the job after all."""
    return answer.status_code == 409 and answer.json()["state"] == "cancelled"


@dataclass(frozen=True)
class Fleet:
    """The processes, and where they answer how many tasks they have."""

    apps: Mapping[str, App]
    census: Path

    async def samples(self, at: float) -> list[Sample]:
        return [await self._sample(role, app, at) for role, app in self.apps.items()]

    async def _sample(self, role: str, app: App, at: float) -> Sample:
        pid = app.process.pid
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        return Sample(
            role, at, len(list(Path(f"/proc/{pid}/fd").iterdir())), await self._tasks(app),
            int(status["Threads"]), int(status["VmRSS"].split()[0]),
        )  # fmt: skip

    async def _tasks(self, app: App) -> int:
        answer = self.census / str(app.process.pid)
        answer.unlink(missing_ok=True)

        def answered() -> bool:
            app.signal(signal.SIGUSR1)
            return answer.exists()

        await until(answered, every=0.2)
        return int(answer.read_text())

    async def stop(self) -> list[str]:
        """Stop them; returns what is not as it should be."""
        for app in self.apps.values():
            app.signal(signal.SIGTERM)
        codes = {role: await app.ended() for role, app in self.apps.items()}
        return [f"{role} ended with {code}" for role, code in codes.items() if code]


@asynccontextmanager
async def fleet(folder: Path, url: str, port: int) -> AsyncIterator[Fleet]:
    """Web, worker and cron, ready."""
    census = folder / "census"
    census.mkdir()
    environ = {"SOAK_CENSUS": str(census), "PILLARS_POOL": str(POOL)}
    web = {"HOST": "127.0.0.1", "PORT": str(port)}
    async with AsyncExitStack() as held:
        apps = {
            role: await held.enter_async_context(
                ready_app(folder, url, role, project=PROJECT, **environ | more)
            )
            for role, more in (("web", web), ("worker", {}), ("cron", {}))
        }
        yield Fleet(apps, census)


async def soak(
    plan: Soak, url: str, folder: Path, say: Callable[[str], None] = lambda _line: None
) -> Report:
    """Run the load, and look at the processes whenever it pauses."""
    port = free_port()
    async with fleet(folder, url, port) as processes:
        load = Load(plan, url, f"http://127.0.0.1:{port}", random.Random(plan.seed))
        taken: list[list[Sample]] = []
        began = time.monotonic()
        async with load.running():
            while len(taken) < plan.samples:
                load.flowing.set()
                await anyio.sleep(plan.sample_every if taken else plan.warm_up)
                await load.quiet()
                taken.append(await processes.samples(time.monotonic() - began))
                for sample in taken[-1]:
                    say(str(sample))
        broken = [*grown(taken[0], taken[-1]), *await processes.stop(), *await ended_wrongly(load)]
    figures = {
        "jobs": load.enqueued.total(),
        "requests": load.answers.total(),
        "connections cut": load.cuts,
        "answers 503": load.answers[503],
    }
    broken += [f"{count} answers were {status}" for status, count in load.answers.items() if status not in {200, 202, 503}]  # fmt: skip
    return Report(figures, broken)


def grown(first: list[Sample], last: list[Sample]) -> list[str]:
    """What the processes hold more of, at the end, than once they were warm."""
    found: list[str] = []
    for one, other in zip(first, last, strict=True):
        for what, before, after, most in (
            ("descriptors", one.descriptors, other.descriptors, MAY_GROW),
            ("tasks", one.tasks, other.tasks, MAY_GROW),
            ("kB of memory", one.memory, other.memory, MAY_GROW_BY),
        ):
            if after - before > most:
                found.append(f"{one.role} has {after} {what}, {before} once it was warm")
    return found


async def ended_wrongly(load: Load) -> list[str]:
    """Whatever is not one end a job, of its kind."""
    async with asking(load.url) as connection:
        rows = await connection.fetch(
            "select name, state, count(*) from pillars.all_jobs where name <> 'pulse' group by 1, 2"
        )
    found = {(row[0], row[1]): row[2] for row in rows}
    expected = {(kind, KINDS[kind]): count for kind, count in load.enqueued.items()}
    return [] if found == expected else [f"jobs ended as {found}, and were to end as {expected}"]
