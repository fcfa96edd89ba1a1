"""What several pages read: the counts, shared by all who look, and the processes."""

from dataclasses import dataclass
from datetime import datetime

from pillars.store import names, queues, schedules, stats, workers
from pillars.store.database import Database
from pillars.store.rows import JobName, ProcessRow, Queue, Stats
from pillars.web.dashboard.counting import Count, Counted


@dataclass(frozen=True, slots=True)
class QueueSeen:
    """A queue and how many live workers serve it."""

    queue: Queue
    workers: int


class Readings:
    """Reads for all pages of a process."""

    def __init__(self, database: Database) -> None:
        self.pool = database.pool
        self._states = Count(self._count_states)
        self._queues = Count(self._count_queues)
        self._names = Count(self._count_names)

    async def states(self) -> Counted[Stats]:
        """How many jobs are in each state."""
        return await self._states.look()

    async def queues(self) -> Counted[list[Queue]]:
        """Every queue with its unfinished jobs."""
        return await self._queues.look()

    async def names(self) -> Counted[list[JobName]]:
        """Every name that code defines with its unfinished jobs."""
        return await self._names.look()

    async def processes(self) -> list[ProcessRow]:
        return await workers.listed(self.pool)

    async def now(self) -> datetime:
        """The database's time."""
        return await schedules.now(self.pool)

    def changed(self) -> None:
        """Somebody changed something by these pages: what comes next shows it."""
        self._states.forget()
        self._queues.forget()
        self._names.forget()

    async def _count_states(self) -> Stats:
        return await stats.stats(self.pool)

    async def _count_queues(self) -> list[Queue]:
        return await queues.listed(self.pool)

    async def _count_names(self) -> list[JobName]:
        return await names.listed(self.pool)
