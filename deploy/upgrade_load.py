"""Apply migrations to a million jobs while a worker claims, and print the longest time without a claim during each.

    python deploy/upgrade_load.py          some three minutes
    python deploy/upgrade_load.py 100000   with so many jobs

The worker is of the previous commit. First come the migrations that this one adds, if any; then changes as a release may bring them; then some
that find their table held: by a transaction that ends, by one that does not, by vacuums. The run ends with 1 where a statement of the
runtime waited behind a change for over a second, or where no claim began for as long on a machine that otherwise has claims all the time.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import asyncpg

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from pillars import embedded  # noqa: E402
from pillars.errors import DatabaseTrouble  # noqa: E402
from pillars.store import migrate  # noqa: E402
from pillars.store.migrate import Migration  # noqa: E402
from pillars.store.pool import Address  # noqa: E402
from process.pillar import PROJECT, app  # noqa: E402
from process.releases import previous  # noqa: E402
from support import ask, asking, tell, until  # noqa: E402

JOBS, HISTORY = 1_000_000, 300_000
ENQUEUERS, PAUSE = 2, 0.02  # seconds between two enqueues of one
LEAST_ROOM = timedelta(seconds=2)  # watched before and after a change, too
LONGEST_GAP = timedelta(seconds=1)
STEADY = timedelta(
    milliseconds=300
)  # between claims while nothing changes: a machine whose gaps are ours
LOOK_EVERY = 0.02  # seconds
HELD_FOR = 6.0  # seconds
BRIEF_PATIENCE = timedelta(seconds=4)

FILL = """
insert into pillars.jobs (job_id, name, queue, priority, payload, max_attempts)
select pillars.uuid7(), 'quick', 'default', -1, jsonb_build_object('number', number), 4 from generate_series(1, $1::integer) number
"""
FILL_HISTORY = """
insert into pillars.finished_jobs (job_id, name, queue, priority, state, payload, attempt, crashes, created_at)
select pillars.uuid7(), 'quick', 'default', 0, 'completed', '{"number": 1}', 1, 0, now() from generate_series(1, $1::integer)
"""
# A claim that had to wait begins, by the database's clock, before its wait.
GAP = """
with begun as (
    select locked_at as at from pillars.jobs where locked_at between $1 and $2
    union select started_at from pillars.finished_jobs where started_at between $1 and $2
    union values ($1::timestamptz), ($2::timestamptz)
)
select coalesce(max(gap), interval '0') from (select lead(begun.at) over (order by begun.at) - begun.at as gap from begun) gaps
"""
WAITS = """
select coalesce(max(clock_timestamp() - waits.waitstart), interval '0') from pg_locks waits
where not waits.granted and waits.mode in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
  and waits.database = (select oid from pg_database where datname = current_database())
