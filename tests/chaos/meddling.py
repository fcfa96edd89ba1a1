"""Who is at the same rows at the same time: enqueuers of the same unique keys, and people and processes that cancel, redrive, sweep, prune and pause."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import count
from uuid import UUID

import anyio
import asyncpg

from chaos.clients import work
from chaos.history import Asked
from pillars import connect, enqueue_many
from pillars.errors import DatabaseTrouble
from pillars.store import history, jobs, locks, queues, redriving
from pillars.store.database import Database
from pillars.store.pool import Address, Pool
from support import asking

QUEUES = ("a", "b", "pooled")
"""By number; people pause the second, the last is of the worker with one connection."""
PAUSED = "b"
DEADLOCK = "40P01"
RECENT = 200  # jobs; the ids that people meddle with
LATER = 0.4  # of the enqueues, so many are of jobs for later, which a cancel ends at once
DARING = 0.03
MOST = 20  # jobs of a bulk
MONTH = timedelta(days=30)
PATIENCE = timedelta(seconds=30)
OLD_DAY = """
    do $$ declare day date := current_date - 100 - {number};
    begin
        execute format('create table pillars.finished_ended_%s (like pillars.finished_ended including all)', to_char(day, 'YYYYMMDD'));
        execute format('alter table pillars.finished_ended attach partition pillars.finished_ended_%s for values from (%L) to (%L)',
                       to_char(day, 'YYYYMMDD'), day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00');
    end $$
"""
BY_SQL = """
    select pillars.enqueue('storm.work', jsonb_build_object('number', $1::int, 'seconds', $2::float8), queue => $3, unique_key => $4)::text
"""


Turn = Callable[[Pool, random.Random], Awaitable[int]]


def queue_of(number: int) -> str:
    """Where the job of this number goes."""
    return QUEUES[number % len(QUEUES)]


class Meddling:
    """What was asked and answered, and what went wrong that must not."""

    def __init__(self, seed: int, url: str, *, keys: int) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.cancels: dict[str, str] = {}
        self.figures: Counter[str] = Counter()
        self.broken: list[str] = []
        self.over = False
        self._seed = seed
        self._keys = [f"key {number}" for number in range(keys)]
        self._numbers = count(1)
        self._days = count()
        self._kept: set[str] = set()
        """Jobs of the transaction that stays open."""

    async def enqueue(self, which: int) -> None:
        """One of the crowd: enqueue by turns in each of the ways there are, until it is over."""
        chance = random.Random(f"enqueuer {which} of {self._seed}")
        ways = (*[self._alone] * 6, *[self._many] * 2, self._by_sql, self._within)
        async with connect(self.url), asking(self.url) as connection:
            while not self.over:
                way = chance.choice(ways)
                try:
                    self.asked += await way(chance, connection)
                except (DatabaseTrouble, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    self.broken.append(f"an enqueuer ({way.__name__}) got no id: {error!r}")
                await anyio.sleep(chance.uniform(0, 0.2))

    def _drawn(self, chance: random.Random) -> tuple[int, float, str]:
        number = next(self._numbers)
        return number, round(chance.uniform(0, 0.2), 3), chance.choice(self._keys)

    async def _alone(self, chance: random.Random, _own: object) -> list[Asked]:
        number, seconds, key = self._drawn(chance)
        later = "1s" if chance.random() < LATER else None
        configured = work.configure(queue=queue_of(number), unique_key=key, run_in=later)
        handle = await configured.enqueue(number, seconds)
        return [Asked(number=number, job_id=handle.job_id, key=key)]

    async def _many(self, chance: random.Random, _own: object) -> list[Asked]:
        drawn = [self._drawn(chance) for _ in range(chance.randint(2, MOST))]
        later = "1s" if chance.random() < LATER else None
        handles = await enqueue_many(
            work.configure(queue=queue_of(number), unique_key=key, run_in=later).call(
                number, seconds
            )
            for number, seconds, key in drawn
        )
        return [
            Asked(number=number, job_id=handle.job_id, key=key)
            for handle, (number, _, key) in zip(handles, drawn, strict=True)
        ]

    async def _by_sql(
        self, chance: random.Random, own: "asyncpg.Connection[asyncpg.Record]"
    ) -> list[Asked]:
        number, seconds, key = self._drawn(chance)
        job_id = await own.fetchval(BY_SQL, number, seconds, queue_of(number), key)
        return [Asked(number=number, job_id=job_id, key=key)]

    async def _within(
        self, chance: random.Random, own: "asyncpg.Connection[asyncpg.Record]"
    ) -> list[Asked]:
        """In a transaction of the caller's that goes on for a moment, and is rolled back every third time."""
        number, seconds, key = self._drawn(chance)
        transaction = own.transaction()
        await transaction.start()
        configured = work.configure(queue=queue_of(number), unique_key=key, connection=own)
        handle = await configured.enqueue(number, seconds)
        await anyio.sleep(chance.uniform(0, 0.05))
        if chance.random() < 1 / 3:
            await transaction.rollback()
            return []
        await transaction.commit()
        return [Asked(number=number, job_id=handle.job_id, key=key)]

    async def put_off(self, some: int) -> list[str]:
        """Enqueue jobs of the first keys for later, and return the keys: each has an unfinished job then."""
        keys = self._keys[:some]
        async with connect(self.url):
            for key in keys:
                number = next(self._numbers)
                configured = work.configure(queue=queue_of(number), unique_key=key, run_in="2s")
                handle = await configured.enqueue(number, 0.0)
                self.asked.append(Asked(number=number, job_id=handle.job_id, key=key))
                self._kept.add(handle.job_id)
        return keys

    async def meddle(self) -> None:
        """All the others, each again and again, until it is over."""
        turns = (
            *[(self._cancelled, 0.1)] * 3, (self._redriven, 0.1), (self._redriven, 0.1), (self._retried, 0.1),
            (self._paused, 1.0), (self._swept, 0.05), (self._pruned, 0.5),
        )  # fmt: skip
        people = Database(self.url, size=len(turns))
        async with people.opened(), anyio.create_task_group() as group:
            for which, (turn, pause) in enumerate(turns):
                chance = random.Random(f"meddler {which} of {self._seed}")
                group.start_soon(self._take_turns, turn, people.pool, chance, pause)

    async def _take_turns(
        self, turn: Turn, pool: Pool, chance: random.Random, pause: float
    ) -> None:
        while not self.over:
            try:
                self.figures[turn.__name__.strip("_")] += await turn(pool, chance)
            except DatabaseTrouble as trouble:
                # In vain, as where somebody's transaction keeps a row for long. But a deadlock is nobody's to see.
                self.figures[f"{turn.__name__.strip('_')} in vain"] += 1
                if trouble.sqlstate == DEADLOCK:
                    self.broken.append(f"{turn.__name__.strip('_')}: {trouble}")
            await anyio.sleep(chance.uniform(0, pause))

    async def _cancelled(self, pool: Pool, chance: random.Random) -> int:
        # Who wants to cancel a job that somebody's transaction keeps waits in vain; so that is tried only now and then.
        left_out = set() if chance.random() < DARING else self._kept
        recent = [one.job_id for one in self.asked[-RECENT:] if one.job_id not in left_out]
        job_ids = sorted(self._some(chance, recent))
        for job_id, answer in zip(
            job_ids, await jobs.cancel_many(pool, job_ids, by="chaos"), strict=True
        ):
            if self.cancels.get(str(job_id)) not in {"cancelled", "unknown"}:
                self.cancels[str(job_id)] = answer
        return len(job_ids)

    async def _redriven(self, pool: Pool, chance: random.Random) -> int:
        return await redriving.retry_many(pool, self._some(chance, self._ended()))

    async def _retried(self, pool: Pool, chance: random.Random) -> int:
        job_ids = self._some(chance, self._ended())[:1]
        return sum([(await redriving.retry(pool, job_id)).refused is None for job_id in job_ids])

    async def _paused(self, pool: Pool, chance: random.Random) -> int:
        """A queue for a moment; it is resumed whatever happens."""
        await queues.pause(pool, PAUSED)
        await anyio.sleep(chance.uniform(0, 0.3))
        await queues.resume(pool, PAUSED)
        return 1

    async def _swept(self, pool: Pool, _chance: random.Random) -> int:
        return bool((await locks.sweep(pool)).swept)

    async def _pruned(self, _pool: Pool, _chance: random.Random) -> int:
        """Make a day that is old, and remove what is."""
        session = await history.connect_to_prune(Address(self.url))
        removed = 0
        try:
            await session.script(OLD_DAY.format(number=next(self._days)), timeout=PATIENCE)
            while step := await history.next_prune(
                session, completed=MONTH, failed=MONTH, events=MONTH
            ):
                if not await history.take(session, step):
                    break
                removed += step.removes
        finally:
            await session.close()
        return removed

    def _ended(self) -> list[str]:
        """The jobs that were cancelled lately."""
        return [job_id for job_id, answer in self.cancels.items() if answer == "cancelled"][
            -RECENT:
        ]

    def _some(self, chance: random.Random, job_ids: Sequence[str | None]) -> list[UUID]:
        known = sorted({job_id for job_id in job_ids if job_id is not None})
        return [UUID(one) for one in chance.sample(known, min(len(known), chance.randint(1, MOST)))]
