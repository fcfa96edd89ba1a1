"""Messages to running jobs: read for all that ask, in one statement, and removed as their code is done with them."""

import asyncio
import time
from collections import defaultdict
from uuid import UUID

from pillars.errors import DatabaseTrouble
from pillars.service.surviving import Outage
from pillars.store import job_messages
from pillars.store.job_messages import Done
from pillars.store.rows import MessageRow
from pillars.store.session import Executor
from pillars.worker.inbox import Inbox

MOST_READ = 100  # of one job, as untaken.sql says: more than its code takes before the next look
MOST_REMOVED = 1_000  # in a statement
LONGEST_WAIT = 1.0  # seconds between tries, in trouble: code waits
PATIENCE = 10.0  # seconds that an outcome waits for messages to be removed: else the next attempt gets them again


class Deliveries:
    """Looks for messages when a job first asks, at each notification, and every few seconds while one waits."""

    def __init__(self, executor: Executor, worker_id: UUID) -> None:
        self._executor = executor
        self._worker_id = worker_id
        self._inboxes: dict[Inbox, None] = {}
        self._some = asyncio.Event()
        self._turned = asyncio.Event()
        self._outage = Outage("pillars.worker", during="messages", longest=LONGEST_WAIT)

    def looks(self, inbox: Inbox) -> None:
        """It wants to be read for, or has messages to be removed."""
        self._inboxes[inbox] = None
        self._some.set()

    def heard(self, message: str) -> bool:
        """Whether a notification was about a message, which is then looked for."""
        verb, _, job_id = message.partition(" ")
        if verb != "message":
            return False
        for inbox in self._inboxes:
            if str(inbox.job_id) == job_id:
                inbox.wants = True
                self._some.set()
        return True

    async def run(self) -> None:
        """Look until cancelled, through any trouble with the database."""
        while True:
            await self._some.wait()
            try:
                await self.look_once()
            except DatabaseTrouble as trouble:
                self._some.set()
                await asyncio.sleep(self._outage.begun(trouble))
            else:
                self._outage.ended()

    async def look_once(self) -> int:
        """Remove what code is done with, and read for those that ask; returns how many messages came. Raises `DatabaseTrouble`."""
        self._some.clear()
        try:
            await self._remove()  # first: what is read then is known or new
            return await self._read()
        finally:
            turned, self._turned = self._turned, asyncio.Event()
            turned.set()

    async def settled(self, inbox: Inbox) -> None:
        """Return once what its code was done with is removed, or that took too long."""
        latest = time.monotonic() + PATIENCE
        while inbox.done and time.monotonic() < latest:
            self.looks(inbox)
            await self._turned.wait()

    def forget(self, inbox: Inbox) -> None:
        """It gets no message any more."""
        inbox.close()
        self._inboxes.pop(inbox, None)

    async def _remove(self) -> None:
        done = [
            (inbox, Done(inbox.job_id, inbox.lock_token, one))
            for inbox in self._inboxes
            for one in inbox.done
        ][:MOST_REMOVED]
        if done:
            await job_messages.remove(self._executor, self._worker_id, [one for _, one in done])
            for inbox, one in done:
                inbox.done.discard(one.message_id)
            self._some.set()  # there may be more

    async def _read(self) -> int:
        if not any(inbox.wants for inbox in self._inboxes):
            return 0
        asking = [inbox for inbox in self._inboxes if inbox.wants or inbox.waits]
        for inbox in asking:
            inbox.wants = False  # first: a notification from here on is about what is read next
        began, found = time.monotonic(), defaultdict[UUID, list[MessageRow]](list)
        try:
            held = [(inbox.job_id, inbox.lock_token) for inbox in asking]
            known = [one for inbox in asking for one in inbox.known()]
            for row in await job_messages.untaken(self._executor, self._worker_id, held, known):
                found[row.job_id].append(row)
        except BaseException:
            for inbox in asking:
                inbox.wants = True
            raise
        finally:
            for inbox in asking:
                rows = found[inbox.job_id]
                inbox.looked(rows, at=began, more=len(rows) >= MOST_READ)
        return sum(map(len, found.values()))
