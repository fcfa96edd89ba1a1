"""A small world of work in one database: a worker and a cron process, clients, and the rules that hold whatever fails."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import anyio
import asyncpg
from faults.striking import Strike, points_of

from chaos import recording
from chaos.history import Asked, History, Run, violations
from pillars import Context, Discard, Retry, Snooze, connection, job
from pillars.cron.pillar import Cron
from pillars.errors import DatabaseTrouble
from pillars.jobs.connected import using
from pillars.jobs.handle import Handle
from pillars.schedules import Schedule
from pillars.service.process import Process
from pillars.store import jobs as store
from pillars.store.database import Database
from pillars.store.migrate import Migration
from pillars.store.pool import Pool
from pillars.worker.pillar import Worker
from support import settings_for, until, worker_for

LOCK = "2s"  # the shortest there is
REST = 20.0  # seconds; a hang limit
TRIES = 2  # one execution fails: whoever asks again is answered
Answer = TypeVar("Answer")

HERE: "ContextVar[World]" = ContextVar("world")
LEFT = """
select (select count(*) from pillars.jobs), (select count(*) from pillars.locks),
       (select count(*) from pg_stat_activity
        where datname = current_database() and application_name like 'pillars%' and state like 'idle in transaction%')
"""
ADVISORY = """
select count(*) from pg_locks lock join pg_stat_activity holder using (pid)
where lock.locktype = 'advisory' and lock.database = (select oid from pg_database where datname = current_database())
  and holder.application_name not in ('pillars leader')
"""

TICKS = """
select tick.schedule, count(*)::integer,
       (select count(*)::integer from pillars.finished_jobs ended where ended.context like 'schedule ' || tick.schedule || ' at %')
from pillars.ticks tick group by tick.schedule
"""


@dataclass(slots=True)
class Noted:
    """A run of a job's code, and the token of its claim, which a job is not told otherwise."""

    token: int
    ended_at: float | None = None

    def over(self) -> None:
        """What it does from here on is about its own end."""
        self.ended_at = time.time()


@asynccontextmanager
async def noted(ctx: Context) -> AsyncIterator[Noted]:
    """Write down that code of a claim runs."""
    world = HERE.get()
    _, token = ctx._complete._attempt.key  # type: ignore[attr-defined]
    began, mine = time.time(), Noted(token)
    try:
        yield mine
    finally:
        ended = mine.ended_at or time.time()
        world.runs.append(
            Run(job_id=ctx.job_id, token=token, pid=0, began_at=began, ended_at=ended)
        )


@job(name="faults.work", max_attempts=100, max_crashes=1000, backoff="20ms")
async def work(ctx: Context, number: int, how: str = "") -> dict[str, int]:
    """Complete, at once or in the end."""
    async with noted(ctx) as noting:
        ended = {"number": number, "token": noting.token}
        match how:
            case "retry" if ctx.attempt == 1:
                raise Retry(after="10ms")
            case "snooze" if time.time() < HERE.get().snoozed.setdefault(
                number, time.time() + 0.02
            ):
                raise Snooze("10ms")
            case "say" | "remember" | "listen":
                await speak(ctx, number, how)
            case "wait":
                await HERE.get().let.wait()
            case "rest":
                while not HERE.get().let.is_set():
                    await ctx.checkpoint()
                    await anyio.sleep(0.001)
            case "complete inside":
                async with connection() as mine:
                    await mine.execute("insert into effects values ($1)", number)
                    noting.over()
                    await ctx.complete(ended, connection=mine)
        return ended


async def speak(ctx: Context, number: int, how: str) -> None:
    """Say something, or hear it."""
    if how == "say":
        ctx.log.info("said", number=number)
        ctx.progress(number)
        ctx.emit("number", number)
    elif how == "listen":
        async for message in ctx.inbox:
            if message.data == "end":
                break
    elif "number" not in ctx.metadata:
        ctx.metadata["number"] = number
        raise Snooze("10ms")


@job(name="faults.fail", max_attempts=2, max_crashes=1000, backoff="10ms")
async def fail(ctx: Context, how: str) -> dict[str, int]:
    """End failed."""
    async with noted(ctx):
        raise Discard(how) if how == "discard" else ValueError(how)


@job(name="faults.ticked", max_attempts=100, max_crashes=1000, backoff="20ms")
async def ticked(ctx: Context) -> dict[str, int]:
    async with noted(ctx) as noting:
        return {"token": noting.token}


JOBS = (work, fail, ticked)


