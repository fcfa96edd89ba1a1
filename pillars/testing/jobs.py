"""The fixtures `jobs` and `sync_jobs`: run what is due, move time, look, assert."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast
from uuid import UUID

from pillars.durations import Duration, duration
from pillars.errors import UsageError
from pillars.jobs import options as checks
from pillars.jobs.crossing import running_loop
from pillars.jobs.enqueuing import Call, enqueue_call
from pillars.store import listing
from pillars.testing.failing import failed, fell_short, heard
from pillars.testing.matching import Asked, complaint, objection, wanted
from pillars.testing.stage import Stage
from pillars.testing.telling import EnqueuedJob, Ran
from pillars.testing.working import Hand

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

MOST = 1_000  # attempts in one drain; jobs that enqueue each other would go on for ever


def _awaited(
    method: Callable[Concatenate["Jobs", P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Jobs", P], Coroutine[Any, Any, T]]:
    """A method that is called where nothing can await it says so: a coroutine that is dropped lets its test pass."""

    @wraps(method)
    def checked(self: "Jobs", *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        __tracebackhide__ = True
        if running_loop() is None:
            raise UsageError(
                f"jobs.{method.__name__}: expected a coroutine that awaits it, got a test without a loop; take the fixture sync_jobs"
            )
        return method(self, *args, **kwargs)

    return cast("Callable[Concatenate[Jobs, P], Coroutine[Any, Any, T]]", checked)


class _Looking:
    """What runs none of your code, and is called, not awaited: an assertion that had to be awaited could be forgotten."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def now(self) -> datetime:
        """The time by the test's clock, `pillars.now()` in SQL: by it jobs are due and schedules tick."""
        return self._stage.ask(self._stage.now)

    def move_time(self, by: Duration | None = None, *, to: datetime | None = None) -> datetime:
        """Let the test's clock run ahead `by` a duration, or `to` a time, and go on from there; returns what it shows.

        Nothing happens by itself: `drain` then runs what has become due, `tick` lets schedules tick. The clock is never turned back.
        """
        __tracebackhide__ = True
        if by is not None and to is None:
            return self._stage.ask(self._stage.move_clock, duration(by, what="move_time"))
        if by is not None or to is None:
            raise UsageError(
                'move_time: expected a duration or to=, one of them: move_time("2h"), move_time(to=datetime(...))'
            )
        shown = self._stage.ask(self._stage.set_clock, checks.checked_time(to, "to"))
        if shown is None:
            raise UsageError(
                f"move_time: expected a time that is still to come ({self.now().isoformat()} it is), got {to.isoformat()}"
            )
        return shown

    def tick(self) -> list[EnqueuedJob]:
        """Let each schedule of the app that is due tick, as the leading cron process does; returns the jobs that this enqueues.

        Schedules begin at the test's first `move_time` or `tick`: what ticks is what has become due since.
        """
        return self._stage.ask(self._stage.tick)

    def enqueued(self, asked: Asked | None = None, **arguments: Any) -> list[EnqueuedJob]:
        """The jobs that have not ended, in the order in which they were enqueued: all, or those that `assert_enqueued` finds."""
        __tracebackhide__ = True
        meant = None if asked is None else wanted(asked, arguments)
        found = self._stage.ask(self._stage.enqueued)
        return [one for one in found if meant is None or meant.fits(one)]

    def assert_enqueued(self, asked: Asked, *, times: int | None = None, **arguments: Any) -> None:
        """Fail unless a job is enqueued and has not ended: at least once, or exactly so many `times`.

        `asked` is a job, beside it those of its arguments that matter: `assert_enqueued(send_receipt, to="a@example.com")`; or a job
        with options, `send_receipt.configure(run_in="2h")`; or a whole call, `send_receipt.call(42, to="a@example.com")`. The message
        shows what is enqueued instead, nearest first. Raises `UsageError` for an argument that the job does not take.
        """
        __tracebackhide__ = True
        meant = wanted(asked, arguments)
        found = self._stage.ask(self._stage.enqueued)
        fell_short(complaint(meant, found, times=times, ended=self._ended))

    def assert_not_enqueued(self, asked: Asked, **arguments: Any) -> None:
        """Fail if such a job is enqueued and has not ended; `asked` and `arguments` as for `assert_enqueued`."""
        __tracebackhide__ = True
        meant = wanted(asked, arguments)
        fell_short(objection(meant, self._stage.ask(self._stage.enqueued)))

    def _ended(self, name: str) -> list[str]:
        return self._stage.ask(self._stage.ended, name)


