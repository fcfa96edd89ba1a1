"""A worker that a test drives by hand: it claims one job, runs it here and now, and writes what became of it.

The claim, the attempt and the finish are the worker's own. What is not here is what keeps a worker alive by itself: loops, heartbeat,
listener. A job that a test holds up, in a debugger say, keeps its lock: nobody takes it away but a sweep, and a sweep is what begins
a drain, not what runs beside it.
"""

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import anyio
import anyio.abc

from pillars.codec import from_json
from pillars.errors import JobFailed
from pillars.jobs.definition import Job
from pillars.service.process import Process
from pillars.settings import Settings
from pillars.store import claiming, job_events as store, listing, settling
from pillars.store.claiming import Demand, Places
from pillars.store.database import Database
from pillars.store.rows import Claimed, JobRow, Lane
from pillars.store.session import Executor
from pillars.store.settling import Returned
from pillars.testing.telling import Ran, Said
from pillars.worker.attempts import Attempt
from pillars.worker.children.nursery import Nursery
from pillars.worker.completing import Completer
from pillars.worker.delivering import Deliveries
from pillars.worker.exchange import Collectors
from pillars.worker.finishing import Finisher, Settling
from pillars.worker.holdings import Holdings, counted_clock
from pillars.worker.outcomes import (
    Cancelled,
    Completed,
    Failed,
    Outcome,
    Released,
    Retried,
    Snoozed,
)
from pillars.worker.saying import Sayings

LOOK = 0.01  # seconds between looks for what a running job awaits
LONGEST_LOOK = 0.25  # seconds between tries to claim it
PATIENCE = (
    5.0  # seconds for what another transaction holds; honest ones of a test take milliseconds
)


class WatchedAttempt(Attempt):
    """An attempt that keeps what its code raised: a worker keeps its text alone."""

    raised: BaseException | None = None

    def _failed(self, error: BaseException) -> Outcome:
        self.raised = error
        return super()._failed(error)


class Hearing(Sayings):
    """Writes what a job says as a worker does, and keeps it for the test."""

    def __init__(self, executor: Executor, worker_id: UUID) -> None:
        super().__init__(executor, worker_id)
        self.written: list[store.Said] = []

    def _was_written(self, said: Sequence[store.Said]) -> None:
        self.written += said


