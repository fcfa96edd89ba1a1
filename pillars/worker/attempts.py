"""One attempt of one job, told in order: start, perform, judge."""

import asyncio
import concurrent.futures
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from functools import partial
from typing import Any

import anyio

from pillars import backoff, log
from pillars.durations import words
from pillars.jobs.context import Complete, Context
from pillars.jobs.definition import Job
from pillars.settings.redaction import masked, secrets_in
from pillars.store.rows import Claimed
from pillars.worker.calling import in_a_thread
from pillars.worker.exchange import MAKING, Collectors, Exchange
from pillars.worker.holdings import JobKey
from pillars.worker.judging import Raised, frames_of, judged, one_line
from pillars.worker.outcomes import (
    Cancelled,
    Completed,
    Failed,
    Outcome,
    Released,
    Retried,
    Snoozed,
)
from pillars.worker.rest import Rest

AFTER_DRAIN = timedelta(
    seconds=5
)  # so that the next worker takes it, not this one's sibling that stops too
GRACE_OF_THE_LOST = 2.0  # seconds; 4 s after its locks can no longer be trusted the process ends


class Why(Enum):
    """Why an attempt was stopped from outside."""

    CANCEL = "its end was asked for"
    DRAIN = "the worker stops"
    LOST = "the lock was lost"


InAChild = Callable[["Attempt"], Awaitable[Completed | Raised]]
"""Runs a job's code in a process of its own; where the attempt is stopped, it sees to its end and raises `CancelledError`."""


