"""What a process holds of Postgres."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import anyio

from pillars.errors import NotConnected
from pillars.store.inserting import insert
from pillars.store.merging import Merger
from pillars.store.pool import (
    APPLICATION_PATIENCE,
    PLANNED_ONCE,
    RUNTIME_CONNECTIONS,
    Address,
    Pool,
    Revive,
)
from pillars.store.results import Results
from pillars.store.route import Route
from pillars.store.row_security import Convention, RowSecurity
from pillars.store.streams import Streams
from pillars.store.wakeups import Wakeups

APPLICATION_CONNECTIONS = 10
FAREWELL = 0.5  # seconds for the last notifications; a poll finds what they would have told of


class Database:
    """Two pools, so that jobs never starve the runtime; and what is shared by a process's enqueues.

    `pool` is the application's: enqueues, `ctx.connection()`, results, requests. `runtime` is for claims, finishes and
    sweeps. `direct` is for what a transaction pooler cannot carry: LISTEN, the leader's lock, migrations.
    """

    def __init__(
        self,
        url: str,
        *,
        direct_url: str | None = None,
        size: int = APPLICATION_CONNECTIONS,
        role: str = "app",
        revive: Revive | None = None,
        convention: Convention | None = None,
    ) -> None:
        self.address = Address(url, application_name=f"pillars {role}", revive=revive)
        self.direct = self.address
        if direct_url not in {None, url}:
            self.direct = replace(self.address, url=direct_url, route=Route())
        self.pool = Pool(self.address, size, APPLICATION_PATIENCE)
        self.runtime = Pool(self.address, RUNTIME_CONNECTIONS, settings=PLANNED_ONCE)
        self.wakeups = Wakeups(self.pool)
        self.enqueues = Merger(partial(insert, self.pool, self.wakeups))
        self.results = Results(self.pool)
        self.streams = Streams(self.runtime, self.pool, self.direct)
        self.row_security = RowSecurity(convention or Convention())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._holders = 0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop on which the pools work: the one that opened them."""
        if self._loop is None:
            raise NotConnected
        return self._loop

    @property
    def is_open(self) -> bool:
        """Whether somebody holds the pools; false from the last one's leaving on."""
        return self._holders > 0

    def serves(self, url: str) -> bool:
        """Whether this is that database, open to code on the running loop."""
        here = self._loop is asyncio.get_running_loop()
        return self.is_open and here and self.address.url == url

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Database"]:
        """Hold the pools for the block; no connection is made before one is needed.

        The first to hold them opens, the last to leave closes: code that shares them need not end in order.
        """
        if self.is_open:
            self._holders += 1
        else:
            self.open()
        try:
            yield self
        finally:
            self._holders -= 1
            if self._holders == 0:
                await self.close()

    def open(self) -> None:
        """Let the running loop have the pools; whoever opens closes, on the same loop."""
        self._loop = asyncio.get_running_loop()
        self._holders = 1
        self.pool.open()
        self.runtime.open()

    async def close(self) -> None:
        """Say farewell to those who wait and listen, then close every connection, whoever holds them."""
        self._holders = 0
        try:
            with anyio.move_on_after(FAREWELL, shield=True):
                await self.results.close()
                await self.streams.close()
                await self.enqueues.close()
                await self.wakeups.close()
        finally:
            self._loop = None
            await self.pool.close()
            await self.runtime.close()
