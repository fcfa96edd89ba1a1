"""Sweeping: taking jobs from dead workers, ending the expired; every worker does it, one at a time."""

import random
import time

import anyio

from pillars import log
from pillars.errors import DatabaseTrouble
from pillars.service.process import Process
from pillars.service.surviving import Outage
from pillars.service.telling import tell_swept
from pillars.store import locks, stats
from pillars.store.rows import Swept
from pillars.store.session import Session

COUNT_EVERY = 4  # sweeps
COUNTED_AT_ONCE = 2  # things: where unfinished jobs are due each time, a day of the history has its turn all the same
COUNT_AGAIN = 20  # sweeps after a count that failed


class Sweeper:
    """Sweeps every 5 s, only on a connection that has stood for 15 s: after an outage live workers beat first."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._session: Session | None = None
        self._connected_at = 0.0
        self._sweeps = 0

    async def run(self) -> None:
        """Sweep until cancelled, through any trouble with the database."""
        pause = self._process.settings.sweep.total_seconds()
        outage = Outage("pillars.worker", during="sweep")
        try:
            while True:
                await anyio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - so that workers take turns
                try:
                    await self.sweep_once()
                except DatabaseTrouble as trouble:
                    outage.begun(trouble)  # the next sweep is soon enough
                    await self._forget_session()
                else:
                    outage.ended()
        finally:
            with anyio.CancelScope(shield=True):
                await self._forget_session()

    async def sweep_once(self) -> Swept | None:
        """Sweep, unless the connection is too young; None where it is."""
        if self._session is None or self._session.closed:
            self._session = await self._process.database.address.connect()
            self._connected_at = time.monotonic()
        stood = time.monotonic() - self._connected_at
        if stood < self._process.settings.sweep_standing.total_seconds():
            return None
        if self._session.pooled:
            # A pooler lets its clients wait through an outage, and a sweep that has waited comes before the beats of the living.
            await locks.reach(self._session)
        swept = await locks.sweep(self._session)
        tell_swept(swept, self._process.tally)
        self._sweeps += 1
        if self._sweeps % COUNT_EVERY == 0:
            await self._count(self._session)
        return swept

    async def _count(self, session: Session) -> None:
        """Trouble with a count is none of the sweep's: whoever looks counts for himself, and a later sweep tries again."""
        try:
            for _ in range(COUNTED_AT_ONCE):
                await stats.count_large(session)
        except DatabaseTrouble as trouble:
            log.get("pillars.worker").warning(
                log.Event.COUNT_FAILED, kind=trouble.kind.value, error=str(trouble)
            )
            self._sweeps = -COUNT_AGAIN

    async def _forget_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