class Attempt:
    """A claimed job while its code runs, in a task of its own.

    It is stopped by asyncio's own cancellation, once for each reason: what the code awaits while it cleans up is left in peace for `grace`
    seconds; then that is cancelled too, and so on until the code ends.
    """

    __slots__ = (
        "_asked", "_asked_by", "_begun", "_collectors", "_complete", "_exchange", "_grace", "_in_a_child", "_loop", "_on_rest", "_threads", "_timer",
        "began_at", "claimed", "completed_inside", "job", "key", "outcome", "rest", "stopped_at", "task", "why",
    )  # fmt: skip

    def __init__(
        self,
        claimed: Claimed,
        job: Job[..., Any],
        *,
        threads: anyio.CapacityLimiter,
        complete: Callable[["Attempt"], Complete],
        grace: float,
        on_rest: Callable[["Attempt"], None] = lambda _attempt: None,
        in_a_child: "InAChild | None" = None,
        collectors: Collectors | None = None,
    ) -> None:
        self.claimed = claimed
        self.job = job
        self.key: JobKey = (claimed.job_id, claimed.lock_token)
        self.began_at = time.monotonic()
        self.completed_inside = False
        """Whether the job has ended itself in a transaction of its own."""
        self.why: Why | None = None
        """Why it was first stopped."""
        self.stopped_at: float | None = None
        """When that was, by the clock of `began_at`."""
        self._grace = grace
        self._on_rest = on_rest
        """Called once its code rests."""
        self.rest = Rest(on_begun=self._rests, on_over=self._goes_on)
        self._asked_by: tuple[Why, ...] = ()
        self._threads = threads
        self._in_a_child = in_a_child
        self._complete = complete
        self.task: asyncio.Task[Any] | None = None
        """In which its code runs."""
        self._begun = False
        """Whether it does: before and after there is nothing to cancel."""
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = 0
        """How often the task was cancelled by us."""
        self.outcome: Outcome | None = None
        """How its code has ended, once it has."""
        self._collectors = collectors
        self._exchange: Exchange | None = None

    @property
    def max_attempts(self) -> int:
        return self.claimed.max_attempts or self.job.rules.max_attempts

    @property
    def deadline_at(self) -> float | None:
        """When it is to have ended, by the clock of `began_at`."""
        claimed = self.claimed
        if claimed.deadline_at is None:
            return None
        return (
            self.began_at
            + (claimed.deadline_at - claimed.locked_at).total_seconds()
            + self.rest.seconds()
        )

    def overdue_by(self, now: float) -> float | None:
        """Seconds past its deadline; negative before it, None without one."""
        deadline_at = self.deadline_at
        return None if deadline_at is None else now - deadline_at

    def stop(self, why: Why) -> None:
        """Cancel the job's code, once for each reason. A thread is asked, by `ctx.cancelled`, and left to itself only when the worker stops."""
        if why in self._asked_by:
            return
        self._asked_by += (why,)
        self._note(why)
        if why is Why.LOST and self._exchange is not None:
            self._exchange.close()
        if self.job.kind != "thread" or why is Why.DRAIN:
            self._cancel()

    def _note(self, why: Why) -> None:
        self.why = self.why or why
        self.stopped_at = self.stopped_at or time.monotonic()
        self.rest.end()
        if self._exchange is not None:
            self._exchange.move()

    @property
    def exchange(self) -> Exchange:
        """By which its code speaks and is spoken to, from any thread; made when it first does."""
        if self._exchange is None:
            with MAKING:
                if self._exchange is None:
                    loop = self._loop or asyncio.get_running_loop()
                    self._exchange = Exchange(self, self._collectors, loop, hide=self._hide())
        return self._exchange

    @property
    def exchanged(self) -> Exchange | None:
        """That, where its code has made use of it."""
        return self._exchange

    @property
    def begun(self) -> bool:
        """Whether its code runs now."""
        return self._begun

    @property
    def must_end(self) -> bool:
        """Whether its code is to end: it was stopped, or is past its deadline. Also for the job's own thread."""
        return self.why is not None or (self.overdue_by(time.monotonic()) or -1.0) >= 0

    def pause(self) -> None:
        """Have its code rest at its next checkpoint, unless it is to end."""
        if self.why is None:
            self.rest.pause()

    def stop_resting(self, why: Why) -> None:
        """Stop code that rests. A thread ends by itself once it is woken, and is not left alone with what it cleans up."""
        if self.job.kind != "thread":
            self.stop(why)
        else:
            self._note(why)

    async def checkpoint(self) -> None:
        """Let the loop turn; end the code here where it is to end, and let it rest where that is wanted."""
        if asyncio.get_running_loop() is not self._loop:  # one that a thread runs by itself
            await asyncio.to_thread(self.checkpoint_now)
            return
        await self._heed_end()
        await asyncio.sleep(0)
        await self.rest.taken()
        await self._heed_end()

    def checkpoint_now(self) -> None:
        self._heed_end_now()
        if self.rest.wanted and self._loop is not None:
            with suppress(concurrent.futures.CancelledError):  # the loop ends
                asyncio.run_coroutine_threadsafe(self.rest.taken(), self._loop).result()
            self._heed_end_now()

    async def _heed_end(self) -> None:
        """By a cancellation of the task, so that the cleanup that follows is left in peace; by hand where the code has swallowed that."""
        if self.must_end:
            if not self._asked:
                self._cancel()
            await asyncio.sleep(0)
            self._heed_end_now()

    def _heed_end_now(self) -> None:
        if self.must_end:
            raise asyncio.CancelledError(self.why.value if self.why else "its deadline has passed")

    def _rests(self) -> None:
        if self._timer is not None:  # so does the deadline
            self._timer.cancel()
        self._on_rest(self)

    def _goes_on(self) -> None:
        if self._begun and self.why is None:
            self.heed_deadline()

    def heed_deadline(self) -> None:
        """Cancel the code once it is past its deadline. A thread goes on, and keeps its slot and its lock: no other attempt may overlap it."""
        overdue = self.overdue_by(time.monotonic())
        if overdue is not None and not self.rest.begun and self.job.kind != "thread":
            self._timer = asyncio.get_running_loop().call_later(max(-overdue, 0), self._cancel)

    async def run(self) -> Outcome:
        """Run the job's code to its end, whatever that is; never raises but for the worker's own cancellation."""
        if self.why is not None:
            return self._stopped()
        self.task, self._begun = self.task or asyncio.current_task(), True
        self._loop = asyncio.get_running_loop()
        try:
            if self.claimed.again and self.job.context_parameter is not None:
                await self._remember()
            if self._in_a_child is not None and self.job.kind == "process":
                return self._of_child(await self._in_a_child(self))
            kwargs = self._arguments()
            if self.job.awaited:
                return Completed(self._encoded(await self.job.function(**kwargs)))
            return Completed(
                self._encoded(await in_a_thread(self.job.function, kwargs, self._threads))
            )
        except asyncio.CancelledError as error:
            return self._cancelled(error)
        except GeneratorExit:  # the coroutine itself is closed
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit too ends the attempt, not the worker
            return self._failed(error)
        finally:
            self._end()

    def _end(self) -> None:
        """The code has ended: nothing of ours is left on its task."""
        self._begun = False
        self.rest.end()  # for tasks that it has left behind
        if self._timer is not None:
            self._timer.cancel()
        for _ in range(self._asked):
            if self.task is not None:
                self.task.uncancel()

    def _cancel(self) -> None:
        if self._begun and self.task is not None:
            self._asked += 1
            self.task.cancel()
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(self.patience(), self._cancel)

    def patience(self) -> float:
        """Seconds for its code to clean up: fewer where another worker may soon begin the job."""
        return min(self._grace, GRACE_OF_THE_LOST) if self.why is Why.LOST else self._grace

    def cancelled_itself(self, error: asyncio.CancelledError) -> Outcome:
        """Its code has cancelled the task that it runs in: an error as any other."""
        while self.task is not None and self.task.cancelling():
            self.task.uncancel()
        return self._failed(error)

    def _cancelled(self, error: asyncio.CancelledError) -> Outcome:
        """By us, or by whom its task tells: the worker, which ends, or the job's own code."""
        if self.task is not None and self.task.cancelling() > self._asked:
            raise error
        return self._stopped() if self._asked or self.must_end else self._failed(error)

    def _arguments(self) -> dict[str, Any]:
        kwargs = self.job.payload_codec.decode(self.claimed.payload)
        if self.job.context_parameter is not None:
            kwargs[self.job.context_parameter] = self._context()
        return kwargs

    async def _remember(self) -> None:
        """Read what an earlier attempt has left as metadata, before code asks for it that cannot wait."""
        if self._collectors is not None:
            left = await self._collectors.sayings.left(self.claimed)
            if left is not None:
                self.exchange.begin_with(left)

    def _context(self) -> Context:
        claimed = self.claimed
        return Context(
            job_id=str(claimed.job_id),
            name=claimed.name,
            queue=claimed.queue,
            attempt=claimed.attempt,
            max_attempts=self.max_attempts,
            context=claimed.context,
            tags=tuple(claimed.tags or ()),
            deadline=claimed.deadline_at,
            _complete=self._complete(self),
            _control=self,
        )

    def _encoded(self, returned: Any) -> str | None:
        return None if returned is None else self.job.result_codec.encode(returned).decode()

    def _stopped(self, traceback: str | None = None) -> Outcome:
        """The code was cancelled, or not begun: by whom? `traceback` is of what it raised instead of ending quietly."""
        match self.why:
            case Why.CANCEL:
                return Cancelled(traceback)
            case Why.DRAIN:
                return Released(AFTER_DRAIN)
            case Why.LOST:
                return Released()
        timeout = timedelta(seconds=round((self.deadline_at or 0) - self.began_at, 3))
        return self._again(f"TimeoutError: not done within {words(timeout)}", None, None)

    def _failed(self, error: BaseException) -> Outcome:
        """How an attempt ends that raised."""
        if self.why is not None:  # and it ended by raising something of its own
            return self._stopped(frames_of(error, self.job.function, self._hide()))
        return self._as_wished(judged(error, self.job.function, self._hide()))

    def _of_child(self, verdict: Completed | Raised) -> Outcome:
        """How an attempt ends that ran in a process of its own."""
        if isinstance(verdict, Completed):
            return verdict
        return self._as_wished(verdict) if self.why is None else self._stopped(verdict.traceback)

    def _as_wished(self, raised: Raised) -> Outcome:
        wait = None if raised.wait is None else timedelta(seconds=raised.wait)
        match raised.wish:
            case "release":
                return Released()
            case "discard":
                return Failed(raised.error, raised.traceback)
            case "snooze" if wait is not None:
                return Snoozed(wait, raised.error)
        return self._again(raised.error, raised.traceback, wait)

    def _hide(self) -> Callable[[str], str]:
        return partial(masked, also=secrets_in(self.claimed.payload))

    def _again(self, error: str, told: str | None, after: timedelta | None) -> Outcome:
        if self.claimed.attempt >= self.max_attempts:
            return Failed(error, told)
        wait = self._backoff() if after is None else after
        return Retried(wait, error, told)

    def _backoff(self) -> timedelta:
        def tell(trouble: Exception) -> None:
            log.get("pillars.worker").warning(
                log.Event.BACKOFF_FAILED, job_name=self.claimed.name, error=one_line(trouble)
            )

        return backoff.delay(self.job.rules.backoff, self.claimed.attempt, trouble=tell)
