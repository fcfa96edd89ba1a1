"""Claiming: how much, for which kind, from where, and when to look again."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import anyio

from pillars.errors import DatabaseTrouble
from pillars.jobs.definition import Job
from pillars.service.process import Process
from pillars.service.surviving import Outage
from pillars.store import claiming as store, history, locks, settling
from pillars.store.claiming import Claim, Demand, Places
from pillars.store.rows import Claimed
from pillars.store.settling import Returned
from pillars.worker.fronts import Front
from pillars.worker.holdings import Holdings, counted_clock
from pillars.worker.slots import Slots


class Claimer:
    """Asks for jobs while there are free slots, and sleeps until there may be some.

    One claim at a time; kinds with free slots take turns. It looks again at a notification, at a freed slot, when a scheduled job is
    due, and after a poll that stretches from 1 s to 30 s while it is idle and the listener has proved itself.
    """

    def __init__(
        self,
        process: Process,
        jobs: Mapping[str, Job[..., Any]],
        slots: Slots,
        holdings: Holdings,
        *,
        on_claimed: Callable[[Sequence[Claimed]], None],
    ) -> None:
        self._process = process
        self._names = {
            kind: [name for name, job in jobs.items() if job.kind == kind] for kind in slots.kinds
        }
        self._slots = slots
        self._holdings = holdings
        self._on_claimed = on_claimed
        self._fronts = {kind: Front() for kind in slots.kinds}
        self._woken = asyncio.Event()
        self._alarm: asyncio.Handle | None = None
        # Ours: uvloop returns a Handle without when() for what is due within half a millisecond.
        self._alarm_at = 0.0
        self._poll = process.settings.poll.total_seconds()
        self._owes_recovery = False
        self._starved = False
        self._closed = False

    def close(self) -> None:
        """Claim no more; `run` returns."""
        self._closed = True
        self._woken.set()

    def wake(self, queue: str | None = None) -> None:
        """There may be work (in `queue`): look now."""
        if queue is None or self._slots.queues is None or queue in self._slots.queues:
            self._poll = self._process.settings.poll.total_seconds()
            for front in self._fronts.values():
                front.wake()
            self._woken.set()

    def freed(self) -> None:
        """A slot is free again: look, if the last claim wanted more than it could have."""
        if self._starved or self._slots.queues is not None:
            self._woken.set()

    def look_in(self, wait: timedelta) -> None:
        """Some job is due in `wait`: look then, unless an earlier look is set."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(wait.total_seconds(), 0.0)
        if self._alarm is not None and self._alarm_at <= at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = loop.call_at(at, self._ring), at

    def _ring(self) -> None:
        # Not told by the clock: uvloop rings up to half a millisecond before the time, and a loop that was held up rings late.
        self._alarm = None
        self.wake()

    def recover(self) -> None:
        """We were cut off, or the database shows locks that we do not hold: set things right before the next claim."""
        self._owes_recovery = True
        self._woken.set()

    async def run(self) -> None:
        """Claim until the process is asked to stop; what a last claim brings is the caller's to release."""
        outage = Outage("pillars.worker", during="claim")
        while not self._ends:
            self._woken.clear()
            try:
                more = await self.claim_once()
            except DatabaseTrouble as trouble:
                self._owes_recovery = True
                await self._sleep(outage.begun(trouble))
                continue
            outage.ended()
            if not more:
                await self._rest()
        if self._owes_recovery:  # or what the last claim may have brought waits for its lock to expire, and counts as a crash
            with suppress(DatabaseTrouble):
                await self._recover()

    @property
    def _ends(self) -> bool:
        return self._closed or self._process.stopping.is_set()

    async def claim_once(self) -> bool:
        """Ask once for each kind with free slots; returns whether there may be more to take at once."""
        if self._owes_recovery:
            await self._recover()
        self._starved = more = False
        for kind, names in self._names.items():
            free = self._slots.wanted(kind)
            if names and free > 0 and not self._ends:
                more = await self._claim(kind, names, free) or more
            self._starved = self._starved or more or bool(names and free <= 0)
        return more

    async def _claim(self, kind: str, names: Sequence[str], free: int) -> bool:
        front = self._fronts[kind]
        at_front = front.is_due()
        demand = Demand(
            worker_id=self._process.worker_id,
            lock=self._process.settings.lock,
            names=names,
            free=free,
            queues=self._slots.free_by_queue(),
            above=self._holdings.highest,
        )
        places = Places() if at_front else front.places
        claim = await self._ask(demand, front, places)
        taken, contended = len(claim.jobs), claim.contended
        if contended and taken < free:
            rest = await self._ask_in_lanes(demand, free - taken, places)
            taken, contended = taken + len(rest.jobs), rest.contended
        if claim.next_in is not None:
            self.look_in(claim.next_in)
        if taken >= free or contended:
            return True
        return await self._end_streak(front, demand, claim, at_front=at_front)

    async def _ask(self, demand: Demand, front: Front, places: Places) -> Claim:
        asked_at = counted_clock()
        claim = await store.claim(self._process.database.runtime, demand, places)
        if not places.after:
            front.looked(claim.took)
        self._begin(claim, asked_at)
        front.places.remember(claim.jobs)
        return claim

    async def _end_streak(
        self, front: Front, demand: Demand, claim: Claim, *, at_front: bool
    ) -> bool:
        """After a short claim: whether what lies before its places is to be looked at now."""
        if not front.dear:
            front.places.after.clear()
            return not at_front
        if not at_front:
            self.look_in(front.rests_for)
        elif claim.now is not None and not demand.limited:
            lanes = await store.lanes(self._process.database.runtime, demand, Places())
            front.places.pass_over(lanes, claim.now)
        return False

    async def _ask_in_lanes(self, demand: Demand, free: int, places: Places) -> Claim:
        asked_at = counted_clock()
        less = Demand(
            worker_id=demand.worker_id,
            lock=demand.lock,
            names=demand.names,
            free=free,
            queues=self._slots.free_by_queue(),
            above=self._holdings.highest,
        )
        claim = await store.claim_in_lanes(self._process.database.runtime, less, places)
        self._begin(claim, asked_at)
        return claim

    def _begin(self, claim: Claim, asked_at: float) -> None:
        self._process.tally.claims += 1
        self._holdings.take(((job.job_id, job.lock_token) for job in claim.jobs), asked_at=asked_at)
        self._on_claimed(claim.jobs)

    async def _recover(self) -> None:
        """Make the days of history that came while we were cut off, and release what the locks table says is ours and we do
        not hold: the fruit of a claim whose answer never came.
        """
        runtime = self._process.database.runtime
        self._owes_recovery = False  # what is told from here on is for another time
        await history.see_to_days(runtime)
        mine = await locks.held(runtime, self._process.worker_id)
        strays = [one for one in mine if not self._holdings.holds((one.job_id, one.lock_token))]
        held = set(self._holdings.tokens())
        released = [
            Returned(
                one.job_id, one.lock_token, "released", wait=None, given_back=True, begun=False
            )
            for one in strays
        ]
        ends = list({one.lock_token for one in strays} - held)
        if released:
            await settling.put_back(runtime, self._process.worker_id, released, last_of=ends)

    async def _rest(self) -> None:
        """Sleep until there may be work, and poll ever slower while there is none."""
        if await self._sleep(self._poll):
            return
        longest = (
            self._process.settings.poll_max
            if self._process.listening
            else self._process.settings.poll
        )
        self._poll = min(self._poll * 2, longest / timedelta(seconds=1))

    async def _sleep(self, seconds: float) -> bool:
        """Sleep, but not past a wake-up; returns whether one came."""
        with anyio.move_on_after(seconds):
            await self._woken.wait()
            return True
        return False
