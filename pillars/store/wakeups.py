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
        self._alarm: asyncio.Handle | None = None
        """Rings when the next may go out: most are carried before, and a task that slept for each would cost as much as an enqueue."""
        self._sending: asyncio.Task[None] | None = None
        self._told_at = -PAUSE

    def may_ride(self, queue: str) -> bool:
        """Whether a notification is due, and is of `queue` alone, so that an enqueue may carry it."""
        return self._sending is None and self._rest() <= 0 and self._queues <= {queue}

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
        if self._alarm is None and self._sending is None:
            self._set_alarm()

    async def close(self) -> None:
        """Send what is still to be sent, also what comes meanwhile."""
        while self._sending is not None or self._queues:
            if self._sending is not None:
                # Not its outcome: a loop that ends may have cancelled it before us, even before its first step.
                await asyncio.wait([self._sending])
                self._sending = None
            self._silence()
            if self._queues:
                await self._notify()
        self._silence()

    def _set_alarm(self) -> None:
        loop, rest = asyncio.get_running_loop(), self._rest()
        self._alarm = (
            loop.call_later(rest + GRACE, self._ring) if rest > 0 else loop.call_soon(self._ring)
        )

    def _silence(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        self._alarm = None
        if not self._queues:
            return
        if self._rest() > 0:  # an enqueue has carried what there was, and there is more since
            self._set_alarm()
        else:
            self._sending = asyncio.create_task(self._send(), name="pillars-wakeups")

    async def _send(self) -> None:
        try:
            await self._notify()
        finally:
            self._sending = None
            if self._queues:
                self._set_alarm()

    async def _notify(self) -> None:
        queues, self._queues = sorted(self._queues), set()
        try:
            with suppress(DatabaseTrouble):  # the jobs are stored; a poll finds them
                await self._pool.rows(NOTIFY, queues)
        finally:
            self._told()

    def _told(self) -> None:
        self._told_at = asyncio.get_running_loop().time()

    def _rest(self) -> float:
        """Seconds until the next may go out."""
        return self._told_at + PAUSE - asyncio.get_running_loop().time()
