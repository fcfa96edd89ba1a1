"""Notifications, coalesced: one notifier a process costs nothing, one an insert costs two thirds of the inserts."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pillars.errors import DatabaseTrouble
from pillars.store.pool import Pool
from pillars.store.rows import Yes
from pillars.store.statements import Statement

NOTIFY = Statement("jobs/notify", Yes)
PAUSE = 0.005  # seconds between notifications while enqueues keep coming
GRACE = 0.002  # seconds more for an enqueue to come along and carry the next one


class Wakeups:
    """Tells workers of queues with new work: at once when idle, else every 5 ms, by a statement of an enqueue where one comes along."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queues: set[str] = set()
        self._sending: asyncio.Task[None] | None = None
        self._notifying = False
        self._told_at = -PAUSE

    def may_ride(self, queue: str) -> bool:
        """Whether a notification is due, and is of `queue` alone, so that an enqueue may carry it."""
        return not self._notifying and self._rest() <= 0 and self._queues <= {queue}

    @contextmanager
    def riding(self) -> Iterator[None]:
        """The block carries what is to be told; where it raises, that goes out by itself."""
        carried, self._queues = self._queues, set()
        self._told()
        try:
            yield
        except BaseException:
            for queue in carried:
                self.wake(queue)
            raise

    def wake(self, queue: str) -> None:
        """Have the workers of `queue` look for work soon. A lost one is made good by their poll."""
        self._queues.add(queue)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="pillars-wakeups")

    async def close(self) -> None:
        """Wait for what is still to be sent."""
        if self._sending is not None:
            # Not its outcome: a loop that ends may have cancelled it before us.
            await asyncio.wait([self._sending])

    async def _send(self) -> None:
        try:
            while self._queues:
                rest = self._rest()
                await asyncio.sleep(rest + GRACE if rest > 0 else 0)
                if self._queues and self._rest() <= 0:
                    await self._notify()
        finally:
            self._sending = None

    async def _notify(self) -> None:
        queues, self._queues = sorted(self._queues), set()
        self._notifying = True
        try:
            with suppress(DatabaseTrouble):  # the jobs are stored; a poll finds them
                await self._pool.rows(NOTIFY, queues)
        finally:
            self._notifying = False
            self._told()

    def _told(self) -> None:
        self._told_at = asyncio.get_running_loop().time()

    def _rest(self) -> float:
        """Seconds until the next may go out."""
        return self._told_at + PAUSE - asyncio.get_running_loop().time()
