"""`app worker`: claims jobs, runs them, writes what became of them, until it is asked to stop."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import anyio
import anyio.abc

from pillars import log
from pillars.errors import DatabaseTrouble
from pillars.jobs.canary import BUILT_IN
from pillars.jobs.definition import Job
from pillars.service.presence import appear, define, leave
from pillars.service.process import Process
from pillars.service.pruning import Pruner
from pillars.store import history
from pillars.store.claiming import Claimed
from pillars.store.listener import Listener
from pillars.store.rows import Beat
from pillars.store.settling import Returned
from pillars.worker.attempts import AFTER_DRAIN, Attempt, Why
from pillars.worker.claiming import Claimer
from pillars.worker.completing import Completer
from pillars.worker.finishing import Finisher, Settling
from pillars.worker.guarding import Guard
from pillars.worker.heartbeat import Heartbeat
from pillars.worker.holdings import Holdings, JobKey
from pillars.worker.outcomes import Released
from pillars.worker.slots import Slots
from pillars.worker.sweeping import Sweeper

# Seconds after the drain for cancelled code to end and for what is left to be written.
LAST_WRITES = 0.8
LAST_STEPS = 1.0  # seconds to end the heartbeat and take our row away; a database that is gone holds up no exit


class Worker:
    """One worker process. `run()` returns once it has drained."""

    def __init__(self, process: Process, jobs: Mapping[str, Job[..., Any]]) -> None:
        settings = process.settings
        wanted = {"async": settings.concurrency, "thread": settings.threads}
        kinds = {
            kind: wanted[kind] for kind in wanted if any(job.kind == kind for job in jobs.values())
        }
        queues = dict(settings.queues) if settings.queues else None
        self.process = process
        self.jobs = jobs
        self.slots = Slots(kinds, queues)
        process.tally.slots, process.tally.taken = self.slots.kinds, self.slots.taken
        self.holdings = Holdings(settings.trust)
        self.claimer = Claimer(process, jobs, self.slots, self.holdings, start=self._start)
        self.finisher = Finisher(
            process.database.runtime,
            process.worker_id,
            self.holdings,
            process.tally,
            on_put_back=self.claimer.look_in,
        )
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
        self._attempts: dict[JobKey, Attempt] = {}
        self._threads = anyio.CapacityLimiter(settings.threads)
        self._crew: anyio.abc.TaskGroup | None = None
        self._idle = anyio.Event()
        self._forgotten = anyio.Event()
        """Whether our row is gone: who was frozen for long is taken for dead."""
        self._claiming = anyio.CancelScope()
        self._stubborn = False
        """Whether code goes on that was cancelled and given back."""

    async def run(self) -> None:
        """Serve until `process.stopping` is set, then drain."""
        await self._prepare()
        heartbeat = self._heartbeat()
        heartbeat.start()
        try:
            async with anyio.create_task_group() as crew:
                self._crew = crew
                crew.start_soon(self.finisher.run, name="finisher")
                crew.start_soon(self.listener.run, name="listener")
                crew.start_soon(self.sweeper.run, name="sweeper")
                crew.start_soon(self.pruner.run, name="pruner")
                crew.start_soon(self._heed_stopping, name="stopping")
                crew.start_soon(self._reappear, name="presence")
                self._say_ready()
                with self._claiming:
                    await self.claimer.run()
                self.process.ready = False
                await self._drain()
                if self._stubborn:  # the task group will wait for it for ever
                    await self._part(heartbeat)
                    self.process.ended.set()
                crew.cancel_scope.cancel()
        finally:
            await self._part(heartbeat)

    async def _part(self, heartbeat: Heartbeat) -> None:
        with anyio.move_on_after(LAST_STEPS, shield=True):
            await heartbeat.stop()
            await leave(self.process)

    async def _heed_stopping(self) -> None:
        """The drain counts from the signal on: an idle claimer is woken, and one that hangs is not waited for any longer."""
        await self.process.stopping.wait()
        self._claiming.deadline = anyio.current_time() + self.process.settings.drain.total_seconds()
        self.claimer.wake()

    async def abort(self) -> None:
        """Stop all jobs and give them back, as far as that goes at once."""
        await self._stop_all()

    async def _prepare(self) -> None:
        await history.see_to_days(self.process.database.runtime)
        await define(self.process, self.jobs.values())
        await self._appear("starting")

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
            lambda: list(self._attempts.values()),
            slots=max(self.slots.total, 1),
            on_distrusted=self._stop_distrusted,
        )
        return Heartbeat(self.process, self.holdings, guard, on_reply=self._replied)

    def _start(self, claimed: Claimed) -> None:
        if self._crew is None:
            raise AssertionError("a claim was made before run()")
        # An answer that came after its trust had run out (we were frozen) may be about jobs that run elsewhere by now.
        if self.process.stopping.is_set() or not self.holdings.trusts(claimed.lock_token):
            self.holdings.ended((claimed.job_id, claimed.lock_token))
            released = Returned(
                claimed.job_id,
                claimed.lock_token,
                "released",
                wait=None,
                given_back=True,
                begun=False,
            )
            self.finisher.take(Settling(released))
            return
        job = self.jobs[claimed.name]
        attempt = Attempt(claimed, job, threads=self._threads, complete=Completer)
        self._attempts[attempt.key] = attempt
        self.slots.take(job.kind, claimed.queue)
        waited = (
            claimed.locked_at - claimed.run_at
        ).total_seconds()  # both by the database's clock
        self.process.tally.began(claimed.queue, waited)
        self._crew.start_soon(self._attempt, attempt, name=claimed.name)

    async def _attempt(self, attempt: Attempt) -> None:
        outcome = await attempt.run()
        self.holdings.ended(attempt.key)
        if self._attempts.pop(attempt.key, None) is not None:
            await self.finisher.put(Settling.of(attempt, outcome))
        if not self._attempts:
            self._idle.set()
        self.slots.free_up(attempt.job.kind, attempt.claimed.queue)
        self.claimer.freed()

    def _told(self, message: str) -> None:
        """A job of ours is asked to end."""
        self._stop(Why.CANCEL, lambda attempt: str(attempt.claimed.job_id) == message)

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

    def _replied(self, reply: Beat) -> None:
        """The heartbeat's reply, on our loop."""
        self.process.listening = self.listener.proved
        lost, ending = set(reply.lost), set(reply.ending)
        self._stop(Why.LOST, lambda attempt: attempt.claimed.lock_token in lost)
        self._stop(Why.CANCEL, lambda attempt: attempt.claimed.job_id in ending)
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
        self._stop(Why.LOST, lambda attempt: attempt.claimed.lock_token in distrusted)

    def _stop(self, why: Why, concerns: Callable[[Attempt], bool]) -> None:
        for attempt in list(self._attempts.values()):
            if concerns(attempt):
                attempt.stop(why)

    async def _drain(self) -> None:
        """Let jobs finish, then cancel them, then give back what is left; the claim in flight has come back already."""
        latest = anyio.current_time() + self.process.settings.drain.total_seconds()
        with anyio.CancelScope(deadline=min(self._claiming.deadline, latest)):
            await self._until_idle()
            await self.finisher.written()
            return
        await self._stop_all()

    async def _stop_all(self) -> None:
        self._stop(Why.DRAIN, lambda _attempt: True)
        with anyio.move_on_after(LAST_WRITES / 2):
            await self._until_idle()
        # Code that does not heed its cancellation.
        for key, attempt in list(self._attempts.items()):
            del self._attempts[key]
            self._stubborn = True
            self.finisher.take(Settling.of(attempt, Released(AFTER_DRAIN)))
        with anyio.move_on_after(LAST_WRITES / 2):
            await self.finisher.written()

    async def _until_idle(self) -> None:
        self._idle = anyio.Event()
        if self._attempts:
            await self._idle.wait()

    def running(self) -> list[UUID]:
        """The ids of the jobs whose code runs."""
        return [job_id for job_id, _ in self._attempts]
