"""The jobs that a worker has in hand: those whose code runs, each in a task of its own, and those claimed ahead that wait for a slot."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any
from uuid import UUID

import anyio

from pillars.jobs.definition import Job
from pillars.service.process import Process
from pillars.store.rows import Claimed
from pillars.store.settling import Returned
from pillars.worker.attempts import AFTER_DRAIN, Attempt, InAChild, Why
from pillars.worker.completing import Completer
from pillars.worker.exchange import Collectors, Exchange
from pillars.worker.finishing import Finisher, Settling
from pillars.worker.holdings import Holdings, counted_clock
from pillars.worker.outcomes import Outcome, Released
from pillars.worker.slots import Slots

LONGEST_WAIT = 1.0  # seconds that a job claimed ahead is kept from other workers


class Crew:
    """Begins jobs as slots come free, and hands their outcomes over."""

    def __init__(
        self,
        process: Process,
        jobs: Mapping[str, Job[..., Any]],
        slots: Slots,
        holdings: Holdings,
        finisher: Finisher,
        *,
        collectors: Collectors,
        on_freed: Callable[[], None],
        on_rest: Callable[[Attempt], None],
        in_a_child: InAChild | None = None,
    ) -> None:
        self._process = process
        self._jobs = jobs
        self._slots = slots
        self._holdings = holdings
        self._finisher = finisher
        self._collectors = collectors
        self._on_freed = on_freed
        self._on_rest = on_rest
        self._in_a_child = in_a_child
        self._complete = partial(Completer, process.worker_id)
        self._grace = process.settings.grace.total_seconds()
        self._attempts: dict[Attempt, None] = {}
        """Whose code runs, in the order in which it began."""
        self._waiting: dict[str, deque[tuple[Claimed, float]]] = {
            kind: deque() for kind in slots.kinds
        }
        """By kind, each with when it came, in the order of the claims."""
        self._threads = anyio.CapacityLimiter(process.settings.threads)
        self._tasks: set[asyncio.Task[None] | None] = set()
        self._fresh: list[Attempt] = []
        """Not yet watched for their deadlines."""
        self._watching = False
        self._context = copy_context()
        """Of the worker; each job gets a copy, so none sees what another has set."""
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[BaseException] = self._loop.create_future()
        self._look: asyncio.TimerHandle | None = None
        self._ending = False
        self._idle = asyncio.Event()

    async def run(self) -> None:
        """Hold the jobs' tasks until cancelled, then cancel them and wait for their ends. Raises what our own code in one of them raised."""
        self._context = copy_context()
        try:
            raise await self._broken
        finally:
            self._ending = True
            if self._look is not None:
                self._look.cancel()
            with anyio.CancelScope(shield=True):
                for attempt in self.attempts():
                    attempt.rest.kill()
                left = [task for task in self._tasks if task is not None]
                for task in left:
                    task.cancel()
                await asyncio.gather(*left, return_exceptions=True)

    def attempts(self) -> list[Attempt]:
        """Those whose code runs; also for another thread, since to copy them is one step."""
        return list(self._attempts)

    def take_in(self, claimed: Sequence[Claimed]) -> None:
        """Begin jobs that were claimed, as far as there are slots; the others wait for the next that comes free."""
        now = counted_clock()
        stopping = self._process.stopping.is_set()
        # An answer that came after its trust had run out (we were frozen) may be about jobs that run elsewhere by now.
        trusted = {one for one in {one.lock_token for one in claimed} if self._holdings.trusts(one)}
        for one in claimed:
            kind = self._jobs[one.name].kind
            if stopping or one.lock_token not in trusted:
                self._give_back(one)
            elif self._slots.free(kind) > 0:
                self._begin(one, came_at=now, now=now)
            else:
                self._waiting[kind].append((one, now))
                self._slots.waiting[kind] += 1
        if self._look is None and any(self._waiting.values()):
            self._look = self._loop.call_later(LONGEST_WAIT, self._give_back_late)

    def stop(self, why: Why, concerns: Callable[[Claimed], bool]) -> None:
        """Cancel those that run, and give back those that wait."""
        for attempt in self.attempts():
            if concerns(attempt.claimed):
                attempt.stop(why)
        self._give_back_waiting(lambda one, _came_at: concerns(one))

    def pause(self, concerns: Callable[[Claimed], bool]) -> None:
        """Have those that run rest at their next checkpoint, and give back those that wait."""
        for attempt in self.attempts():
            if concerns(attempt.claimed):
                attempt.pause()
        self._give_back_waiting(lambda one, _came_at: concerns(one))

    def stop_resting(self, why: Why) -> None:
        """Cancel those that rest: nobody waits for them."""
        for attempt in self.attempts():
            if attempt.rest.begun:
                attempt.stop_resting(why)

    def give_back_waiting(self) -> None:
        """Begin nothing more."""
        self._give_back_waiting(lambda _one, _came_at: True)

    async def until_idle(self) -> None:
        """Return once no job's code runs."""
        self._idle.clear()
        if self._attempts:
            await self._idle.wait()

    def abandon(self) -> bool:
        """Give back what does not heed its cancellation; returns whether there was any, whose code then goes on."""
        left = self.attempts()
        self._attempts.clear()
        for attempt in left:
            attempt.rest.kill()
            if attempt.exchanged is not None:
                attempt.exchanged.close()
            self._finisher.take(Settling.of(attempt, attempt.outcome or Released(AFTER_DRAIN)))
        return any(attempt.outcome is None for attempt in left)

    def running(self) -> list[UUID]:
        """The ids of the jobs whose code runs."""
        return [attempt.claimed.job_id for attempt in self._attempts]

    def _begin(self, claimed: Claimed, *, came_at: float, now: float) -> None:
        job = self._jobs[claimed.name]
        attempt = Attempt(
            claimed, job, threads=self._threads, complete=self._complete, grace=self._grace,
            on_rest=self._on_rest, in_a_child=self._in_a_child, collectors=self._collectors,
        )  # fmt: skip
        self._attempts[attempt] = None
        self._slots.take(job.kind, claimed.queue)
        waited = (
            claimed.locked_at - claimed.run_at
        ).total_seconds()  # both by the database's clock
        self._process.tally.began(claimed.queue, waited + now - came_at)
        attempt.task = self._loop.create_task(
            self._attempt(attempt), name=claimed.name, context=self._context.copy()
        )
        self._tasks.add(attempt.task)
        self._fresh.append(attempt)
        if not self._watching:
            self._watching = True
            self._loop.call_soon(self._heed_deadlines)

    def _heed_deadlines(self) -> None:
        """A turn after jobs have begun, of those that go on: most are done by then, and a timer costs as much as all else."""
        self._watching = False
        fresh, self._fresh = self._fresh, []
        for attempt in fresh:
            if attempt.begun:
                attempt.heed_deadline()
            elif attempt in self._attempts:
                self._fresh.append(attempt)
        if self._fresh:
            self._watching = True
            self._loop.call_soon(self._heed_deadlines)

    async def _outcome(self, attempt: Attempt) -> Outcome:
        try:
            return await attempt.run()
        except asyncio.CancelledError as error:
            if self._ending:
                raise
            return attempt.cancelled_itself(error)

    async def _hear(self, exchange: Exchange, outcome: Outcome) -> None:
        """See that what it said is written before its outcome is: whoever reads that the job has ended is to find it all."""
        while True:
            try:
                await exchange.over(outcome)
            except asyncio.CancelledError:  # as in `_hand_over`
                if self._ending:
                    raise
            else:
                exchange.close()
                return

    async def _hand_over(self, settling: Settling) -> None:
        """Hand it to a finisher that has no room yet: once it has some, or where the wait is cancelled, at once."""
        try:
            await self._finisher.put(settling)
        except asyncio.CancelledError:  # a cancellation of the job's own that found no await before
            if self._ending:
                raise
            self._finisher.take(settling)

    async def _attempt(self, attempt: Attempt) -> None:
        try:
            attempt.outcome = outcome = await self._outcome(attempt)
            self._holdings.ended(attempt.key)
            if attempt.exchanged is not None:
                await self._hear(attempt.exchanged, outcome)
            if attempt in self._attempts:
                del self._attempts[attempt]
                settling = Settling.of(attempt, outcome)
                if self._finisher.has_room:
                    self._finisher.take(settling)
                else:
                    await self._hand_over(settling)
            self._slots.free_up(attempt.job.kind, attempt.claimed.queue)
            if not self._attempts:
                self._idle.set()
            self._next(attempt.job.kind)
            self._on_freed()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - `run` raises it
            if not self._broken.done():
                self._broken.set_result(error)
        finally:
            self._tasks.discard(attempt.task)

    def _next(self, kind: str) -> None:
        """Begin the one that has waited longest."""
        waiting = self._waiting[kind]
        while waiting and self._slots.free(kind) > 0:
            claimed, came_at = waiting.popleft()
            self._slots.waiting[kind] -= 1
            now = counted_clock()
            if now - came_at < LONGEST_WAIT:
                self._begin(claimed, came_at=came_at, now=now)
            else:
                self._give_back(claimed)

    def _give_back_late(self) -> None:
        """What was not begun in time is another worker's to begin: something here is slower than it was."""
        latest = counted_clock() - LONGEST_WAIT
        self._give_back_waiting(lambda _one, came_at: came_at <= latest)
        oldest = [waiting[0][1] for waiting in self._waiting.values() if waiting]
        self._look = (
            self._loop.call_later(min(oldest) - latest, self._give_back_late) if oldest else None
        )

    def _give_back_waiting(self, concerns: Callable[[Claimed, float], bool]) -> None:
        for kind, waiting in self._waiting.items():
            leaving = [one for one, came_at in waiting if concerns(one, came_at)]
            if leaving:
                kept = [each for each in waiting if not concerns(*each)]
                waiting.clear()
                waiting.extend(kept)
                self._slots.waiting[kind] = len(kept)
            for one in leaving:
                self._give_back(one)

    def _give_back(self, claimed: Claimed) -> None:
        """Unharmed: its code was not begun."""
        key = (claimed.job_id, claimed.lock_token)
        self._holdings.ended(key)
        released = Returned(*key, "released", wait=None, given_back=True, begun=False)
        self._finisher.take(Settling(released))
