"""Notifications, coalesced: one notifier a process costs nothing, one an insert costs two thirds of the inserts."""

import asyncio
from contextlib import suppress

from pillars.errors import DatabaseTrouble
from pillars.store.pool import Pool
from pillars.store.rows import Yes
from pillars.store.statements import Statement

NOTIFY = Statement("jobs/notify", Yes)
PAUSE = 0.005  # seconds between notifications while enqueues keep coming


class Wakeups:
    """Tells workers of queues with new work: at once when idle, else every 5 ms."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queues: set[str] = set()
        self._sending: asyncio.Task[None] | None = None
        self._told_at = -PAUSE

    @property
    def idle(self) -> bool:
        """Whether a notification now would be the first for a while: then it may ride on the enqueue itself."""
        return self._sending is None and self._rest() <= 0

    def told(self) -> None:
        """A statement of the caller's has just notified."""
        self._told_at = asyncio.get_running_loop().time()

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
                await asyncio.sleep(max(self._rest(), 0))
                queues, self._queues = sorted(self._queues), set()
                with suppress(DatabaseTrouble):  # the jobs are stored; a poll finds them
                    await self._pool.rows(NOTIFY, queues)
                self.told()
        finally:
            self._sending = None

    def _rest(self) -> float:
        """Seconds until the next may go out."""
        return self._told_at + PAUSE - asyncio.get_running_loop().time()
