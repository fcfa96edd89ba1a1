"""Where one test plays: its database, the jobs and schedules it knows, and what is done on them out of its sight."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any, TypeVar, cast

from pillars.codec import ValueCodec
from pillars.cron.syncing import sync
from pillars.cron.ticker import Ticker
from pillars.errors import PayloadError
from pillars.jobs.connected import provided
from pillars.jobs.definition import Job
from pillars.service.presence import define
from pillars.service.process import Process
from pillars.service.tally import Tally
from pillars.store import listing, locks, schedules, testing as store
from pillars.store.database import Database
from pillars.store.listing import Wanted
from pillars.store.row_security import Convention
from pillars.store.rows import JobRow
from pillars.testing.connections import Connections
from pillars.testing.house import House
from pillars.testing.telling import EnqueuedJob
from pillars.testing.working import Hand

T = TypeVar("T")

ANY = ValueCodec(Any, what="payload")


class Stage:
    """One test's. What is asked of it from outside a loop, `ask` has done by the loop beside the tests."""

    def __init__(self, house: House, connections: Connections) -> None:
        self._house = house
        self._connections = connections
        self.known: dict[str, Job[..., Any]] = {}
        self._synced = False

    @property
    def database(self) -> Database:
        """On the loop that runs."""
        return self._connections.here()

    def ask(self, work: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Have the loop beside the tests do something, and wait for it."""
        return cast("T", self._house.portal.call(work, *args))

    def hand(self, *, with_failures: bool) -> Hand:
        """A hand on the loop that runs."""
        return Hand(self.database, self._house.settings, self.known, with_failures=with_failures)

    async def sweep(self) -> None:
        """What workers do every few seconds: the expired end, and what a dead worker held goes back."""
        await locks.sweep(self.database.runtime)

    async def define(self, *jobs: Job[..., Any]) -> None:
        """Have the database know these jobs, as every process does at boot."""
        self.known |= {one.name: one for one in jobs}
        await define(Process("worker", self._house.settings, self.database), jobs)

    async def now(self) -> datetime:
        return await schedules.now(self.database.pool)

    async def move_clock(self, by: timedelta) -> datetime:
        await self._sync()
        return await store.move_clock(self.database.pool, by)

    async def set_clock(self, to: datetime) -> datetime | None:
        """None where that would turn it back."""
        await self._sync()
        return await store.set_clock(self.database.pool, to)

    async def tick(self) -> list[EnqueuedJob]:
        """Turns of a leader, until nothing is due; returns what they have enqueued."""
        await self._sync()
        before = {one.job_id for one in await self.enqueued()}
        async with self.database.runtime.session() as session:
            ticker = Ticker(session, self._house.settings, Tally())
            while (await ticker.turn()).ticks:
                pass
        return [one for one in await self.enqueued() if one.job_id not in before]

    async def enqueued(self) -> list[EnqueuedJob]:
        """The unfinished jobs, in the order in which they were enqueued."""
        now = await self.now()
        return [self._told(row, now) for row in await store.unfinished(self.database.pool)]

    async def ended(self, name: str) -> list[str]:
        """How jobs of a name have ended, the latest first."""
        page = await listing.page(self.database.pool, Wanted(name=name))
        return [row.state for row in page.jobs if row.state in listing.FINAL]

    async def due(self) -> list[EnqueuedJob]:
        """The jobs whose time has come."""
        return [one for one in await self.enqueued() if one.run_in <= timedelta(0)]

    async def strangers(self) -> str | None:
        """What to say of due jobs that no code defines: a worker would leave them lying, and the test go on without a word."""
        names = dict.fromkeys(one.name for one in await self.due() if one.name not in self.known)
        if not names:
            return None
        return (
            f"expected every due job to be defined, and nobody defines {', '.join(names)}; "
            "a test knows the jobs of the app, and those in its own module"
        )

    async def _sync(self) -> None:
        """Once a test, before its time moves: schedules begin to tick when they are first known."""
        if not self._synced:
            found = list(self._house.registry.schedules.values())
            await sync(self.database, found, deployment=self._house.settings.deployment)
            self._synced = True

    def _told(self, row: JobRow, now: datetime) -> EnqueuedJob:
        run_at = row.run_at or row.created_at
        return EnqueuedJob(
            job_id=str(row.job_id), name=row.name, arguments=self._arguments(row), state=row.state, queue=row.queue,
            priority=row.priority, run_at=run_at, run_in=run_at - now, delay=run_at - row.created_at, attempt=row.attempt,
            max_attempts=row.max_attempts, unique_key=row.unique_key, context=row.context, tags=tuple(row.tags or ()),
            last_error=row.last_error, timeout=row.timeout,
        )  # fmt: skip

    def _arguments(self, row: JobRow) -> dict[str, Any]:
        """As the job will get them; plain JSON where it would refuse them, or nobody knows it."""
        payload = row.payload or "{}"
        try:
            return self.known[row.name].payload_codec.decode(payload)
        except (KeyError, PayloadError):
            return dict(ANY.decode(payload))


@contextmanager
def stage(house: House, url: str, module: ModuleType | None) -> Iterator[Stage]:
    """Let the code of this process enqueue into a database, for the block; `module` is the test's, which may define jobs of its own."""
    own = {one.name: one for one in vars(module).values() if isinstance(one, Job)} if module else {}
    known = {**own, **house.registry.known}
    convention = Convention.of(house.settings)
    connections = Connections(url, lambda: house.loop, convention=convention)
    made = Stage(house, connections)
    try:
        with provided(connections.here):
            made.ask(made.define, *known.values())
            yield made
    finally:
        connections.close()
