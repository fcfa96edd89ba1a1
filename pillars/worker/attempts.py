"""One attempt of one job, told in order: start, perform, judge."""

import asyncio
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Any

import anyio
import anyio.to_thread

from pillars import backoff, log
from pillars.codec import clean_text
from pillars.durations import Duration, duration, words
from pillars.errors import Discard, LockLost, PillarsError, Retry, Snooze, UsageError
from pillars.jobs.context import Complete, Context
from pillars.jobs.definition import Job
from pillars.store.claiming import Claimed
from pillars.worker.holdings import JobKey
from pillars.worker.outcomes import (
    Cancelled,
    Completed,
    Failed,
    Outcome,
    Released,
    Retried,
    Snoozed,
)

AFTER_DRAIN = timedelta(
    seconds=5
)  # so that the next worker takes it, not this one's sibling that stops too
LONGEST_TRACEBACK = 30  # frames


class Why(Enum):
    """Why an attempt was stopped from outside."""

    CANCEL = "its end was asked for"
    DRAIN = "the worker stops"
    LOST = "the lock was lost"


class Attempt:
    """A claimed job while its code runs."""

    def __init__(
        self,
        claimed: Claimed,
        job: Job[..., Any],
        *,
        threads: anyio.CapacityLimiter,
        complete: Callable[["Attempt"], Complete],
    ) -> None:
        self.claimed = claimed
        self.job = job
        self.began_at = time.monotonic()
        self.deadline_at = self._deadline()
        self.completed_inside = False
        """Whether the job has ended itself in a transaction of its own."""
        self.why: Why | None = None
        self._threads = threads
        self._complete = complete
        self._scope = anyio.CancelScope()

    @property
    def key(self) -> JobKey:
        return self.claimed.job_id, self.claimed.lock_token

    @property
    def max_attempts(self) -> int:
        return self.claimed.max_attempts or self.job.rules.max_attempts

    def overdue_by(self, now: float) -> float | None:
        """Seconds past its deadline; negative before it, None without one."""
        return None if self.deadline_at is None else now - self.deadline_at

    def stop(self, why: Why) -> None:
        """Cancel the job's code. A thread cannot be cancelled: it is left to itself only when the worker stops."""
        self.why = self.why or why
        if self.job.kind == "async" or why is Why.DRAIN:
            self._scope.cancel()

    async def run(self) -> Outcome:
        """Run the job's code to its end, whatever that is; never raises but for the worker's own cancellation."""
        try:
            with self._scope:
                kwargs = self.job.payload_codec.decode(self.claimed.payload)
                returned = await self._perform(kwargs)
                return Completed(self._encoded(returned))
            return self._stopped()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return self._failed(error)
        except GeneratorExit:  # the coroutine itself is closed
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit too ends the attempt, not the worker
            return self._failed(error)

    async def _perform(self, kwargs: dict[str, Any]) -> Any:
        if self.job.context_parameter is not None:
            kwargs[self.job.context_parameter] = self._context()
        if self.job.kind == "async":
            if self.deadline_at is not None:
                self._scope.deadline = anyio.current_time() + (self.deadline_at - time.monotonic())
            return await self.job.function(**kwargs)
        # A thread goes on past its deadline and keeps its slot and its lock: no other attempt may overlap it.
        return await anyio.to_thread.run_sync(
            partial(self.job.function, **kwargs), limiter=self._threads, abandon_on_cancel=True
        )

    def _context(self) -> Context:
        claimed = self.claimed
        return Context(
            job_id=str(claimed.job_id),
            name=claimed.name,
            queue=claimed.queue,
            attempt=claimed.attempt,
            max_attempts=self.max_attempts,
            context=claimed.context,
            tags=claimed.tags,
            deadline=claimed.deadline_at,
            log=log.get(claimed.name).bind(
                job_id=str(claimed.job_id), job_name=claimed.name, attempt=claimed.attempt
            ),
            _complete=self._complete(self),
        )

    def _encoded(self, returned: Any) -> str | None:
        return None if returned is None else self.job.result_codec.encode(returned).decode()

    def _stopped(self) -> Outcome:
        """The scope was cancelled and the code has ended: by whom?"""
        match self.why:
            case Why.CANCEL:
                return Cancelled()
            case Why.DRAIN:
                return Released(AFTER_DRAIN)
            case Why.LOST:
                return Released()
        timeout = timedelta(seconds=round((self.deadline_at or 0) - self.began_at, 3))
        return self._again(f"TimeoutError: not done within {words(timeout)}", None, None)

    def _failed(self, error: BaseException) -> Outcome:
        if self.why is not None:  # stopped, and it ended by raising something of its own
            return self._stopped()
        told = None if isinstance(error, PillarsError) else _traceback(self.job, error)
        match error:
            case LockLost():
                return Released()
            case Discard():
                return Failed(_line(error), told)
            case Snooze():
                wait = _asked(error.for_)
                return (
                    self._again(_line(error), told, None)
                    if wait is None
                    else Snoozed(wait, _line(error))
                )
            case Retry():
                return self._again(_line(error), told, _asked(error.after))
        return self._again(_line(error), told, None)

    def _again(self, error: str, told: str | None, after: timedelta | None) -> Outcome:
        if self.claimed.attempt >= self.max_attempts:
            return Failed(error, told)
        wait = self._backoff() if after is None else after
        return Retried(wait, error, told)

    def _backoff(self) -> timedelta:
        def tell(trouble: Exception) -> None:
            log.get("pillars.worker").warning(
                log.Event.BACKOFF_FAILED, job_name=self.claimed.name, error=_line(trouble)
            )

        return backoff.delay(self.job.rules.backoff, self.claimed.attempt, trouble=tell)

    def _deadline(self) -> float | None:
        if self.claimed.deadline_at is None:
            return None
        return self.began_at + (self.claimed.deadline_at - self.claimed.locked_at).total_seconds()


def _asked(wait: Duration | None) -> timedelta | None:
    """The wait that a job asked for; None where it asked for none, or for nonsense: failing must not fail."""
    try:
        return None if wait is None else duration(wait)
    except UsageError:
        return None


def _line(error: BaseException) -> str:
    """The error in one storable line; an exception's own text may be anything."""
    try:
        said = str(error)
    except BaseException:  # noqa: BLE001 - a hostile __str__ must not stop a job from failing
        said = ""
    named = (
        said
        if isinstance(error, PillarsError) and said
        else f"{type(error).__name__}: {said}".rstrip(": ")
    )
    return clean_text(named, limit=2_000)


def from_the_job_on(job: Job[..., Any], frames: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of the runtime that called the job's code; all of it where that was never reached."""
    code = getattr(job.function, "__code__", None)
    frame = frames
    while frame is not None and frame.tb_frame.f_code is not code:
        frame = frame.tb_next
    return frame or frames


def _traceback(job: Job[..., Any], error: BaseException) -> str:
    try:
        frames = from_the_job_on(job, error.__traceback__)
        told = "".join(
            traceback.format_exception(type(error), error, frames, limit=-LONGEST_TRACEBACK)
        )
    except BaseException:  # noqa: BLE001 - as above
        told = type(error).__name__
    return clean_text(told)
