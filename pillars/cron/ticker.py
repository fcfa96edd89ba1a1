"""One turn of a leader: read what is due, decide each of it in a transaction of its own."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pillars import log
from pillars.codec import clean_text
from pillars.errors import DatabaseTrouble, Trouble
from pillars.schedules.deciding import Decision, decide
from pillars.service.tally import Tally
from pillars.service.telling import tell_swept
from pillars.settings import Settings
from pillars.settings.redaction import masked
from pillars.store import locks, schedules as store
from pillars.store.rows import Due, Ticked
from pillars.store.schedules import Turn
from pillars.store.session import Session

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

OF_ONE = {
    Trouble.CONFLICT,
    Trouble.REFUSED,
    Trouble.BUG,
    Trouble.DENIED,
}  # the statement's fault; the connection lives
# Seconds that a timer may come early; woken before the tick, a turn would be for nothing.
TIMER = 0.002
FIRST_WAIT = 0.25  # seconds before a schedule that failed is tried again, doubling
LONGEST_WAIT = 60.0
WORTH_TELLING = 3  # failures; a row is locked for a moment by any sync
NEARLY = 0.9  # of the sweep's interval: turns come at that interval, a timer's error early
SWEEP_AGAIN = 60.0  # seconds after a sweep that failed: it must not hold up the ticks of every turn
PRUNE_EVERY = 3600.0  # seconds
MANY_PRUNED = 5000  # of the 10,000 that one statement looks at: more is left
KEEP_TICKS = timedelta(days=30)
LONGEST_ERROR = 2_000  # characters, as of a job's
NEVER = float("-inf")
TOLD = {
    "enqueued": log.Event.CRON_TICKED,
    "overlapped": log.Event.CRON_SKIPPED,
    "late": log.Event.CRON_SKIPPED,
}


@dataclass(frozen=True, slots=True)
class Turned:
    """What a turn did; `wake_at` is when the next is due, by the monotonic clock."""

    due: int
    ticks: int
    wake_at: float


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one schedule in a turn; `wake_at` as for the turn."""

    ticked: bool
    wake_at: float


@dataclass(frozen=True, slots=True)
class Reading:
    """The database's time, and ours when it was asked for.

    The next read is on its way as long as this one was, so what is sent at `when(tick)` arrives at the tick.
    """

    now: datetime
    asked_at: float

    def when(self, moment: datetime) -> float:
        return self.asked_at + (moment - self.now).total_seconds() + TIMER


@dataclass(frozen=True, slots=True)
class Deferral:
    """A schedule that failed, left alone until then."""

    failures: int
    until: float