class Jobs(_Looking):
    """The fixture `jobs`. What runs your code is awaited: `drain`, `run_one`, `run`. The rest is called.

    Jobs run on the test's own loop, `def` jobs in threads; one at a time, in the order in which a worker claims them.
    """

    @_awaited
    async def drain(self, *, with_failures: bool = False, most: int = MOST) -> list[Ran]:
        """Run what is due until nothing is, the jobs that those enqueue and the retries that are due included; returns each attempt.

        The first error that a job raises ends the drain and is raised here, once it is written, also where the job has tries left;
        `Retry` and `Snooze` are no errors. `with_failures=True` goes on instead, and the list has the errors. What is due later waits:
        see `move_time`. Raises `AssertionError` where more is due after `most` attempts, and for a due job that no code defines.
        """
        __tracebackhide__ = True
        hand = self._stage.hand(with_failures=with_failures)
        while len(hand.ran) < most or not await self._stage.due():
            if await self._run_next(hand, with_failures=with_failures) is None:
                return hand.ran
        last = ", ".join(dict.fromkeys(one.name for one in hand.ran[-10:]))
        raise AssertionError(
            f"drain: expected an end within {most} attempts, and more is due, the last were {last}; "
            "if they do not enqueue each other for ever, pass most="
        )

    @_awaited
    async def run_one(self, *, with_failures: bool = False) -> Ran | None:
        """Run the job that a worker would claim next, one attempt; None where nothing is due. Raises as `drain`."""
        __tracebackhide__ = True
        hand = self._stage.hand(with_failures=with_failures)
        return await self._run_next(hand, with_failures=with_failures)

    @_awaited
    async def run(self, call: Call[R]) -> R:
        """Enqueue `job.call(...)`, or `job.configure(...).call(...)`, due now, and run this job alone: one attempt.

        Returns what it returned; raises what it raised, also a `Retry`, a `Snooze` or a `Discard`.
        """
        __tracebackhide__ = True
        if call.connection is not None:
            raise UsageError(
                "jobs.run: expected a call without connection=, got one; its job is seen by nobody before the commit"
            )
        if call.job.name not in self._stage.known:
            await self._stage.define(call.job)
        due_now = replace(call, options=replace(call.options, run_at=None, run_in=None))
        handle = await enqueue_call(due_now)
        hand = self._stage.hand(with_failures=False)
        row = await listing.find(self._stage.database.pool, UUID(handle.job_id))
        ran = None if row is None else await hand.run_this(row)
        fell_short(hand.stuck)
        if ran is None:
            row = await listing.find(self._stage.database.pool, UUID(handle.job_id))
            raise AssertionError(
                f"jobs.run: expected {call.job.name} {handle.job_id} to be ready, got {row.state if row else 'no such job'}; "
                "is its queue paused, its unique key held by another, or did another drain run it?"
            )
        if ran.outcome != "completed":
            heard(hand.surprise or ran)
        result: R = ran.result
        return result

    async def _run_next(self, hand: Hand, *, with_failures: bool) -> Ran | None:
        __tracebackhide__ = True
        ran = await hand.run_next()
        fell_short(hand.stuck)
        if ran is None and await self._stage.due():
            await self._stage.sweep()
            ran = await hand.run_next()
            fell_short(hand.stuck)
            if ran is None:
                fell_short(await self._stage.strangers())
        if not with_failures:
            failed(hand.surprise or ran)
        return ran


class SyncJobs(_Looking):
    """The fixture `sync_jobs`: as `Jobs`, for a test that is no coroutine. Its jobs run on a loop beside the test, which waits."""

    def drain(self, *, with_failures: bool = False, most: int = MOST) -> list[Ran]:
        """As `Jobs.drain`."""
        __tracebackhide__ = True
        return self._wait(partial(self._jobs.drain, with_failures=with_failures, most=most))

    def run_one(self, *, with_failures: bool = False) -> Ran | None:
        """As `Jobs.run_one`."""
        __tracebackhide__ = True
        return self._wait(partial(self._jobs.run_one, with_failures=with_failures))

    def run(self, call: Call[R]) -> R:
        """As `Jobs.run`."""
        __tracebackhide__ = True
        return self._wait(partial(self._jobs.run, call))

    @property
    def _jobs(self) -> Jobs:
        return Jobs(self._stage)

    def _wait(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        __tracebackhide__ = True
        if running_loop() is not None:
            raise UsageError(
                "sync_jobs: expected a test without a loop, got a coroutine; take the fixture jobs, and await"
            )
        return self._stage.ask(work)
