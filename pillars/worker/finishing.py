"""Writing outcomes, in groups: while one flush is in flight the next gathers, so nothing waits when idle and batches grow under load."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from pillars import log
from pillars.codec import clean_text
from pillars.errors import DatabaseTrouble, Trouble
from pillars.service.surviving import Outage
from pillars.service.tally import Tally
from pillars.store import history, settling
from pillars.store.rows import Answered, PutBack
from pillars.store.session import Executor
from pillars.store.settling import Ended, Returned
from pillars.store.trouble import FULL
from pillars.worker.attempts import Attempt
from pillars.worker.holdings import Holdings, JobKey
from pillars.worker.outcomes import (
    Cancelled,
    Completed,
    Failed,
    Outcome,
    Released,
    Retried,
    Snoozed,
)

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

LARGEST_FLUSH = 500  # jobs in a statement
MOST_PENDING = 2_000  # then attempts wait before handing over: memory is bounded, and no claim runs ahead of the history
BUSY_PAUSE = 0.05  # seconds before asking again for a row that another holds
NO_PARTITION = "23514"
SHORTENED = 2_000  # characters of a text that Postgres has refused

DONE = Answered(UUID(int=0), 0, "done")  # of whatever a finish says nothing
EVENTS = {
    "completed": log.Event.JOB_COMPLETED,
    "failed": log.Event.JOB_FAILED,
    "cancelled": log.Event.JOB_CANCELLED,
    "retried": log.Event.JOB_RETRIED,
    "snoozed": log.Event.JOB_SNOOZED,
    "released": log.Event.JOB_RELEASED,
}


class Settling(Struct, frozen=True, gc=False):
    """An outcome on its way to the database, and what its log line will say."""

    record: Ended | Returned
    name: str = ""
    queue: str = ""
    attempt: int = 0
    ran_for: float = 0.0
    """Seconds."""
    again: bool = False
    """Whether an earlier flush with it may have been carried out."""

    @property
    def key(self) -> JobKey:
        return self.record.job_id, self.record.lock_token

    @classmethod
    def of(cls, attempt: Attempt, outcome: Outcome) -> "Settling":
        """How an attempt has just ended."""
        return cls(
            _record(attempt, outcome),
            name=attempt.claimed.name,
            queue=attempt.claimed.queue,
            attempt=attempt.claimed.attempt,
            ran_for=time.monotonic() - attempt.began_at,
            again=attempt.completed_inside,
        )


class Finisher:
    """Takes outcomes and sees each one written, or lost to a newer claim."""

    def __init__(
        self,
        executor: Executor,
        worker_id: UUID,
        holdings: Holdings,
        tally: Tally,
        *,
        on_put_back: Callable[[timedelta], None],
    ) -> None:
        self._executor = executor
        self._worker_id = worker_id
        self._holdings = holdings
        self._tally = tally
        self._on_put_back = on_put_back
        self._log = log.get("pillars.worker")
        self._pending: list[Settling] = []
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._done = asyncio.Event()
        self._done.set()
        self._unwoken: DatabaseTrouble | None = None
        """Why some of the flush that is under way must wait: nobody can be notified."""

    @property
    def has_room(self) -> bool:
        """Whether an outcome may be handed over at once."""
        return self._room.is_set()

    async def put(self, settling: Settling) -> None:
        """Hand an outcome over; waits only where too many wait already."""
        await self._room.wait()
        self.take(settling)

    def take(self, settling: Settling) -> None:
        """Take an outcome over at once, however many wait."""
        if not self._pending:
            self._some.set()
            self._done.clear()
        self._pending.append(settling)
        if len(self._pending) >= MOST_PENDING:
            self._room.clear()

    async def written(self) -> None:
        """Return once nothing is pending or in flight."""
        await self._done.wait()

    async def run(self) -> None:
        """Flush until cancelled, through any trouble with the database."""
        outage = Outage("pillars.worker", during="finish")
        while True:
            await self._some.wait()
            try:
                await self.flush_once()
            except DatabaseTrouble as trouble:
                await asyncio.sleep(outage.begun(trouble))
            else:
                outage.ended()

    async def flush_once(self) -> int:
        """Write one group of outcomes; returns how many are settled. What is busy is asked again by the next flush."""
        group, self._pending = self._pending[:LARGEST_FLUSH], self._pending[LARGEST_FLUSH:]
        self._tally.flushes += 1
        unsettled: Sequence[Settling] | None = None
        try:
            unsettled = await self._flush(group)
        finally:
            if unsettled is None:  # it may have been carried out all the same
                unsettled = [replace(one, again=True) for one in group]
            self._pending = [*self._pending, *unsettled]  # behind: what is busy is in nobody's way
            self._signal()
        unwoken, self._unwoken = self._unwoken, None
        if unwoken is not None:
            raise unwoken  # to be told, and tried again ever later
        if unsettled and len(unsettled) == len(group):
            await asyncio.sleep(BUSY_PAUSE)
        return len(group) - len(unsettled)

    def _signal(self) -> None:
        if len(self._pending) < MOST_PENDING:
            self._room.set()
        if not self._pending:
            self._some.clear()
            self._done.set()

    async def _flush(self, group: Sequence[Settling]) -> list[Settling]:
        """Write a group; returns those to ask for again."""
        try:
            return self._judge(group, await self._write(group))
        except DatabaseTrouble as trouble:
            if trouble.sqlstate == NO_PARTITION and trouble.constraint is None:
                await history.make_days(self._executor)
                return list(group)
            if trouble.kind is Trouble.BUSY and trouble.sqlstate == FULL:
                self._unwoken = trouble
                return await self._flush_ended(group)
            if trouble.kind is not Trouble.REFUSED:
                raise
        if len(group) == 1:
            return [_shortened(group[0])]
        return [left for one in group for left in await self._flush([one])]

    async def _flush_ended(self, group: Sequence[Settling]) -> list[Settling]:
        """Where nobody can be notified: what is put back wakes others, and waits until it can; what has ended does not wait with it."""
        ended = [one for one in group if isinstance(one.record, Ended)]
        returned = [one for one in group if isinstance(one.record, Returned)]
        if not (ended and returned):
            return list(group)
        return [*await self._flush(ended), *returned]

    async def _write(self, group: Sequence[Settling]) -> list[Answered | PutBack]:
        """Write a group; returns what is said of jobs that were put back, or were not simply moved to the history."""
        ended = [one.record for one in group if isinstance(one.record, Ended)]
        returned = [one.record for one in group if isinstance(one.record, Returned)]
        last_of = self._holdings.last_of([one.key for one in group])
        again = any(one.again for one in group)
        told: list[Answered | PutBack] = []
        # The later of two statements ends a claim that has jobs in both.
        if returned:
            told += await settling.put_back(
                self._executor,
                self._worker_id,
                returned,
                last_of=() if ended else last_of,
                again=again,
            )
        if ended:
            told += await settling.finish(
                self._executor, self._worker_id, ended, last_of=last_of, again=again
            )
        return told

    def _judge(
        self, group: Sequence[Settling], answers: Sequence[Answered | PutBack]
    ) -> list[Settling]:
        """Settle a group by what was said of it; returns those that are busy."""
        logger = self._log.bind()  # once for all: as it is, it is put together at each use
        said = {(answer.job_id, answer.lock_token): answer for answer in answers}
        judged = [(one, _answer(one, said) if said else DONE) for one in group]
        self._holdings.settle([one.key for one, answer in judged if answer.answer != "busy"])
        for one, answer in judged:
            if isinstance(answer, PutBack) and answer.run_in is not None:
                self._on_put_back(answer.run_in)
            if answer.answer != "busy" and one.name:
                told = _completed(one) if answer.answer == "completed" else one
                _tell(told, self._tally, logger, lost=answer.answer == "lost")
        return [one for one, answer in judged if answer.answer == "busy"]


def _answer(settling: Settling, said: Mapping[JobKey, Answered | PutBack]) -> Answered | PutBack:
    """A finish says nothing of what it simply moved."""
    if isinstance(settling.record, Returned):
        return said[settling.key]
    return said.get(settling.key, DONE)


def _record(attempt: Attempt, outcome: Outcome) -> Ended | Returned:
    """What to write for an outcome."""
    keep = attempt.job.rules.keep
    match outcome:
        case Completed(result):
            return Ended(*attempt.key, "completed", keep, result)
        case Failed(error, traceback):
            return Ended(*attempt.key, "failed", keep, error=error, traceback=traceback)
        case Cancelled(traceback):  # who asked is told by the row
            return Ended(*attempt.key, "cancelled", keep, traceback=traceback)
        case Retried(wait, error, traceback):
            return Returned(
                *attempt.key,
                "retried",
                wait,
                given_back=False,
                begun=True,
                error=error,
                traceback=traceback,
            )
        case Snoozed(wait, error):
            return Returned(*attempt.key, "snoozed", wait, given_back=True, begun=True, error=error)
        case Released(wait):
            return Returned(*attempt.key, "released", wait, given_back=True, begun=True)


def _shortened(settling: Settling) -> Settling:
    """The same outcome, with texts that Postgres takes: a job must be able to fail."""
    record = settling.record
    error = clean_text(record.error or "Postgres refused the result", limit=SHORTENED)
    if isinstance(record, Ended) and record.result is not None:
        return replace(
            settling,
            record=replace(record, state="failed", result=None, error=error, traceback=None),
        )
    return replace(settling, record=replace(record, error=error, traceback=None))


def _completed(settling: Settling) -> Settling:
    """What became of a job that had completed inside a transaction of its own, whatever its code did afterwards."""
    record = settling.record
    keep = record.keep if isinstance(record, Ended) else "full"
    return replace(settling, record=Ended(record.job_id, record.lock_token, "completed", keep))


def _tell(settling: Settling, tally: Tally, logger: "FilteringBoundLogger", *, lost: bool) -> None:
    """Count an attempt, and write its line."""
    record = settling.record
    outcome = record.state if isinstance(record, Ended) else record.outcome
    tally.ended(settling.name, "lost" if lost else outcome, settling.ran_for)
    if lost:
        tally.locks_lost += 1
        logger.warning(log.Event.JOB_LOCK_LOST, outcome=outcome, **_facts(settling))
    elif outcome == "failed":
        logger.error(EVENTS[outcome], **_facts(settling))
    elif logger.is_enabled_for(logging.INFO):
        logger.info(EVENTS[outcome], **_facts(settling))


def _facts(settling: Settling) -> dict[str, object]:
    record = settling.record
    facts: dict[str, object] = {
        "job_id": str(record.job_id),
        "job_name": settling.name,
        "queue": settling.queue,
        "attempt": settling.attempt,
        "duration_ms": round(settling.ran_for * 1000, 1),
    }
    if record.error:
        facts["error"] = record.error
    if record.traceback:
        facts["exception"] = record.traceback
    if isinstance(record, Returned) and record.wait is not None:
        facts["wait_ms"] = round(record.wait / timedelta(milliseconds=1))
    return facts
