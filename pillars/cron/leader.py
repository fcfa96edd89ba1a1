"""Leading: one cron process ticks at a time, the others stand by.

The lock is a session's, on a connection of its own, and every read and write of a tick goes through that connection: who has lost
the lock has lost the pen. The server ends the session of a leader that is silent for half a lock, so one that was frozen finds its
connection dead when it thaws. Election only saves work: what two leaders may do to one tick is settled by `pillars.tick`.
"""

import time
from contextlib import suppress
from datetime import timedelta

from pillars import log
from pillars.cron.ticker import Ticker
from pillars.errors import DatabaseTrouble, Trouble
from pillars.service.presence import appear
from pillars.service.process import Process
from pillars.settings import Settings
from pillars.store import schedules as store, workers
from pillars.store.schedules import SERVER_TIMEOUT
from pillars.store.session import Session

LOCK_TIMEOUT = timedelta(
    seconds=1
)  # somebody's open transaction holds up one tick, and that no longer


class Leader:
    """The cron process's claim to lead. `run()` of the pillar is a loop around `tick_once`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._settings = process.settings
        self._session: Session | None = None
        self._ticker: Ticker | None = None
        self._wake_at = 0.0

    async def tick_once(self) -> int:
        """Lead if nobody does, and while leading decide what is due; returns the number of ticks decided.

        Raises `DatabaseTrouble`, and has resigned then.
        """
        try:
            ticker = await self._elected()
            if ticker is None:
                self._wake_at = time.monotonic() + self._settings.leader_read.total_seconds()
                return 0
            turned = await ticker.turn()
        except DatabaseTrouble as trouble:
            await self._lose(trouble)
            raise
        self._wake_at = turned.wake_at
        return turned.ticks

    def sleep_for(self) -> float:
        """Seconds until the next turn: to the next tick, or to the next sign of life."""
        return max(0.0, self._wake_at - time.monotonic())

    async def resign(self) -> None:
        """Let another lead at once."""
        session, self._session = self._session, None
        led, self._process.leads = self._process.leads, False
        if session is None:
            return
        if led and not session.closed and not self._pooled:
            log.get("pillars.cron").info(log.Event.CRON_RESIGNED, reason="stopping")
            with suppress(DatabaseTrouble):  # the end of the session frees the lock, too
                await store.resign(session)
        await session.close()

    @property
    def _pooled(self) -> bool:
        return self._process.database.direct.pooled

    async def _elected(self) -> Ticker | None:
        """What ticks, if this process leads; where nobody does, it begins to.

        Through a pooler no lock outlives its transaction: all lead, and each tick is taken under the lock by one of them.
        """
        session = await self._connected()
        if not self._process.leads:
            self._process.leads = self._pooled or await store.lead(session)
            if not self._process.leads:
                return None
            log.get("pillars.cron").info(log.Event.CRON_ELECTED, by_turns=self._pooled)
        return self._ticker

    async def _connected(self) -> Session:
        if self._session is None:
            database, tally = self._process.database, self._process.tally
            self._session = await database.direct.connect(**_server_settings(self._settings))
            if database.direct is not database.address:
                await self._require_own_database(self._session)
            self._ticker = Ticker(self._session, self._settings, tally, pooled=self._pooled)
        elif self._session.closed:  # and its lock is gone, whatever we believe
            raise DatabaseTrouble(Trouble.LOST, "the server ended the session")
        return self._session

    async def _require_own_database(self, session: Session) -> None:
        """Look for our own row through the other URL: who leads another database ticks nothing here."""
        await appear(self._process, state="running")
        if not await workers.is_known(session, self._process.worker_id):
            raise DatabaseTrouble(
                Trouble.DENIED,
                "DATABASE_DIRECT_URL is another database than DATABASE_URL, and nothing ticks; set it to a server of the same one",
            )

    async def _lose(self, trouble: DatabaseTrouble) -> None:
        session, self._session = self._session, None
        led, self._process.leads = self._process.leads, False
        if led:
            log.get("pillars.cron").warning(
                log.Event.CRON_RESIGNED, reason=str(trouble), kind=trouble.kind.value
            )
        if session is not None:
            await session.close()


def _server_settings(settings: Settings) -> dict[str, str]:
    """What makes the server end the session of a leader that is frozen or out of reach, beside what holds of every connection."""
    return {
        "application_name": "pillars leader",
        "idle_session_timeout": _ms(settings.leader_idle),
        "idle_in_transaction_session_timeout": _ms(settings.leader_read),
        "lock_timeout": _ms(LOCK_TIMEOUT),
        "statement_timeout": _ms(SERVER_TIMEOUT),
    }


def _ms(value: timedelta) -> str:
    return str(round(value / timedelta(milliseconds=1)))
