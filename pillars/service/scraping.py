"""`/metrics`: this process's figures, and with them the database's. Plain ASGI, so that a worker loads no web library for it."""

import time
from collections.abc import Sequence
from datetime import timedelta

import anyio

from pillars.errors import DatabaseTrouble
from pillars.service.exposition import CONTENT_TYPE, exposed
from pillars.service.farewell import Receive, Scope, Send
from pillars.service.metrics import Seen, families
from pillars.service.process import Process
from pillars.service.replying import reply
from pillars.store import diagnosis, health, names, queues, schedules
from pillars.store.rows import Queue
from pillars.store.session import Session

FRESH = 5.0  # seconds; several scrapers, or an eager one, cost one look in this time
PATIENCE = 5.0  # seconds for a look; Prometheus itself gives up after 10
COUNTING = timedelta(seconds=3)


class Metrics:
    """Answers a scrape. A database that is away leaves the process's own figures."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._seen: Seen | None = None
        self._looked_at = float("-inf")
        self._turn = anyio.Lock()

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        seen = await self.fresh()
        await reply(send, 200, exposed(families(self._process, seen)), media=CONTENT_TYPE)

    async def fresh(self) -> Seen | None:
        """What was seen a moment ago, or is seen now; None where the last look failed."""
        async with self._turn:
            if time.monotonic() - self._looked_at >= FRESH:
                self._seen = await self.look_once()
                self._looked_at = time.monotonic()
            return self._seen

    async def look_once(self) -> Seen | None:
        """Look at the database over a connection of its own: counting many jobs takes long, and must hold up no claim."""
        try:
            with anyio.fail_after(PATIENCE):
                session = await self._process.database.address.connect()
                try:
                    vitals, ticking = await health.vitals(session), await schedules.listed(session)
                    expired = await diagnosis.expired(session, longer_than=timedelta(0))
                    paused = await names.paused(session)
                    return Seen(vitals, await _queues(session), ticking, expired.late, paused)
                finally:
                    await session.close()
        except (DatabaseTrouble, TimeoutError):
            return None


async def _queues(session: Session) -> Sequence[Queue]:
    """The queues with what waits in them; none where that is too much to count now: the other figures are worth having."""
    try:
        return await queues.listed(session, timeout=COUNTING)
    except DatabaseTrouble:
        return ()
