"""Pruning: removing days of history that are older than people asked to keep, and old rows about people; every worker and cron does it."""

import random
from collections import Counter

import anyio

from pillars import log
from pillars.errors import DatabaseTrouble
from pillars.service.process import Process
from pillars.service.surviving import Outage
from pillars.store import audit, history

# Seconds. Days grow old one a day, so an hour is often enough; many processes that boot at once do not begin at once.
FIRST_LEAST, FIRST_MOST = 60.0, 600.0
PAUSE = 3600.0
BLOCKED_TURNS = 24  # about a day


class Pruner:
    """Removes old days once an hour. Any number of processes may: each step is looked up anew, and taken by one of them."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._blocked: Counter[str] = Counter()
        """Turns in a row in which somebody stood in the way of a history."""

    async def run(self) -> None:
        """Prune until cancelled, through any trouble with the database."""
        outage = Outage("pillars.history", during="prune")
        await anyio.sleep(random.uniform(FIRST_LEAST, FIRST_MOST))  # noqa: S311 - not a secret
        while True:
            try:
                await self.prune_once()
            except DatabaseTrouble as trouble:
                outage.begun(trouble)  # the next turn is soon enough
            else:
                outage.ended()
            await anyio.sleep(PAUSE * random.uniform(0.8, 1.2))  # noqa: S311 - so that processes take turns

    async def prune_once(self) -> int:
        """Remove what is old, until nothing is left but where somebody is in the way; returns how many days went."""
        settings = self._process.settings
        gone: Counter[str] = Counter()
        blocked: set[str] = set()
        session = await history.connect_to_prune(self._process.database.direct)
        try:
            while step := await history.next_prune(
                session,
                completed=settings.keep_completed,
                failed=settings.keep_failed,
                events=settings.keep_events,
                left_out=blocked,
            ):
                if await history.take(session, step):
                    gone[step.history] += step.removes
                else:
                    blocked.add(step.history)
            while await audit.prune(session) >= audit.BATCH:
                pass  # as often as there is a whole batch
        finally:
            with anyio.CancelScope(shield=True):
                await session.close()
            _tell(gone)
        self._count(blocked)
        return gone.total()

    def _count(self, blocked: set[str]) -> None:
        """Say so where a history has been blocked for a day: it only grows."""
        self._blocked = Counter({table: self._blocked[table] + 1 for table in blocked})
        for table, turns in self._blocked.items():
            if turns % BLOCKED_TURNS == 0:
                log.get("pillars.history").warning(
                    log.Event.HISTORY_BLOCKED,
                    history=table,
                    turns=turns,
                    hint="a transaction is always open: see app doctor, schema.snapshots",
                )


def _tell(gone: Counter[str]) -> None:
    days = {f"{table}_days": count for table, count in sorted(gone.items()) if count}
    if days:
        log.get("pillars.history").info(log.Event.HISTORY_PRUNED, **days)
