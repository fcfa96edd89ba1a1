"""`ctx.complete`: a job ends inside a transaction of its own code, so that its effects and its end commit together."""

import time
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import anyio

from pillars.errors import DatabaseTrouble, LockLost, Trouble, UsageError
from pillars.jobs.crossing import running_loop
from pillars.jobs.definition import Job
from pillars.store import settling
from pillars.store.borrowed import borrow, borrow_now
from pillars.store.settling import Ended
from pillars.worker.holdings import JobKey

PATIENCE = timedelta(seconds=5)  # with whoever holds the job's row; our caller holds a transaction
PAUSE = 0.05  # seconds between two looks


class Heard(Protocol):
    """Whoever has said things that are to be written first."""

    async def heard(self) -> None: ...
    def heard_now(self) -> None: ...


class Ending(Protocol):
    """An attempt that may end itself."""

    job: Job[..., Any]
    key: JobKey
    completed_inside: bool

    @property
    def exchanged(self) -> Heard | None: ...


class Completer:
    """Ends one attempt's job on a connection of the caller's; the fence decides whether it is the attempt's to end."""

    def __init__(self, worker_id: UUID, attempt: Ending) -> None:
        self._worker_id = worker_id
        self._attempt = attempt

    def __call__(self, result: object, connection: Any, /) -> Coroutine[Any, Any, None]:
        if running_loop() is None:
            raise UsageError(
                "ctx.complete: expected a loop that awaits it, got none; in a `def` job call ctx.complete_now(...)"
            )
        return self._complete(self._ended(result), connection)

    async def _complete(self, ended: Ended, connection: Any) -> None:
        borrowed = borrow(connection, otherwise="call ctx.complete_now(...), without await")
        if self._attempt.exchanged is not None:
            await self._attempt.exchanged.heard()  # from the commit on nothing of it is written
        latest = time.monotonic() + PATIENCE.total_seconds()
        answer = await settling.complete(borrowed, self._worker_id, ended)
        while not self._is_done(answer, latest):
            await anyio.sleep(PAUSE)
            answer = await settling.complete(borrowed, self._worker_id, ended)

    def now(self, result: object, connection: Any, /) -> None:
        ended = self._ended(result)
        borrowed = borrow_now(connection, otherwise="write await ctx.complete(...)")
        if self._attempt.exchanged is not None:
            self._attempt.exchanged.heard_now()
        latest = time.monotonic() + PATIENCE.total_seconds()
        answer = settling.complete_now(borrowed, self._worker_id, ended)
        while not self._is_done(answer, latest):
            time.sleep(PAUSE)
            answer = settling.complete_now(borrowed, self._worker_id, ended)

    def _ended(self, result: object) -> Ended:
        job = self._attempt.job
        encoded = None if result is None else job.result_codec.encode(result).decode()
        return Ended(*self._attempt.key, "completed", job.rules.keep, result=encoded)

    def _is_done(self, answer: str, latest: float) -> bool:
        """False: another transaction holds the row, and the job is still ours; look again."""
        job_id = self._attempt.key[0]
        if answer == "lost":
            raise LockLost(f"job {job_id} is no longer held by this attempt; nothing was written")
        if answer == "done":
            self._attempt.completed_inside = True
            return True
        if time.monotonic() >= latest:
            raise DatabaseTrouble(
                Trouble.CONFLICT,
                f"job {job_id}: another transaction has held its row for {PATIENCE.total_seconds():g} s "
                "(a pillars.cancel that is not committed?); nothing was written",
            )
        return False
