"""`app cron`: brings the database the schedules of the code, then leads or stands by until it is asked to stop."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import anyio

from pillars import log
from pillars.cron.leader import Leader
from pillars.cron.syncing import sync
from pillars.errors import DatabaseTrouble
from pillars.schedules import Schedule
from pillars.service.presence import appear, define, stay
from pillars.service.process import Process
from pillars.service.pruning import Pruner
from pillars.service.surviving import Outage

LONGEST_WAIT = 10.0  # seconds between turns while the database is away
FAREWELL = 1.0  # seconds to hand the lock over; the session's end says the same


class Cron:
    """One cron process. `run()` returns within a second of `process.stopping`."""

    def __init__(self, process: Process, schedules: Sequence[Schedule]) -> None:
        self.process = process
        self.schedules = schedules
        self.leader = Leader(process)
        self.pruner = Pruner(process)
        self._outage = Outage("pillars.cron", during="turn", longest=LONGEST_WAIT)
        self._shown_lead = False

    async def run(self) -> None:
        """Sync, then lead or stand by. Raises `DefinitionError` for a schedule that another deployment owns."""
        while not (self.process.stopping.is_set() or await self._survives(self._sync)):
            pass
        try:
            async with anyio.create_task_group() as crew:
                crew.start_soon(stay, self.process, name="presence")
                crew.start_soon(self.pruner.run, name="pruner")
                while not self.process.stopping.is_set():
                    await self._turn()
                self.process.ready = False
                crew.cancel_scope.cancel()
        finally:
            with anyio.move_on_after(FAREWELL, shield=True):
                await self.leader.resign()

    async def _turn(self) -> None:
        """One turn of the leader, and the sleep after it."""
        if await self._survives(self.leader.tick_once):
            await self._show_lead()
            self._say_ready()
            await self._sleep(self.leader.sleep_for())

    async def _show_lead(self) -> None:
        """Tell health who leads now, not at the next beat of the process's row."""
        if self._shown_lead is not self.process.leads:
            self._shown_lead = self.process.leads
            with suppress(DatabaseTrouble):
                await appear(self.process, state="running")

    async def _sync(self) -> None:
        process = self.process
        await define(process, {one.job.name: one.job for one in self.schedules}.values())
        await sync(process.database, self.schedules, deployment=process.settings.deployment)

    async def _survives(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Do it; where the database is in the way, say so once, wait, and return False."""
        try:
            await work()
        except DatabaseTrouble as trouble:
            await self._sleep(self._outage.begun(trouble))
            return False
        self._outage.ended()
        return True

    async def _sleep(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self.process.stopping.wait()

    def _say_ready(self) -> None:
        if not self.process.ready:
            self.process.ready = True
            log.get("pillars.cron").info(
                log.Event.CRON_READY, schedules=len(self.schedules), leads=self.process.leads
            )