class Ticker:
    """Decides ticks over one connection of a leader. One schedule's trouble stops no other."""

    def __init__(
        self, session: Session, settings: Settings, tally: Tally, *, pooled: bool = False
    ) -> None:
        self._session = session
        self._settings = settings
        self._tally = tally
        self._pooled = pooled
        self._connected_at = time.monotonic()
        self._swept_at = NEVER
        self._pruned_at = NEVER
        self._deferred: dict[str, Deferral] = {}

    async def turn(self) -> Turned:
        """Read and decide once, at most one tick a schedule.

        Raises `DatabaseTrouble` where the connection is no longer to be trusted.
        """
        asked_at = time.monotonic()
        turn = await self._read()
        reading = Reading(turn.now, asked_at)
        wakes = [asked_at + self._settings.leader_read.total_seconds()]
        if turn.next_due_at is not None:
            wakes.append(reading.when(turn.next_due_at))
        self._forget_all_but(turn)
        taken = [await self._take(due, reading) for due in turn.due]
        await self._upkeep(queued=turn.queued)
        wakes += [one.wake_at for one in taken]
        return Turned(len(taken), sum(one.ticked for one in taken), min(wakes))

    async def _read(self) -> Turn:
        """Read what is due; a sweep rides along when one is due, and gives way where it keeps the read."""
        if self._may_sweep():
            self._swept_at = time.monotonic()
            try:
                if self._pooled:  # as for a worker's sweep
                    await locks.reach(self._session)
                turn = await store.read(self._session, sweep=True)
            except DatabaseTrouble as trouble:
                self._tolerate(trouble, during="sweep")
                self._swept_at += SWEEP_AGAIN
            else:
                tell_swept(turn.swept, self._tally)
                return turn
        return await store.read(self._session, sweep=False)

    def _may_sweep(self) -> bool:
        now = time.monotonic()
        stood = now - self._connected_at
        return (
            stood >= self._settings.sweep_standing.total_seconds()
            and now - self._swept_at >= self._settings.sweep.total_seconds() * NEARLY
        )

    async def _take(self, due: Due, reading: Reading) -> Taken:
        """Decide one schedule, unless it failed a moment ago."""
        deferral = self._deferred.get(due.name)
        if deferral is not None and deferral.until > time.monotonic():
            return Taken(ticked=False, wake_at=deferral.until)
        try:
            decision = decide(due, reading.now)
        except Exception as error:  # noqa: BLE001 - whatever a row makes of its rule, the others tick
            return await self._failed(due, str(error) or type(error).__name__)
        try:
            ticked = await store.tick(
                self._session,
                due,
                tick=decision.tick,
                late=decision.late,
                missed=decision.missed,
                next_run_at=decision.next_run_at,
                pooled=self._pooled,
            )
        except DatabaseTrouble as trouble:
            self._of_one(trouble)
            return await self._failed(due, f"{trouble.kind.value}: {trouble}")
        return self._answered(due, decision, ticked, reading)

    def _answered(
        self, due: Due, decision: Decision, ticked: Ticked | None, reading: Reading
    ) -> Taken:
        if ticked is None:  # another leads just now
            return Taken(ticked=False, wake_at=time.monotonic() + FIRST_WAIT)
        if ticked.outcome == "locked":
            return self._locked(due)
        self._deferred.pop(due.name, None)
        self._tell(due, decision, ticked)
        wake_at = reading.asked_at  # at once, to see what the row says now
        if ticked.outcome != "moved" and decision.next_run_at is not None:
            wake_at = reading.when(decision.next_run_at)
        return Taken(ticked=ticked.outcome in TOLD, wake_at=wake_at)

    async def _failed(self, due: Due, error: str) -> Taken:
        """Note and tell why, once per change; the schedule is tried again later."""
        error = clean_text(error, limit=LONGEST_ERROR, hide=masked)
        if await store.fail(self._session, due, error):
            _log().warning(log.Event.SCHEDULE_FAILED, schedule=due.name, error=error)
        return self._defer(due)

    def _locked(self, due: Due) -> Taken:
        """Another transaction holds the row: a sync for a moment, or somebody's open one."""
        taken = self._defer(due)
        if self._deferred[due.name].failures == WORTH_TELLING:
            error = "another transaction holds the row of this schedule: commit or end it"
            _log().warning(log.Event.SCHEDULE_FAILED, schedule=due.name, error=error)
        return taken

    def _tell(self, due: Due, decision: Decision, ticked: Ticked) -> None:
        if decision.tick is None or ticked.outcome not in TOLD:
            return
        self._tally.ticks[ticked.outcome] += 1
        _log().info(
            TOLD[ticked.outcome],
            schedule=due.name,
            tick=decision.tick.isoformat(),
            outcome=ticked.outcome,
            missed=decision.missed,
            job_id=None if ticked.job_id is None else str(ticked.job_id),
        )

    def _defer(self, due: Due) -> Taken:
        known = self._deferred.get(due.name)
        failures = 1 if known is None else known.failures + 1
        until = time.monotonic() + min(FIRST_WAIT * 2.0 ** (failures - 1), LONGEST_WAIT)
        self._deferred[due.name] = Deferral(failures, until)
        return Taken(ticked=False, wake_at=until)

    def _forget_all_but(self, turn: Turn) -> None:
        due = {one.name for one in turn.due}
        self._deferred = {name: one for name, one in self._deferred.items() if name in due}

    async def _upkeep(self, *, queued: bool) -> None:
        """Let queued jobs go, and once an hour old ticks."""
        try:
            if queued:
                await store.free(self._session)
            if time.monotonic() - self._pruned_at >= PRUNE_EVERY:
                self._pruned_at = time.monotonic()
                if await store.prune(self._session, KEEP_TICKS) >= MANY_PRUNED:
                    self._pruned_at = NEVER
        except DatabaseTrouble as trouble:
            self._tolerate(trouble, during="upkeep")

    def _tolerate(self, trouble: DatabaseTrouble, *, during: str) -> None:
        """Go on leading after trouble with a statement that is not a tick's."""
        self._of_one(trouble)
        _log().warning(
            log.Event.DATABASE_LOST, during=during, kind=trouble.kind.value, error=str(trouble)
        )

    def _of_one(self, trouble: DatabaseTrouble) -> None:
        """Raise what is more than the trouble of one statement."""
        if self._session.closed or trouble.kind not in OF_ONE:
            raise trouble


def _log() -> "FilteringBoundLogger":
    return log.get("pillars.cron")
