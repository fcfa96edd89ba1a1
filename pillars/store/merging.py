"""Enqueues of concurrent callers, merged: whoever comes while a statement is in flight goes with the next.

One statement of twenty rows costs Postgres little more than one of a single row, and a commit costs the same for both.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from pillars.errors import DatabaseTrouble, Trouble
from pillars.store.rows import NewJob

MOST_JOBS = 500  # in a statement
MOST_BYTES = 1_000_000  # of their payloads; at least one job goes
Store = Callable[[Sequence[NewJob]], Awaitable[None]]
Waiting = tuple[NewJob, "asyncio.Future[None]"]


class Merger:
    """Stores each job once `store` has; a caller that finds nothing in flight stores its own at once, with no detour."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[Waiting] = []
        self._busy = False
        self._turns: asyncio.Task[None] | None = None

    async def put(self, job: NewJob) -> None:
        """Return once the job is stored; raises what a statement of its own would, `DatabaseTrouble` among it."""
        if not self._busy:
            await self._alone(job)
            return
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((job, stored))
        await stored

    async def close(self) -> None:
        """Wait until those who wait already are stored; one that is stored alone has its own caller waiting."""
        if self._turns is not None:
            await asyncio.wait([self._turns])

    async def _alone(self, job: NewJob) -> None:
        self._busy = True
        try:
            await self._store([job])
        finally:
            if self._waiting:
                self._turns = asyncio.create_task(self._take_turns(), name="pillars-enqueues")
            else:
                self._busy = False

    async def _take_turns(self) -> None:
        try:
            while self._waiting:
                await self._turn()
        except BaseException as error:  # of our own, or the loop ends
            _fail(self._waiting, error)
            self._waiting = []
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._busy, self._turns = False, None

    async def _turn(self) -> None:
        """Store as many of those who wait as one statement takes."""
        group = self._next()
        try:
            await self._settle(group)
        except BaseException as error:
            _fail(group, error)
            raise

    async def _settle(self, group: Sequence[Waiting]) -> None:
        if not group:
            return
        try:
            await self._store([job for job, _ in group])
        except DatabaseTrouble as trouble:
            if trouble.kind is Trouble.REFUSED and len(group) > 1:
                for one in group:  # one of them is bad, and only that one fails
                    await self._settle([one])
            else:
                _fail(group, trouble)
        else:
            for _, stored in group:
                if not stored.done():
                    stored.set_result(None)

    def _next(self) -> list[Waiting]:
        count = size = 0
        for job, _ in self._waiting[:MOST_JOBS]:
            size += len(job.payload)
            if count and size > MOST_BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        # Not those whose callers were cancelled before their turn.
        return [(job, stored) for job, stored in group if not stored.done()]


def _fail(group: Sequence[Waiting], error: BaseException) -> None:
    for _, stored in group:
        if not stored.done():
            if isinstance(error, asyncio.CancelledError):
                stored.cancel()
            else:
                stored.set_exception(error)
