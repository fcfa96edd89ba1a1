"""One connection to Postgres. Every statement of the runtime runs through `Session.rows`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import starmap
from typing import Any, Protocol, TypeAlias

import anyio
import asyncpg

from pillars.errors import DatabaseTrouble, Trouble
from pillars.store.dialling import Connection
from pillars.store.keeping import is_open
from pillars.store.lending import OWN_PATH, THEIR_PATH
from pillars.store.statements import Row, Statement
from pillars.store.trouble import never_sent, told

STATEMENT_TIMEOUT = timedelta(seconds=5)  # no await on the database without one
# Then connections are cut: a dead database must not hold up an exit.
CLOSE_TIMEOUT = timedelta(seconds=2)
# What is deferred to a commit of the application's, or of a migration, is done then.
APPLICATION_COMMIT = timedelta(minutes=5)

Hear: TypeAlias = Callable[..., None]


class Executor(Protocol):
    """What runs a statement: a pool, or one connection of it."""

    async def rows(
        self, statement: Statement[Row], *args: Any, timeout: timedelta = STATEMENT_TIMEOUT
    ) -> list[Row]: ...


class Session:
    """One connection, for statements of ours or, in a transaction, of the caller's.

    `pooled` where its statements may meet different servers.
    """

    __slots__ = ("connection", "pooled")

    def __init__(self, connection: Connection, *, pooled: bool = False) -> None:
        self.connection = connection
        self.pooled = pooled

    async def rows(
        self, statement: Statement[Row], *args: Any, timeout: timedelta = STATEMENT_TIMEOUT
    ) -> list[Row]:
        """Run a statement and return its rows; raises `DatabaseTrouble`."""
        try:
            with told():
                found = await self.connection.fetch(
                    statement.text, *args, timeout=timeout.total_seconds()
                )
        except DatabaseTrouble as trouble:
            if never_sent(trouble):
                await self._clean(self._let_go)
            raise
        return list(starmap(statement.row, found))

    async def script(self, sql: str, *, timeout: timedelta) -> None:
        """Run SQL of several statements, as a migration is."""
        with told():
            await self.connection.execute(sql, timeout=timeout.total_seconds())

    @asynccontextmanager
    async def transaction(
        self, *, committing: timedelta = STATEMENT_TIMEOUT
    ) -> AsyncIterator[None]:
        """Commit at the end of the block, or roll back where it raises; `committing` is for how long a commit may take."""
        transaction = self.connection.transaction()
        try:
            await self._answered(transaction.start())
        except BaseException:
            # Begun or not, asyncpg takes it for begun.
            self._cut()
            raise
        try:
            yield
        except BaseException:
            await self._clean(transaction.rollback)
            raise
        await self._answered(transaction.commit(), within=committing)

    async def listen(self, channel: str, hear: Hear) -> None:
        """Call `hear` with the connection, its server's pid, the channel and the text of each notification, while the connection stands."""
        await self._answered(self.connection.add_listener(channel, hear))

    async def unlisten(self, channel: str, hear: Hear) -> None:
        """Call `hear` no more."""
        await self._answered(self.connection.remove_listener(channel, hear))

    async def _answered(
        self, work: Awaitable[None], *, within: timedelta = STATEMENT_TIMEOUT
    ) -> None:
        """Do what asyncpg would wait for without end. Where no answer comes, what the server does is unknown: nobody gets the connection again."""
        try:
            with told():
                async with asyncio.timeout(within.total_seconds()):
                    await work
        except DatabaseTrouble as trouble:
            if trouble.kind is Trouble.LOST:
                self._cut()
            raise

    async def lend_names(self) -> None:
        """Let names mean what the role's own search_path says, for somebody's code; `reset` ends it."""
        if not self.pooled:
            await self.rows(THEIR_PATH)

    async def take_names_back(self) -> None:
        """Let names mean Postgres's own again. Behind a pooler there is no session to say it to."""
        if not self.pooled:
            await self.rows(OWN_PATH)

    async def reset(self) -> None:
        """Forget what somebody's code has set on the session, or locked, or listens to; part with it where codecs were set.

        A pooler's session is not ours to reset: it would release another client's locks.
        """
        if self.closed:
            return
        if self.connection.is_in_transaction():
            await self._clean(self._roll_back)
        if getattr(self.connection, "recoded", False):
            await self.close()
        elif not self.pooled:
            await self._clean(self.connection.reset)

    async def _roll_back(self) -> None:
        """What a commit that was cancelled has left, whose end asyncpg awaits first."""
        await self.connection.execute("ROLLBACK")

    async def _let_go(self) -> None:
        """Send the Sync that is owed for a statement that was parsed and not executed: until then the server keeps its locks.

        And a pooler keeps us the server.
        """
        with suppress(asyncpg.InFailedSQLTransactionError):
            await self.connection.execute("select")

    async def _clean(self, work: Callable[[], Awaitable[None]]) -> None:
        """Also for a caller that is cancelled: shielded, for a moment, and a connection that cannot be cleaned is cut."""
        if self.closed:
            return
        cleaned = False
        try:
            with (
                anyio.move_on_after(CLOSE_TIMEOUT.total_seconds(), shield=True),
                suppress(DatabaseTrouble),
                told(),
            ):
                await work()
                cleaned = True
        finally:
            # Asyncio's own cancellation, which passes shields, among others.
            if not cleaned:
                self._cut()

    def _cut(self) -> None:
        if not self.closed:
            self.connection.terminate()

    @property
    def closed(self) -> bool:
        """Whether it is gone, also where the pool has it back already."""
        return not is_open(self.connection)

    async def close(self) -> None:
        """Close in good order, or cut the connection where that takes too long."""
        try:
            with anyio.fail_after(CLOSE_TIMEOUT.total_seconds()):
                await self.connection.close()
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.connection.terminate()
