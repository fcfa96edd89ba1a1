"""The heartbeat: a thread with its own loop and connection, so that a job that blocks the main loop does not lose its locks."""

import asyncio
import random
import threading
from collections.abc import Callable
from datetime import timedelta

import anyio

from pillars.errors import DatabaseTrouble
from pillars.service.process import Process
from pillars.service.surviving import Outage
from pillars.store import locks
from pillars.store.listener import PROOF
from pillars.store.locks import Pulse
from pillars.store.rows import Beat
from pillars.store.session import Session
from pillars.worker.guarding import Guard
from pillars.worker.holdings import Holdings, counted_clock

BEAT_TIMEOUT = timedelta(seconds=3)
RETRY = 1.0  # seconds, jittered; trust runs out soon
FAREWELL = 1.0  # seconds for the thread to end; a beat that hangs is left behind


class Heartbeat:
    """Extends this worker's locks every 10 s and hands each reply to the main loop; between beats it keeps watch."""

    def __init__(
        self,
        process: Process,
        holdings: Holdings,
        guard: Guard,
        *,
        on_reply: Callable[[Beat, float], None],
    ) -> None:
        self._process = process
        self._holdings = holdings
        self._guard = guard
        self._on_reply = on_reply
        self._main = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._nudge = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="pillars-heartbeat", daemon=True)
        self._session: Session | None = None
        self._outage = Outage("pillars.worker", during="heartbeat")

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """End the thread; the locks then live on until they expire. Again does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._nudge.set)
        await asyncio.to_thread(self._thread.join, FAREWELL)

    async def beat_once(self) -> Beat:
        """Extend what is held now, trusted from before the statement was sent. Raises `DatabaseTrouble`."""
        if self._session is None or self._session.closed:
            self._session = await self._process.database.address.connect()
        asked_at = counted_clock()
        reply = await locks.beat(self._session, self._pulse(), timeout=BEAT_TIMEOUT)
        self._holdings.extend(reply.extended, asked_at=asked_at)
        return reply

    def _pulse(self) -> Pulse:
        return Pulse(
            worker_id=self._process.worker_id,
            tokens=self._holdings.tokens(),
            lock=self._process.settings.lock,
            running=self._holdings.running(),
            listening=self._process.listening,
            state="draining" if self._process.stopping.is_set() else "running",
            proof=PROOF,
        )

    def _run(self) -> None:
        try:
            asyncio.run(self._beat_and_watch())
        except BaseException as error:  # noqa: BLE001 - with nobody watching, the worker must not go on
            self._guard.fence("the heartbeat failed", error=f"{type(error).__name__}: {error}")

    async def _beat_and_watch(self) -> None:
        """Beside each other: a beat may hang for longer than trust has left, and the watch is what ends a worker in time."""
        self._loop = asyncio.get_running_loop()
        try:
            async with anyio.create_task_group() as both:
                both.start_soon(self._beat, name="beat")
                both.start_soon(self._watch, name="watch")
                while not self._stop.is_set():
                    await self._nudge.wait()
                both.cancel_scope.cancel()
        finally:
            await self._forget_session()

    async def _beat(self) -> None:
        while self._guard.worth_a_beat():
            pause = await self._try_to_beat()
            await asyncio.sleep(pause)

    async def _watch(self) -> None:
        pause = self._process.settings.watch.total_seconds()
        while True:
            self._guard.watch_once()
            await asyncio.sleep(pause)

    async def _try_to_beat(self) -> float:
        """Beat, and return the seconds until the next."""
        asked_at = counted_clock()
        try:
            reply = await self.beat_once()
        except DatabaseTrouble as trouble:
            await self._forget_session()
            self._outage.begun(trouble)
            return RETRY * random.uniform(0.5, 1)  # noqa: S311
        self._outage.ended()
        if not self._stop.is_set():
            self._main.call_soon_threadsafe(self._on_reply, reply, asked_at)
        return self._process.settings.heartbeat.total_seconds()

    async def _forget_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