"""
CHANGES = {
    "a column with a default": "alter table pillars.jobs add column probe integer not null default 7",
    "an index, beside the work": "-- outside a transaction\ncreate index concurrently if not exists jobs_probe on pillars.jobs (probe) where probe > 7",
    "a check, of new rows": "alter table pillars.jobs add constraint probe_is_small check (probe < 100) not valid",
    "the same of all rows": "alter table pillars.jobs validate constraint probe_is_small",
    "a column of the history": "alter table pillars.finished_jobs add column probe integer",
    "a column of the locks": "alter table pillars.locks add column probe integer default 7",
    "a function": "create or replace function pillars.kept(name text) returns boolean language sql stable return true",
}
BEHIND = "alter table pillars.jobs add column behind_{} integer"
SLOW_AND_OFTEN = """
alter table pillars.jobs set (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_scale_factor = 0)
"""
VACUUM = "set vacuum_cost_delay = 50; set vacuum_cost_limit = 10"


@dataclass
class Load:
    """A database under load, and what has been applied to it."""

    url: str
    applied: list[Migration]
    too_long: list[str] = field(default_factory=list)
    steady: bool | None = None
    """Whether claims come all the time while nothing changes; None before that was looked at."""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def next_of(self, sql: str) -> list[Migration]:
        last = max(one.version for one in self.applied if one.track == "pillars")
        return [*self.applied, Migration("pillars", last + 1, f"{last + 1:04}_probe", sql)]

    async def watched(self, name: str, change: Callable[[], Awaitable[str]]) -> None:
        """Carry out a change, and say how long it took, how long others waited behind it, and how long no claim began."""
        await asyncio.sleep(LEAST_ROOM.total_seconds())
        waited = asyncio.create_task(self._longest_wait())
        from_when, began = await self._now(), time.monotonic()
        said = await change()
        took = time.monotonic() - began
        await asyncio.sleep(LEAST_ROOM.total_seconds())
        self.over.set()
        wait, gap = await waited, await ask(self.url, GAP, from_when, await self._now())
        self.over.clear()
        self.steady = gap <= STEADY if self.steady is None else self.steady
        print(
            f"{name:42} {took:6.2f} s   waited behind it {_ms(wait)}   no claim for {_ms(gap)}   {said}",
            flush=True,
        )
        if wait > LONGEST_GAP or (self.steady and gap > LONGEST_GAP):
            self.too_long.append(name)

    async def _longest_wait(self) -> timedelta:
        """How long any statement that reads or writes rows has waited for a table, until `over` is set."""
        longest = timedelta()
        async with asking(self.url) as connection:
            while not self.over.is_set():
                longest = max(longest, await connection.fetchval(WAITS))
                await asyncio.sleep(LOOK_EVERY)
        return longest

    async def apply(self, migrations: list[Migration]) -> str:
        done = await migrate.migrate(Address(self.url), migrations)
        self.applied = migrations
        return f"{len(done)} applied"

    async def _now(self) -> datetime:
        return datetime.fromisoformat(await ask(self.url, "select now()::text"))


def _ms(length: timedelta) -> str:
    return f"{length / timedelta(milliseconds=1):5.0f} ms"


@asynccontextmanager
async def database() -> AsyncIterator[str]:
    """A Postgres of its own, as durable as in production, that vacuums as eagerly as the tables ask for."""
    folder = Path(tempfile.mkdtemp(prefix="pillars-load-"))
    folder.chmod(0o711)
    settings = {**embedded.DEV_SETTINGS, "autovacuum_naptime": "5s"}
    cluster = embedded.cluster(folder, settings=settings)
    try:
        with embedded.start(cluster) as server:
            yield server.url
    finally:
        embedded.reset(cluster)
        shutil.rmtree(folder, ignore_errors=True)


async def enqueue_for_ever(url: str) -> None:
    async with asking(url) as connection:
        while True:
            await connection.fetchval("""select pillars.enqueue('quick', '{"number": 1}')""")
            await asyncio.sleep(PAUSE)


@asynccontextmanager
async def under_load(url: str, folder: Path, release: dict[str, str]) -> AsyncIterator[None]:
    """A worker of a release claims, and some enqueue, for the block."""
    enqueuers = [asyncio.create_task(enqueue_for_ever(url)) for _ in range(ENQUEUERS)]
    try:
        environ = {"LOG_LEVEL": "warning", **release}
        with app(folder, url, "worker", project=PROJECT, **environ) as worker:
            claimed = "select exists (select from pillars.jobs where locked_by is not null)"
            await until(lambda: ask(url, claimed), within=60)
            yield
            print(worker.output, end="")
    finally:
        for one in enqueuers:
            one.cancel()
        for one in enqueuers:
            with suppress(asyncio.CancelledError):
                await one


async def behind_a_transaction(load: Load) -> None:
    """One that ends after a while, and one that does not."""
    async with asking(load.url) as reader:
        await reader.execute("begin")
        await reader.fetch("select from pillars.jobs limit 1")

        async def ends() -> None:
            await asyncio.sleep(HELD_FOR)
            await reader.execute("commit")

        async def change() -> str:
            ending = asyncio.create_task(ends())
            said = await load.apply(load.next_of(BEHIND.format("one")))
            await ending
            return said

        await load.watched(f"behind a transaction of {HELD_FOR:g} s", change)
        await reader.execute("begin")
        await reader.fetch("select from pillars.jobs limit 1")

        async def fails() -> str:
            migrations = load.next_of(BEHIND.format("two"))
            try:
                await migrate.migrate(Address(load.url), migrations, patience=BRIEF_PATIENCE)
            except DatabaseTrouble as trouble:
                return f"gave up: {trouble}"
            raise AssertionError("a table that was held was changed")

        await load.watched("behind a transaction that does not end", fails)
        await reader.execute("rollback")


async def behind_a_vacuum(load: Load) -> None:
    """A slow one of somebody's own, which gives way to nobody, and then ends."""
    async with asking(load.url) as vacuum:
        await vacuum.execute(VACUUM)
        going = asyncio.create_task(vacuum.execute("vacuum pillars.jobs"))
        await asyncio.sleep(0.5)

        async def change() -> str:
            async def ends() -> None:
                await asyncio.sleep(HELD_FOR)
                await tell(load.url, "select pg_cancel_backend($1)", vacuum.get_server_pid())

            ending = asyncio.create_task(ends())
            said = await load.apply(load.next_of(BEHIND.format("three")))
            await ending
            return said

        await load.watched(f"behind a vacuum of {HELD_FOR:g} s", change)
        with suppress(asyncpg.QueryCanceledError):
            await going


