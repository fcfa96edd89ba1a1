"""One test's database on however many loops its code runs: the test's own, a test client's, one that a framework makes for a call."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pillars.jobs.crossing import running_loop
from pillars.store.database import Database
from pillars.store.row_security import Convention

CONNECTIONS = 20  # more than jobs of one test hold at once; made when first needed
PATIENCE = 10.0  # seconds for another thread's loop to close its connections


@dataclass(frozen=True, slots=True)
class Opened:
    """The database on one loop, and the task that closes it there."""

    database: Database
    keeper: asyncio.Task[None]


class Connections:
    """Opens the database on each loop that asks for it; it is closed with the loop or with the test, whichever ends first.

    Code without a loop is given the loop `beside` the tests, which is always free to work for it.
    """

    def __init__(
        self,
        url: str,
        beside: Callable[[], asyncio.AbstractEventLoop],
        *,
        convention: Convention | None = None,
    ) -> None:
        self._url = url
        self._convention = convention
        self._beside = beside
        self._opened: dict[asyncio.AbstractEventLoop, Opened] = {}

    def here(self) -> Database:
        """The database for whoever asks, where they stand."""
        loop = running_loop()
        if loop is None:
            return self._by_the_loop_beside()
        opened = self._opened.get(loop)
        if opened is None or opened.keeper.done():
            opened = self._opened[loop] = self._open(loop)
        return opened.database

    def close(self) -> None:
        """Close what is still open, on the loops that opened it."""
        for loop, opened in self._opened.items():
            if opened.keeper.done() or loop.is_closed():
                continue
            if running_loop() is loop:
                opened.keeper.cancel()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(_ended(opened.keeper), loop).result(PATIENCE)
            else:
                loop.run_until_complete(_ended(opened.keeper))

    def _by_the_loop_beside(self) -> Database:
        async def here() -> Database:
            return self.here()

        return asyncio.run_coroutine_threadsafe(here(), self._beside()).result(PATIENCE)

    def _open(self, loop: asyncio.AbstractEventLoop) -> Opened:
        database = Database(self._url, size=CONNECTIONS, role="test", convention=self._convention)
        database.runtime = database.pool  # a test waits for every connection that is new
        database.address.route.pooled = False  # we made it, on the server itself
        database.open()
        return Opened(database, loop.create_task(_keep(database), name="pillars-testing"))


async def _keep(database: Database) -> None:
    """Wait to be cancelled, by the test's end or the loop's, and close: connections can be closed on their own loop alone."""
    try:
        await asyncio.Event().wait()
    finally:
        await database.close()


async def _ended(keeper: "asyncio.Task[None]") -> None:
    keeper.cancel()
    await asyncio.wait([keeper])
