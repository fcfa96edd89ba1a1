"""Waiting for jobs to end: all waiters of a process share one statement."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import anyio

from pillars.errors import DatabaseTrouble
from pillars.store.pool import Pool
from pillars.store.rows import Final
from pillars.store.statements import Statement

OUTCOMES = Statement("jobs/outcomes", Final)
FIRST_LOOK = 0.02  # seconds
LONGEST_LOOK = 1.0
LATEST = 253_402_300_799_000  # milliseconds: the end of the year 9999; 48 bits reach past what a datetime can say
SKEW = timedelta(days=1)  # how far the clock of whoever made the id may be ahead


def made_at(job_id: UUID) -> datetime:
    """When a UUIDv7 was made, to the millisecond, by its maker's clock."""
    return datetime.fromtimestamp(min(job_id.int >> 80, LATEST) / 1000, UTC)


def not_ended_before(job_id: UUID) -> datetime:
    """A time before which the job cannot have ended, so that older days need not be read."""
    if job_id.version != 7:
        return datetime(2000, 1, 1, tzinfo=UTC)
    return made_at(job_id) - SKEW


class Results:
    """Reads how awaited jobs ended: at once when somebody asks, 20 ms later, then ever slower, up to a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiters: dict[UUID, list[asyncio.Future[Final]]] = {}
        self._asked = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def wait(self, job_id: UUID) -> Final:
        """Return how the job ended, once it has; `state` "unknown" where no table has it."""
        waiter: asyncio.Future[Final] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(job_id, []).append(waiter)
        self._asked.set()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="pillars-results")
        try:
            return await waiter
        finally:
            self._forget(job_id, waiter)

    def awaited(self) -> list[UUID]:
        """The jobs that somebody waits for."""
        return list(self._waiters)

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading

    async def look_once(self) -> int:
        """Read all awaited jobs once; returns how many of them have ended."""
        job_ids = list(self._waiters)
        if not job_ids:
            return 0
        since = min(map(not_ended_before, job_ids))
        ended = 0
        for final in await self._pool.rows(OUTCOMES, job_ids, since):
            if final.state == "unfinished":
                continue
            ended += 1
            for waiter in self._waiters.get(final.job_id, ()):
                if not waiter.done():
                    waiter.set_result(final)
        return ended

    async def _read(self) -> None:
        pause = FIRST_LOOK
        try:
            while self._waiters:
                self._asked.clear()
                # So that all who ask in this turn of the loop share the look.
                await asyncio.sleep(0)
                with suppress(DatabaseTrouble):
                    await self.look_once()
                with anyio.move_on_after(pause) as unasked:
                    await self._asked.wait()
                # Somebody new: a quick job's caller should not notice the wait.
                slower = min(pause * 1.5, LONGEST_LOOK)
                pause = slower if unasked.cancelled_caught else FIRST_LOOK
        finally:
            self._reading = None

    def _forget(self, job_id: UUID, waiter: "asyncio.Future[Final]") -> None:
        waiters = self._waiters.get(job_id, [])
        waiters.remove(waiter)
        if not waiters:
            del self._waiters[job_id]
