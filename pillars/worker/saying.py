"""Writing what running jobs say: one statement for all jobs of the worker, ten times a second while there is anything."""

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from pillars import log
from pillars.errors import DatabaseTrouble, Trouble
from pillars.service.surviving import Outage
from pillars.store import history, job_events
from pillars.store.job_events import Said
from pillars.store.results import not_ended_before
from pillars.store.rows import Claimed
from pillars.store.session import Executor
from pillars.worker.voice import Voice

INTERVAL = 0.1  # seconds between two writes: what an eye follows
# In a statement: all workers write in turn, and one turn is to take milliseconds.
MOST_ROWS = 2_000
MOST_BYTES = 4_194_304
LONGEST_WAIT = 1.0  # seconds between tries, in trouble: ended jobs wait for it
PATIENCE = (
    10.0  # seconds that an outcome waits for what was said before it, where that cannot be written
)
NO_PARTITION = "23514"


@dataclass(slots=True)
class _Taken:
    """What one voice says in the batch in hand."""

    voice: Voice
    said: list[Said]


class Sayings:
    """Collects what the worker's jobs say, from any thread, and sees it written, in its order; what a lost claim says is dropped.

    In trouble with the database it keeps the batch in hand and tries it again, so a batch whose answer was lost may be written twice.
    """

    def __init__(self, executor: Executor, worker_id: UUID) -> None:
        self._executor = executor
        self._worker_id = worker_id
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._guard = threading.Lock()
        self._waiting: dict[Voice, None] = {}
        """Who has something to say, in the order in which they came."""
        self._parting: set[Voice] = set()
        """Whose code has ended: an outcome waits for them."""
        self._batch: list[_Taken] = []
        self._some = asyncio.Event()
        self._hurry = asyncio.Event()
        self._turned = asyncio.Event()
        self._outage = Outage("pillars.worker", during="sayings", longest=LONGEST_WAIT)

    def speaks(self, voice: Voice) -> None:
        """It has something to say; from any thread."""
        with self._guard:
            self._waiting[voice] = None
        if threading.get_ident() == self._thread:
            self._some.set()
        else:
            with suppress(RuntimeError):  # the loop is closed, and this thread was left behind
                self._loop.call_soon_threadsafe(self._some.set)

    async def run(self) -> None:
        """Write until cancelled, through any trouble with the database."""
        while True:
            await self._some.wait()
            began = time.monotonic()
            try:
                await self.write_once()
            except DatabaseTrouble as trouble:
                await asyncio.sleep(self._outage.begun(trouble))
            else:
                self._outage.ended()
                await self._pause(began)

    async def _pause(self, began: float) -> None:
        """Let more gather, unless an outcome waits."""
        with suppress(TimeoutError):
            async with asyncio.timeout(began + INTERVAL - time.monotonic()):
                await self._hurry.wait()

    async def write_once(self) -> int:
        """Write one batch, or again the one that could not be written; returns how many rows it had. Raises `DatabaseTrouble`."""
        self._hurry.clear()
        try:
            left = [one for one in self._batch if one.said and not one.voice.closed]
            self._batch = left or self._taken()
            rows = sum(len(one.said) for one in self._batch)
            if rows:
                await self._write(self._batch)
            self._written()
        finally:
            self._signal()
        return rows

    async def heard(self, voice: Voice) -> None:
        """Return once all that it said is written, or will not be.

        Waits for ten seconds at most, in trouble with the database; what is lost then is told by a log event.
        """
        latest = time.monotonic() + PATIENCE
        self._parting.add(voice)
        try:
            while voice.unheard and time.monotonic() < latest:
                self.speaks(voice)
                self._hurry.set()
                await self._turned.wait()
        finally:
            self._parting.discard(voice)
        if voice.unheard:
            self._lose(voice, "the database was in trouble for too long")

    async def left(self, claimed: Claimed) -> str | DatabaseTrouble | None:
        """The metadata that earlier attempts of a job have left, or why that cannot be read."""
        since = not_ended_before(claimed.job_id)
        try:
            found = await job_events.newest(self._executor, [claimed.job_id], since)
        except DatabaseTrouble as trouble:
            return trouble
        return next((one.body for one in found if one.kind == "metadata"), None)

    def _taken(self) -> list[_Taken]:
        with self._guard:
            waiting, self._waiting = self._waiting, {}
        batch: list[_Taken] = []
        rows, size = MOST_ROWS, MOST_BYTES
        left: dict[Voice, None] = {}
        for voice in waiting:
            if rows > 0 and size > 0:
                said = voice.take(rows, size, all_of_it=voice in self._parting)
                rows -= len(said)
                size -= sum(len(one.body) for one in said)
                if said:
                    batch.append(_Taken(voice, said))
            if voice.stays():
                left[voice] = None
        with self._guard:
            self._waiting = left | self._waiting
        return batch

    async def _write(self, batch: Sequence[_Taken], *, made: bool = False) -> None:
        """Write a batch; where Postgres refuses it for its data, voice by voice."""
        try:
            held = await job_events.write(
                self._executor, self._worker_id, [said for one in batch for said in one.said]
            )
        except DatabaseTrouble as trouble:
            if trouble.sqlstate == NO_PARTITION and trouble.constraint is None and not made:
                await history.make_days(self._executor)
                await self._write(batch, made=True)
            elif trouble.kind is not Trouble.REFUSED:
                raise
            elif len(batch) == 1:
                self._lose(batch[0].voice, str(trouble))
            else:
                for one in batch:
                    await self._write([one])
            return
        keys = {(one.job_id, one.lock_token) for one in held}
        for one in batch:
            said, one.said = one.said, []  # also where those behind it are to be tried again
            if (one.voice.job_id, one.voice.lock_token) in keys:
                one.voice.in_flight = 0
                self._was_written(said)
            else:
                one.voice.close()

    def _was_written(self, said: Sequence[Said]) -> None:
        """For tests of apps, which are told."""

    def _written(self) -> None:
        batch, self._batch = self._batch, []
        for one in batch:
            one.voice.in_flight = 0

    def _signal(self) -> None:
        with self._guard:
            if not (self._waiting or self._batch):
                self._some.clear()
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()

    def _lose(self, voice: Voice, why: str) -> None:
        rows = voice.close()
        log.get("pillars.worker").warning(
            log.Event.JOB_UNHEARD,
            job_id=str(voice.job_id),
            job_name=voice.name,
            attempt=voice.attempt,
            rows=rows,
            error=why,
        )