class Hand:
    """Runs jobs one at a time, in the order in which they are claimed; what a running job awaits runs meanwhile.

    `ran` are the attempts that have ended. One whose failure is not expected stops those that wait for it: see `surprise`.
    Where nothing can go on, `stuck` says why, and what waits is given back.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        jobs: Mapping[str, Job[..., Any]],
        *,
        with_failures: bool,
    ) -> None:
        self._database = database
        self._process = Process("worker", settings, database)
        self._jobs = jobs
        self._with_failures = with_failures
        self._holdings = Holdings(settings.trust)
        self._threads = anyio.CapacityLimiter(settings.threads)
        self._begun: set[UUID] = set()
        self._running: list[anyio.CancelScope] = []
        self.ran: list[Ran] = []
        self.surprise: Ran | None = None
        self.stuck: str | None = None

    async def run_next(self) -> Ran | None:
        """Run the next due job; None where nothing is due that this app knows."""
        claimed = await self._claim(list(self._jobs), Places())
        return None if claimed is None else await self._run(claimed)

    async def run_this(self, row: JobRow) -> Ran | None:
        """Run a job, whatever is due before it; None where it cannot be claimed now."""
        if row.state != "ready" or row.run_at is None or row.name not in self._jobs:
            return None
        before = (row.run_at, UUID(int=row.job_id.int - 1))
        claimed = await self._claim([row.name], Places({Lane(row.queue, row.priority): before}))
        if claimed is None:
            return None
        if claimed.job_id != row.job_id:  # another was faster, and this is the next behind it
            await self._give_back(claimed)
            return None
        return await self._run(claimed)

    async def _claim(self, names: list[str], places: Places) -> Claimed | None:
        demand = Demand(
            worker_id=self._process.worker_id,
            lock=self._process.settings.lock,
            names=names,
            free=1,
            above=self._holdings.highest,
        )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            asked_at = counted_clock()
            claim = await claiming.claim(self._database.runtime, demand, places)
            for claimed in claim.jobs:
                self._holdings.take([(claimed.job_id, claimed.lock_token)], asked_at=asked_at)
                return claimed
            if not claim.contended:  # another test's hand was faster
                return None
        self._stick(
            f"expected to claim what is due, and for {PATIENCE:g}s another transaction has held its row; end that first"
        )
        return None

    async def _give_back(self, claimed: Claimed) -> None:
        key = claimed.job_id, claimed.lock_token
        back = Returned(*key, "released", wait=None, given_back=True, begun=False)
        await settling.put_back(
            self._database.runtime, self._process.worker_id, [back], last_of=[claimed.lock_token]
        )
        self._holdings.ended(key)
        self._holdings.settle([key])

    async def _run(self, claimed: Claimed) -> Ran:
        nursery = Nursery(self._process)
        try:
            return await self._run_with(nursery, claimed)
        finally:
            await nursery.close()

    async def _run_with(self, nursery: Nursery, claimed: Claimed) -> Ran:
        """A program runs in a process as anywhere; a function that would have its own runs here, where the test's patches are."""
        self._begun.add(claimed.job_id)
        job = self._jobs[claimed.name]
        sayings = Hearing(self._database.runtime, self._process.worker_id)
        deliveries = Deliveries(self._database.runtime, self._process.worker_id)
        attempt = WatchedAttempt(
            claimed,
            job,
            threads=self._threads,
            complete=partial(Completer, self._process.worker_id),
            grace=self._process.settings.grace.total_seconds(),
            in_a_child=nursery.run if job.command else None,
            collectors=Collectors(sayings, deliveries),
        )
        looking, writing, running = (anyio.CancelScope() for _ in range(3))
        outcome: Outcome = (
            Released()
        )  # where what it awaited has failed unexpectedly, or cannot run
        self._running.append(running)
        async with anyio.create_task_group() as crew:
            crew.start_soon(self._look_for_awaited, crew, looking, running)
            crew.start_soon(_until, writing, sayings.run, deliveries.run)
            with running:
                attempt.heed_deadline()
                outcome = await attempt.run()
            if attempt.exchanged is not None:
                await attempt.exchanged.over(outcome)
                attempt.exchanged.close()
            looking.cancel()
            writing.cancel()
        self._running.remove(running)
        await self._settle(attempt, outcome)
        self._begun.discard(claimed.job_id)
        ran = replace(await self._told(attempt, outcome), said=tuple(map(_said, sayings.written)))
        self.ran.append(ran)
        return ran

    async def _settle(self, attempt: Attempt, outcome: Outcome) -> None:
        self._holdings.ended(attempt.key)
        finisher = Finisher(
            self._database.runtime,
            self._process.worker_id,
            self._holdings,
            self._process.tally,
            on_put_back=_is_noted,
        )
        finisher.take(Settling.of(attempt, outcome))
        until = time.monotonic() + PATIENCE
        while not await finisher.flush_once():  # another holds its row, or its day is to be made
            if time.monotonic() >= until:
                self._stick(
                    f"expected to write how {attempt.job.name} {attempt.claimed.job_id} ended, and for {PATIENCE:g}s another "
                    "transaction has held its row; end that before the job does"
                )
                return

    async def _look_for_awaited(
        self, crew: anyio.abc.TaskGroup, looking: anyio.CancelScope, waiting: anyio.CancelScope
    ) -> None:
        """A job that awaits another's result would wait for ever: run that one beside it."""
        with looking:
            while True:
                await anyio.sleep(LOOK)
                for job_id in self._database.results.awaited():
                    if job_id not in self._begun:
                        self._begun.add(job_id)
                        crew.start_soon(self._run_awaited, job_id, looking, waiting)

    async def _run_awaited(
        self, job_id: UUID, looking: anyio.CancelScope, waiting: anyio.CancelScope
    ) -> None:
        try:
            ran = await self._ran_once_it_can(job_id, looking)
        finally:
            self._begun.discard(job_id)
        if ran is not None and ran.failure is not None and not self._with_failures:
            self.surprise = self.surprise or ran
            waiting.cancel()

    async def _ran_once_it_can(self, job_id: UUID, looking: anyio.CancelScope) -> Ran | None:
        """Run what is awaited; None where another runs it or has run it, or nobody waits any more."""
        pause, until = LOOK, time.monotonic() + PATIENCE
        while not looking.cancel_called and job_id in self._database.results.awaited():
            row = await listing.find(self._database.pool, job_id)
            ran = None if row is None else await self.run_this(row)
            if ran is not None:
                return ran
            if row is not None and row.state == "running":
                until = time.monotonic() + PATIENCE  # it goes on, beside us
            elif time.monotonic() >= until:
                what = (
                    f"{row.name} {job_id}, which is {row.state}"
                    if row
                    else f"job {job_id}, which is not committed"
                )
                self._stick(
                    f"expected what a job awaits to run, and for {PATIENCE:g}s nobody could claim {what}; "
                    "is it due, known to the app, its queue not paused?"
                )
            await anyio.sleep(pause)
            pause = min(pause * 2, LONGEST_LOOK)
        return None

    def _stick(self, why: str) -> None:
        """Have the test hear why nothing goes on, and let go of whatever waits."""
        self.stuck = self.stuck or why
        for running in self._running:
            running.cancel()

    async def _told(self, attempt: WatchedAttempt, outcome: Outcome) -> Ran:
        if attempt.completed_inside:
            ended = await listing.inspect(self._database.pool, attempt.claimed.job_id)
            if ended is None or ended.state == "completed":
                outcome = Completed(None if ended is None else ended.result)
        return _ran(attempt, outcome)


