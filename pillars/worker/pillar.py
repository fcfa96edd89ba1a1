"""`app worker`: claims jobs, runs them, writes what became of them, until it is asked to stop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import anyio

from pillars import log, sizes
from pillars.errors import ConfigurationError, DatabaseTrouble
from pillars.jobs.canary import BUILT_IN
from pillars.jobs.definition import Job
from pillars.service.presence import appear, define, leave
from pillars.service.process import Process
from pillars.service.pruning import Pruner
from pillars.store import history
from pillars.store.listener import Listener
from pillars.store.rows import Beat, Claimed
from pillars.worker.attempts import Attempt, Why
from pillars.worker.children.memory import resident
from pillars.worker.children.nursery import Nursery
from pillars.worker.claiming import Claimer
from pillars.worker.crew import Crew
from pillars.worker.delivering import Deliveries
from pillars.worker.exchange import Collectors
from pillars.worker.finishing import Finisher
from pillars.worker.guarding import Guard
from pillars.worker.heartbeat import Heartbeat
from pillars.worker.holdings import Holdings
from pillars.worker.pausing import Pauses
from pillars.worker.saying import Sayings
from pillars.worker.slots import Slots
from pillars.worker.sweeping import Sweeper

# Seconds after the drain for cancelled code to end and for what is left to be written.
LAST_WRITES = 0.8
LAST_STEPS = 1.0  # seconds to end the heartbeat and take our row away; a database that is gone holds up no exit


class Worker:
    """One worker process. `run()` returns once it has drained."""

    def __init__(self, process: Process, jobs: Mapping[str, Job[..., Any]]) -> None:
        settings = process.settings
        wanted = {
            "async": settings.concurrency,
            "thread": settings.threads,
            "process": settings.children,
        }
        kinds = {
            kind: wanted[kind] for kind in wanted if any(job.kind == kind for job in jobs.values())
        }
        queues = dict(settings.queues) if settings.queues else None
        self.process = process
        self.jobs = jobs
        self.slots = Slots(kinds, queues)
        process.tally.slots, process.tally.taken = self.slots.kinds, self.slots.taken
        self.holdings = Holdings(settings.trust)
        self.claimer = Claimer(process, jobs, self.slots, self.holdings, on_claimed=self._claimed)
        self.finisher = Finisher(
            process.database.runtime,
            process.worker_id,
            self.holdings,
            process.tally,
            on_put_back=self.claimer.look_in,
        )
        self.nursery = Nursery(process)
        self.sayings = Sayings(process.database.runtime, process.worker_id)
        self.deliveries = Deliveries(process.database.runtime, process.worker_id)
        self.crew = Crew(
            process, jobs, self.slots, self.holdings, self.finisher, collectors=Collectors(self.sayings, self.deliveries),
            on_freed=self.claimer.freed, on_rest=self._rests, in_a_child=self.nursery.run,
        )  # fmt: skip
        self.pauses = Pauses(process)
        self.sweeper = Sweeper(process)
        self.pruner = Pruner(process)
        self.listener = Listener(
            process.database.direct,
            process.database.runtime,
            process.worker_id,
            trust=settings.sweep_standing,
            on_wake=self.claimer.wake,
            on_told=self._told,
            on_change=self._heard,
        )
        self._forgotten = anyio.Event()
        """Whether our row is gone: who was frozen for long is taken for dead."""
        self._claiming = anyio.CancelScope()
        self._stubborn = False
        """Whether code goes on that was cancelled and given back."""
        self._full = False
        """Whether this process has more memory than it may."""
        self._is_to_end = False
        """Whether a signal has come."""

    async def run(self) -> None:
        """Serve until `process.stopping` is set, then drain."""
        await self._prepare()
        heartbeat = self._heartbeat()
        heartbeat.start()
        try:
            async with anyio.create_task_group() as parts:
                parts.start_soon(self.crew.run, name="crew")
                parts.start_soon(self.finisher.run, name="finisher")
                parts.start_soon(self.sayings.run, name="sayings")
                parts.start_soon(self.deliveries.run, name="deliveries")
                parts.start_soon(self.listener.run, name="listener")
                parts.start_soon(self.pauses.run, name="pauses")
                parts.start_soon(self.sweeper.run, name="sweeper")
                parts.start_soon(self.pruner.run, name="pruner")
                parts.start_soon(self._heed_stopping, name="stopping")
                parts.start_soon(self._reappear, name="presence")
                self._say_ready()
                with self._claiming:
                    await self.claimer.run()
                self.process.ready = False
                if self._full:
                    await self._run_dry()
                await self._drain()
                if self._stubborn:  # the task group will wait for it for ever
                    await self._part(heartbeat)
                    self.process.ended.set()
                parts.cancel_scope.cancel()
        finally:
            await self.nursery.close()
            await self._part(heartbeat)

    async def _part(self, heartbeat: Heartbeat) -> None:
        with anyio.move_on_after(LAST_STEPS, shield=True):
            await heartbeat.stop()
            await leave(self.process)

    async def _heed_stopping(self) -> None:
        """The drain counts from the signal on: an idle claimer is woken, and one that hangs is not waited for any longer."""
        await self.process.stopping.wait()
        self.crew.give_back_waiting()
        self._claiming.deadline = anyio.current_time() + self.process.settings.drain.total_seconds()
        self.claimer.wake()

    def heed(self, _number: int) -> None:
        """A signal: whatever we were about, we do not begin anew."""
        self.process.again = False
        self._is_to_end = True

    async def abort(self) -> None:
        """Stop all jobs and give them back, as far as that goes at once."""
        await self._stop_all()

    async def _prepare(self) -> None:
        await history.see_to_days(self.process.database.runtime)
        await define(self.process, self.jobs.values())
        self._require_memory()
        await self._appear("starting")

    def _require_memory(self) -> None:
        """Raise `ConfigurationError` where the app alone is more than a worker may have: it would begin anew for ever."""
        most, size = self.process.settings.max_memory, resident()
        if most is not None and size > most:
            raise ConfigurationError(
                f"max_memory: this worker has {sizes.shown(size)} before its first job, and may have {sizes.shown(most)}; give it more"
            )

    async def _appear(self, state: str) -> None:
        served = None if self.slots.queues is None else list(self.slots.queues)
        await appear(self.process, state=state, queues=served, slots=self.slots.total)

    def _say_ready(self) -> None:
        if self.process.stopping.is_set():
            return
        self.process.ready = True
        log.get("pillars.worker").info(
            log.Event.WORKER_READY,
            jobs=len(self.jobs.keys() - BUILT_IN.keys()),
            slots=dict(self.slots.kinds),
            queues=list(self.slots.queues) if self.slots.queues else "all",
        )

    def _heartbeat(self) -> Heartbeat:
        guard = Guard(
            self.process,
            self.holdings,
            self.crew.attempts,
            slots=max(self.slots.total, 1),
            on_distrusted=self._stop_distrusted,
            on_full=self._has_grown,
        )
        return Heartbeat(self.process, self.holdings, guard, on_reply=self._replied)

    def _claimed(self, jobs: Sequence[Claimed]) -> None:
        self.crew.take_in(jobs)

    def _told(self, message: str) -> None:
        """A job of ours is asked to end, to pause, or to go on; or something is said to it."""
        if self.pauses.heard(self.crew, message) or self.deliveries.heard(message):
            return
        self.crew.stop(Why.CANCEL, lambda claimed: str(claimed.job_id) == message)

    def _heard(self, up: bool, why: str) -> None:  # noqa: FBT001 - the listener's callback
        self.process.listening = up
        self.claimer.wake()
        self.claimer.recover()  # cut off, or connected again: days may have gone by
        if up:
            log.get("pillars.worker").debug(log.Event.LISTENER_CONNECTED)
        else:
            polls_every_s = self.process.settings.poll.total_seconds()
            log.get("pillars.worker").warning(
                log.Event.LISTENER_LOST, why=why, polls_every_s=polls_every_s
            )

    def _rests(self, attempt: Attempt) -> None:
        if self.process.stopping.is_set() or self._full:
            # Given back, its row pauses. Not at once: its code would be cancelled by itself.
            asyncio.get_running_loop().call_soon(attempt.stop_resting, Why.DRAIN)
        else:
            self.pauses.rests(attempt)

    def _replied(self, reply: Beat, asked_at: float) -> None:
        """The heartbeat's reply, on our loop."""
        self.process.listening = self.listener.proved
        lost, ending = set(reply.lost), set(reply.ending)
        if lost:
            self.crew.stop(Why.LOST, lambda claimed: claimed.lock_token in lost)
        if ending:
            self.crew.stop(Why.CANCEL, lambda claimed: claimed.job_id in ending)
        self.pauses.replied(self.crew, reply.pausing, asked_at=asked_at)
        if reply.unnamed:
            self.claimer.recover()
        if not reply.known:
            self._forgotten.set()

    async def _reappear(self) -> None:
        """Write our row again whenever a heartbeat finds it gone.

        A task of its own, since a callback of another thread is none, and anyio then knows of no loop where sniffio is installed.
        """
        while True:
            await self._forgotten.wait()
            self._forgotten = anyio.Event()
            with suppress(DatabaseTrouble):  # the next heartbeat asks again
                await self._appear("running")

    def _stop_distrusted(self, tokens: Sequence[int]) -> None:
        distrusted = set(tokens)
        self.crew.stop(Why.LOST, lambda claimed: claimed.lock_token in distrusted)

    def _has_grown(self, size: int) -> None:
        """Claim no more, and begin anew once what runs has ended."""
        most = self.process.settings.max_memory or 0
        log.get("pillars.worker").warning(
            log.Event.WORKER_FULL, memory_mb=round(size / 1e6), most_mb=round(most / 1e6), running=len(self.running())
        )  # fmt: skip
        self._full = True
        self.claimer.close()

    async def _run_dry(self) -> None:
        """Let jobs end, however long that takes, unless the worker is to stop; what is paused is given back, and stays paused."""
        self.crew.give_back_waiting()
        self.crew.stop_resting(Why.DRAIN)
        async with anyio.create_task_group() as either:
            either.start_soon(self._end_with, self.process.stopping.wait, either.cancel_scope)
            await self.crew.until_idle()
            either.cancel_scope.cancel()
        if not (self.process.stopping.is_set() or self._is_to_end):
            self.process.again = True
        self.process.stopping.set()

    @staticmethod
    async def _end_with(wait: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
        await wait()
        scope.cancel()

    async def _drain(self) -> None:
        """Let jobs finish, then cancel them, then give back what is left; the claim in flight has come back already.

        What is paused is given back at once, and stays paused.
        """
        self.crew.stop_resting(Why.DRAIN)
        latest = anyio.current_time() + self.process.settings.drain.total_seconds()
        with anyio.CancelScope(deadline=min(self._claiming.deadline, latest)):
            await self.crew.until_idle()
            await self.finisher.written()
            return
        await self._stop_all()

    async def _stop_all(self) -> None:
        self.crew.stop(Why.DRAIN, lambda _claimed: True)
        with anyio.move_on_after(LAST_WRITES / 2):
            await self.crew.until_idle()
        self._stubborn = self.crew.abandon()
        with anyio.move_on_after(LAST_WRITES / 2):
            await self.finisher.written()

    def running(self) -> list[UUID]:
        """The ids of the jobs whose code runs."""
        return self.crew.running()
