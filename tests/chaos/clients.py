"""Who enqueues the jobs of a storm, and remembers what the answer was."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import UUID

import anyio

from chaos.history import Asked
from pillars import Context, connect, enqueue_many, job
from pillars.errors import DatabaseTrouble
from pillars.jobs.connected import current
from pillars.jobs.definition import Job
from pillars.store import jobs

BULK = 20  # of the enqueues, one in so many is of many jobs
CANCELLED = 40  # and one in so many is cancelled again


@job(name="storm.work", max_attempts=100, max_crashes=1000, backoff="200ms")
async def work(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    raise NotImplementedError  # it is the workers' project that has the code


@job(name="storm.thread", max_attempts=100, max_crashes=1000, backoff="200ms")
def thread(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    raise NotImplementedError


@job(name="storm.child", process=True, max_attempts=100, max_crashes=1000, backoff="200ms")
def child(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    raise NotImplementedError


Works = Job[[int, float], dict[str, int]]
USUAL: tuple[Works, ...] = (work, work, work, thread)
MIXED: tuple[Works, ...] = (*USUAL * 4, child)


class Clients:
    """Enqueue so many jobs over so many seconds, of the definitions `of`, cancel a few, and keep what each was told."""

    def __init__(
        self,
        seed: int,
        *,
        count: int,
        seconds: float,
        long_share: float,
        long: tuple[float, float] = (1, 4),
        of: Sequence[Works] = USUAL,
        follow: Callable[[str], None] = lambda _job_id: None,
    ) -> None:
        self._count = count
        self._seconds = seconds
        self._long_share = long_share
        self._long = long
        self._of = of
        self._follow = follow
        """Told of each job that takes long."""
        self._chance = random.Random(f"clients {seed}")
        self.asked: list[Asked] = []
        self.cancels: dict[str, str] = {}
        self.figures: Counter[str] = Counter()
        self.over = False
        """Set it, and they enqueue no more."""

    async def run(self, url: str) -> None:
        async with connect(url):
            number = 0
            pace = self._seconds / self._count
            began = anyio.current_time()
            while number < self._count and not self.over:
                count = BULK if self._chance.random() < 1 / BULK else 1
                numbers = range(number, min(number + count, self._count))
                number += count
                await self._enqueue(numbers)
                await anyio.sleep_until(began + number * pace)

    async def _enqueue(self, numbers: range) -> None:
        asked = [self._drawn(number) for number in numbers]
        cancels = self._chance.random() < 1 / CANCELLED
        try:
            if len(asked) == 1:
                [(definition, number, seconds)] = asked
                handles = [await definition.enqueue(number, seconds)]
            else:
                handles = await enqueue_many(
                    one.call(number, seconds) for one, number, seconds in asked
                )
        except DatabaseTrouble:  # it may have happened, and may not
            self.figures["enqueues without an answer"] += len(numbers)
            self.asked.extend(Asked(number=number, job_id=None) for number in numbers)
            return
        self.asked.extend(
            Asked(number=number, job_id=handle.job_id)
            for number, handle in zip(numbers, handles, strict=True)
        )
        for handle, (_, _, seconds) in zip(handles, asked, strict=True):
            if seconds >= self._long[0]:
                self._follow(handle.job_id)
        if cancels:
            await self._cancel(handles[0].job_id)

    def _drawn(self, number: int) -> tuple[Works, int, float]:
        chance = self._chance
        seconds = (
            chance.uniform(*self._long)
            if chance.random() < self._long_share
            else chance.uniform(0, 0.02)
        )
        return chance.choice(self._of), number, round(seconds, 3)

    async def _cancel(self, job_id: str) -> None:
        self.cancels[job_id] = "no answer"
        with suppress(DatabaseTrouble):
            self.cancels[job_id] = await jobs.cancel(current().pool, UUID(job_id), by="chaos")