async def behind_autovacuum(load: Load) -> None:
    """It gives way to who has waited for a second."""
    await tell(load.url, SLOW_AND_OFTEN)
    works = "select exists (select from pg_stat_activity where query like 'autovacuum: VACUUM%pillars.jobs%')"
    await until(lambda: ask(load.url, works), within=120)
    change = load.next_of(BEHIND.format("four"))
    await load.watched("behind an autovacuum", partial(load.apply, change))


async def nothing() -> str:
    await asyncio.sleep(5)
    return "for comparison"


def of_release(release: dict[str, str]) -> list[Migration]:
    """The migrations of a folder of code."""
    code = Path(release["PYTHONPATH"])
    return [
        *migrate.in_folder("pillars", code / "sql" / "pillars" / "migrations"),
        *migrate.in_folder("app", code / "sql" / "app"),
    ]


async def fill(url: str, jobs: int) -> None:
    began = time.monotonic()
    async with asking(url) as connection:
        await connection.execute(FILL, jobs)
        await connection.execute(FILL_HISTORY, HISTORY)
        await connection.execute("analyze")
    print(
        f"{jobs:,} jobs wait, {HISTORY:,} have ended ({time.monotonic() - began:.0f} s)", flush=True
    )


async def main(jobs: int) -> int:
    """Fill, load, change; returns 1 where claims stood still."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        release = previous(folder / "code")
        ours = [*migrate.of_runtime(), *migrate.in_folder("app", ROOT / "sql" / "app")]
        async with database() as url:
            load = Load(url, of_release(release))
            await migrate.migrate(Address(url), load.applied)
            await fill(url, jobs)
            async with under_load(url, folder, release):
                await load.watched("nothing", nothing)
                for one in ours:
                    if one not in load.applied:
                        await load.watched(one.title, partial(load.apply, [*load.applied, one]))
                for name, sql in CHANGES.items():
                    await load.watched(name, partial(load.apply, load.next_of(sql)))
                await behind_a_transaction(load)
                await behind_a_vacuum(load)
                await behind_autovacuum(load)
                left = await ask(url, "select count(*) from pillars.jobs")
                ended = await ask(url, "select count(*) from pillars.finished_jobs")
    print(f"{left:,} jobs still wait, {ended - HISTORY:,} were done meanwhile")
    for name in load.too_long:
        print(
            f"broken: claims stood still for over {LONGEST_GAP.total_seconds():g} s during: {name}"
        )
    return 1 if load.too_long else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else JOBS)))