class World:
    """What one database holds and who works on it; `cases` names what each number was enqueued for."""

    def __init__(
        self, url: str, database: Database, eye: "asyncpg.Connection[asyncpg.Record]"
    ) -> None:
        self.url = url
        self.database = database
        self.eye = eye
        self.points = points_of(url)
        self.case = "before any"
        self.asked: list[Asked] = []
        self.cases: dict[int, str] = {}
        self.cancels: dict[str, str] = {}
        self.runs: list[Run] = []
        self.undone: set[int] = set()
        """Numbers whose transaction was rolled back."""
        self.effects: set[int] = set()
        """Numbers of which each has an effect, once."""
        self.ticked: set[str] = set()
        """Schedules of which each has one tick, and one job for it."""
        self.migrations: list[Migration] = []
        self.fences = 0
        self.loop = asyncio.get_running_loop()
        self.snoozed: dict[int, float] = {}
        self.let = anyio.Event()
        self.wrong: list[str] = []
        """What broke a promise."""
        self.troubles: list[BaseException] = []
        """What clients were told since the case began."""
        self.leaves = False
        self.client: asyncio.Future[Any] | None = None
        self.strike: Strike | None = None
        self._number = self._dailies = 0
        self.schedules: Sequence[Schedule] = ()
        self.worker = self._worker()
        self.cron = self._cron()
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._may_end: set[str] = set()

    def begin(self, case: str, strike: Strike) -> None:
        self.case, self.strike = case, strike
        self.troubles.clear()

    def tell(self, wrong: str) -> None:
        self.wrong.append(f"{self.case}: {wrong}")

    # The processes

    @asynccontextmanager
    async def peopled(self) -> AsyncIterator["World"]:
        """A worker and a cron process serve for the block; each is followed by another where it ends."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._serve, "worker", self._work)
            group.start_soon(self._serve, "cron", self._tick)
            await self.served()
            yield self
            self.leaves = True
            self.worker.process.stopping.set()
            self.cron.process.stopping.set()

    async def served(self) -> None:
        await until(lambda: self.worker.process.ready and self.cron.process.ready)

    def _worker(self) -> Worker:
        return worker_for(
            self.database, *JOBS, lock=LOCK, heartbeat="200ms", poll="250ms", poll_max="1s", concurrency=10, drain="300ms",
        )  # fmt: skip

    def _cron(self) -> Cron:
        return Cron(
            Process("cron", settings_for(self.url, lock=LOCK), self.database), self.schedules
        )

    async def _work(self) -> None:
        self.worker = self._worker()
        await self.worker.run()

    async def _tick(self) -> None:
        self.cron = self._cron()
        await self.cron.run()

    async def _serve(self, role: str, run: Callable[[], Awaitable[None]]) -> None:
        while not self.leaves:
            with anyio.CancelScope() as self._scopes[role]:
                try:
                    await run()
                except DatabaseTrouble as trouble:
                    # At its boot a worker ends with what the database said, and its platform starts another.
                    if role != "worker" or self.worker.process.ready:
                        self.tell(f"{role} ended: {trouble!r}")
                except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                    self.tell(f"{role} ended: {error!r}")
                else:
                    if not (self.leaves or role in self._may_end):
                        self.tell(f"{role} ended by itself")
            self._may_end.discard(role)

    def fenced(self, _code: int) -> None:
        """A worker that was starved for too long ends itself, with 75."""
        self.fences += 1
        self.loop.call_soon_threadsafe(self.cancel, "worker")

    def cancel(self, who: str) -> None:
        """Cancel the client that asks, or a process at once, whatever it does."""
        if who == "client":
            assert self.client is not None
            self.client.cancel()
        else:
            self._may_end.add(who)
            self._process(who).ready = False  # until the next one is
            self._scopes[who].cancel()

    async def restart(self, role: str) -> None:
        """End a process in good order, and wait for the one that follows it."""
        process = self._process(role)
        self._may_end.add(role)
        process.stopping.set()
        await until(lambda: self._process(role) is not process)
        await self.served()

    def _process(self, role: str) -> Process:
        return (self.worker if role == "worker" else self.cron).process

    # The clients

    async def insists(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask, and again where that meets trouble: the fault is over by then."""
        me = asyncio.current_task()
        assert me is not None
        for left in reversed(range(TRIES)):
            asked: asyncio.Future[Answer] = asyncio.ensure_future(ask())
            self.client = asked
            try:
                return await asked
            except (asyncio.CancelledError, DatabaseTrouble) as error:
                self.troubles.append(error)
                if me.cancelling() or not left:
                    raise
        raise AssertionError

    async def struck(self) -> None:
        """Return once what is armed for the case has failed."""
        await until(lambda: self.was_struck, within=REST)

    @property
    def was_struck(self) -> bool:
        return self.strike is None or self.strike.hit

    async def eye_sees(self, sql: str, *args: Any) -> bool:
        return bool(await self.eye.fetchval(sql, *args))

    async def shown(self, worker_id: UUID) -> bool:
        """Whether a process has its row."""
        return await self.eye_sees(
            "select exists (select from pillars.workers where worker_id = $1)", worker_id
        )

    def daily(self) -> str:
        """A schedule that nobody has used yet."""
        self._dailies += 1
        return f"faults.daily{self._dailies:02}"

    def number(self) -> int:
        self._number += 1
        self.cases[self._number] = self.case
        return self._number

    async def enqueue(self, how: str = "", **options: Any) -> Handle[dict[str, int]]:
        """One job, its enqueue asked for until it is acknowledged."""

        async def ask() -> Handle[dict[str, int]]:
            number = self.number()
            told: str | None = None
            try:
                handle = await work.configure(**options).enqueue(number, how)
                told = handle.job_id
            finally:
                self.asked.append(Asked(number=number, job_id=told))
            if how == "complete inside":
                self.effects.add(number)
            return handle

        return await self.insists(ask)

    async def stops(self, job_id: Any) -> str:
        """Cancel a job, and remember what was answered."""

        async def ask() -> str:
            self.cancels.setdefault(str(job_id), "no answer")
            answer = await store.cancel(self.database.pool, job_id, by="a fault")
            self.cancels[str(job_id)] = answer
            return answer

        return await self.insists(ask)

    # What must hold

    async def rest(self) -> None:
        """Nothing is left to do, held, lent or open."""
        left: list[str] = ["?"]

        async def rests() -> bool:
            left[:] = await self._left()
            return not left

        try:
            await until(rests, within=REST)
        except AssertionError:
            self.tell(f"does not come to rest: {', '.join(left)}")

    async def _left(self) -> list[str]:
        jobs, locks, open_ = await self.eye.fetchrow(LEFT) or (0, 0, 0)
        advisory = await self.eye.fetchval(ADVISORY)
        worker = self.worker
        counted = {
            "unfinished jobs": jobs,
            "locks": locks,
            "open transactions": open_,
            "advisory locks": advisory,
            "claims held": len(worker.holdings.tokens()),
            "slots taken": sum(worker.slots.taken.values()),
            "connections lent": lent(self.database.pool) + lent(self.database.runtime),
            "processes not ready": (not worker.process.ready) + (not self.cron.process.ready),
        }
        return [f"{count} {what}" for what, count in counted.items() if count]

    async def history(self, folder: Path) -> History:
        seen = await recording.history(self.url, folder, self.asked, self.cancels)
        return History(
            asked=seen.asked, events=seen.events, runs=self.runs, expiries=seen.expiries, cancels=seen.cancels,
            unfinished=seen.unfinished, finished=seen.finished,
        )  # fmt: skip

    async def judged(self, folder: Path) -> list[str]:
        """All that went wrong, once nothing moves any more."""
        seen = await self.history(folder)
        for violation in violations(seen):
            events = seen.of_job.get(violation.job_id, ())
            number = events[0].told.get("number") if events else None
            case = self.cases.get(number) if isinstance(number, int) else None
            self.wrong.append(
                f"{case}: {violation.rule}: job {violation.job_id}: {violation.said}\n{seen.told(violation.job_id)}"
            )
        made = {event.told.get("number") for event in seen.events if event.what == "made"}
        self.wrong += [
            f"{self.cases[number]}: a job that was rolled back" for number in self.undone & made
        ]
        done = {
            event.told.get("number") for event in seen.events
            if event.what == "ended" and event.state == "completed"
        }  # fmt: skip
        eye = await plain(self.url)
        have = {number for (number,) in await eye.fetch("select number from effects")}
        ticks = {name: (rows, jobs) for name, rows, jobs in await eye.fetch(TICKS)}
        await eye.close()
        self.wrong += [
            f"{self.cases[number]}: no effect" for number in (self.effects & done) - have
        ]
        self.wrong += [f"{self.cases[number]}: an effect of no job" for number in have - done]
        for name in self.ticked:
            if ticks.get(name) != (1, 1):
                self.wrong.append(f"{name}: ticks and jobs {ticks.get(name)}")
        return self.wrong


def lent(pool: Pool) -> int:
    """How many of a pool's connections somebody has, those apart that are kept at hand."""
    if pool._pool is None:
        return 0
    used = sum(not holder.is_idle() for holder in pool._pool._holders)  # type: ignore[attr-defined]
    return used - len(pool._kept._connections)


async def plain(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(url, server_settings={"application_name": "the test's eye"})


@asynccontextmanager
async def world(url: str, *schedules: Schedule, pooled: bool = False) -> AsyncIterator[World]:
    """A world in a database of its own; `pooled` as behind a pooler that shares servers, though there is none."""
    await recording.note_all(url)
    eye = await plain(url)
    try:
        await eye.execute("create table effects (number integer primary key)")
        async with using(Database(url)) as database:
            database.address.route.pooled = True if pooled else None
            made = World(url, database, eye)
            made.schedules = schedules
            token = HERE.set(made)
            try:
                async with made.peopled():
                    yield made
            finally:
                with suppress(ValueError):
                    HERE.reset(token)
    finally:
        await eye.close()