async def _until(over: anyio.CancelScope, *loops: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run what a worker runs beside its jobs."""
    with over:
        async with anyio.create_task_group() as group:
            for one in loops:
                group.start_soon(one)


def _said(said: store.Said) -> Said:
    return Said(said.kind, from_json(said.body))


def _is_noted(_wait: timedelta) -> None:
    """A worker would set its alarm by it."""


def _ran(attempt: WatchedAttempt, outcome: Outcome) -> Ran:
    told: dict[str, Any] = {
        "job": attempt.job,
        "job_id": str(attempt.claimed.job_id),
        "attempt": attempt.claimed.attempt,
        "error": attempt.raised,
    }
    match outcome:
        case Completed(result):
            value = None if result is None else attempt.job.result_codec.decode(result)
            return Ran(outcome="completed", result=value, **told)
        case Failed(error):
            return Ran(
                outcome="failed", **told | {"error": attempt.raised or _failure(attempt, error)}
            )
        case Retried(wait, error):
            told["error"] = attempt.raised or _failure(attempt, error)
            return Ran(outcome="retried", wait=wait, **told)
        case Snoozed(wait):
            return Ran(outcome="snoozed", wait=wait, **told)
        case Released(wait):
            return Ran(outcome="released", wait=wait, **told)
        case Cancelled():
            return Ran(outcome="cancelled", **told)


def _failure(attempt: WatchedAttempt, error: str) -> Exception:
    """Nothing was raised here: the worker ended it, or its program ended ill."""
    if error.startswith("TimeoutError: "):
        return TimeoutError(error.removeprefix("TimeoutError: "))
    return JobFailed(error, job_id=str(attempt.claimed.job_id), last_error=error)
