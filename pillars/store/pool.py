"""Connections to Postgres. Every statement of the runtime runs through `Session.rows`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import anyio
import asyncpg

from pillars.errors import DatabaseTrouble, Trouble
from pillars.settings import masked_url
from pillars.store.keeping import Kept
from pillars.store.route import REFUSALS, Route, is_pooled, settle_in
from pillars.store.statements import Row, Statement
from pillars.store.trouble import never_sent, told, told_of_connecting

STATEMENT_TIMEOUT = timedelta(seconds=5)  # no await on the database without one
CONNECT_TIMEOUT = timedelta(seconds=5)
CLOSE_TIMEOUT = timedelta(
    seconds=2
)  # then connections are cut: a dead database must not hold up an exit
RUNTIME_PATIENCE = timedelta(
    seconds=5
)  # for a connection to come free: the runtime's are never held for long
APPLICATION_PATIENCE = timedelta(seconds=30)  # jobs hold theirs for whole transactions
# Planning a claim anew costs as much as claiming a hundred jobs. A plan may be kept from when its tables were empty, so there is no scan of
# a whole table to choose from, and no statement of the runtime's is worded so that an index that it does not narrow would serve it.
PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}
RUNTIME_CONNECTIONS = 3  # claim, finish, and one for what comes up: jobs cannot starve them
IDLE_CONNECTION = timedelta(minutes=5)  # some proxies cut connections at ten

Revive = Callable[[], None]
Found = TypeVar("Found")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
if TYPE_CHECKING:
    Plain = asyncpg.Connection[asyncpg.Record]
else:
    Plain = asyncpg.Connection


class Recodable(Plain):
    """Knows whether somebody's code has changed how values travel on it: for that asyncpg has no general way back."""

    recoded = False

    async def set_type_codec(self, *args: Any, **kwargs: Any) -> None:
        self.recoded = True
        await super().set_type_codec(*args, **kwargs)

    async def set_builtin_type_codec(self, *args: Any, **kwargs: Any) -> None:
        self.recoded = True
        await super().set_builtin_type_codec(*args, **kwargs)


class Executor(Protocol):
    """What runs a statement: a pool, or one connection of it."""

    async def rows(
        self, statement: Statement[Row], *args: Any, timeout: timedelta = STATEMENT_TIMEOUT
    ) -> list[Row]: ...


class Session:
    """One connection, for statements of ours or, in a transaction, of the caller's.

    `pooled` where its statements may meet different servers.
    """

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
        return [statement.fill(record) for record in found]

    async def script(self, sql: str, *, timeout: timedelta) -> None:
        """Run SQL of several statements, as a migration is."""
        with told():
            await self.connection.execute(sql, timeout=timeout.total_seconds())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Commit at the end of the block, or roll back where it raises."""
        with told():
            transaction = self.connection.transaction()
            await transaction.start()
        try:
            yield
        except BaseException:
            await self._clean(transaction.rollback)
            raise
        with told():
            await transaction.commit()

    async def reset(self) -> None:
        """Forget what somebody's code has set on the session, or locked, or listens to; part with it where codecs were set.

        A pooler's session is not ours to reset: it would release another client's locks.
        """
        if getattr(self.connection, "recoded", False):
            await self.close()
        elif not self.pooled:
            await self._clean(self.connection.reset)

    async def _let_go(self) -> None:
        """Send the Sync that is owed for a statement that was parsed and not executed: until then the server keeps its locks.

        And a pooler keeps us the server.
        """
        with suppress(asyncpg.InFailedSQLTransactionError):
            await self.connection.execute("select")

    async def _clean(self, work: Callable[[], Awaitable[None]]) -> None:
        """Also for a caller that is cancelled: shielded, for a moment, and a connection that cannot be cleaned is cut."""
        if self.connection.is_closed():
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
            if not cleaned:  # asyncio's own cancellation, which passes shields, among others
                self.connection.terminate()

    @property
    def closed(self) -> bool:
        return self.connection.is_closed()

    async def close(self) -> None:
        """Close in good order, or cut the connection where that takes too long."""
        try:
            with anyio.fail_after(CLOSE_TIMEOUT.total_seconds()):
                await self.connection.close()
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.connection.terminate()


@dataclass(frozen=True, slots=True)
class Address:
    """Where Postgres is and how to bring it back where it is ours to start."""

    url: str
    application_name: str = "pillars"
    revive: Revive | None = None
    route: Route = field(default_factory=Route, compare=False)
    """What the first connection finds out; an address made by `replace` shares it, so give it one with another url."""

    @property
    def pooled(self) -> bool:
        """Behind a pooler, as far as is known: no statement outlives its execution, no session state, no session lock."""
        return self.route.pooled is True

    async def connect(self, **settings: str) -> Session:
        """Open a connection of its own, on whichever loop is running."""
        connection = await self.open(**settings)
        return Session(connection, pooled=self.pooled)

    async def open(self, **settings: str) -> Connection:
        """As `connect`, for a pool. A pooler gets none of the `settings` of the server: it would refuse them."""
        try:
            return await self._open(settings)
        except DatabaseTrouble as trouble:
            if self.revive is None or trouble.kind not in {Trouble.UNREACHABLE, Trouble.BUSY}:
                raise
        await asyncio.to_thread(self.revive)
        return await self._open(settings)

    async def _open(self, settings: dict[str, str]) -> Connection:
        try:
            with told_of_connecting():
                if self.route.pooled is None:
                    return await self._explore(settings)
                return await self._dial(settings)
        except DatabaseTrouble as trouble:
            raise DatabaseTrouble(
                trouble.kind,
                f"no connection to {masked_url(self.url)}: {trouble}; is Postgres there, and DATABASE_URL right?",
                sqlstate=trouble.sqlstate,
            ) from trouble

    async def _explore(self, settings: dict[str, str]) -> Connection:
        """The first connection: find out whether there is a pooler; where there is none, it is as good as any."""
        try:
            connection = await self._dial(settings)
        except asyncpg.PostgresError as error:
            if not settings or error.sqlstate not in REFUSALS:
                raise
        else:
            if not await _or_cut(connection, is_pooled(connection)):
                self.route.pooled = False
                return connection
            connection.terminate()
        connection = await self._dial({}, pooled=True)
        self.route.pooled = True
        return connection

    async def _dial(self, settings: dict[str, str], *, pooled: bool | None = None) -> Connection:
        pooled = self.pooled if pooled is None else pooled
        named = {"application_name": self.application_name, **settings}
        if pooled:
            named = {"application_name": named["application_name"]}
        connection = await asyncpg.connect(
            self.url,
            timeout=CONNECT_TIMEOUT.total_seconds(),
            statement_cache_size=0 if pooled else 100,
            server_settings=named,
            connection_class=Recodable,
        )
        if pooled:
            await _or_cut(connection, settle_in(connection, masked_url(self.url)))
        return connection


async def _or_cut(connection: Connection, work: Awaitable[Found]) -> Found:
    """Do it; where that fails, nobody has the connection any more."""
    try:
        return await work
    except BaseException:
        connection.terminate()
        raise


@dataclass(slots=True)
class Pool:
    """A few connections to one address, made when first needed."""

    address: Address
    size: int
    patience: timedelta = RUNTIME_PATIENCE
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of the server, for each connection."""
    _pool: "asyncpg.Pool[asyncpg.Record] | None" = field(default=None, init=False)
    _kept: Kept = field(init=False)

    def open(self) -> None:
        """Let connections be made on the running loop; makes none."""

        async def connect(*_args: object, **_kwargs: object) -> Any:
            return await self.address.open(**self.settings)

        self._pool = asyncpg.create_pool(
            min_size=0,
            max_size=self.size,
            max_inactive_connection_lifetime=IDLE_CONNECTION.total_seconds(),
            connect=connect,
            reset=_leave_alone,
        )
        self._kept = Kept(partial(_give_back, self._pool))

    async def close(self) -> None:
        if self._pool is None:
            return
        try:
            with anyio.fail_after(CLOSE_TIMEOUT.total_seconds()):
                await self._pool  # one that nobody used was not even begun
                self._kept.renounce()
                await self._kept.empty()
                await self._pool.close()
        except (
            TimeoutError,
            OSError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            DatabaseTrouble,
        ):
            self._pool.terminate()
        self._pool = None

    async def rows(
        self, statement: Statement[Row], *args: Any, timeout: timedelta = STATEMENT_TIMEOUT
    ) -> list[Row]:
        """Run a statement on any connection; raises `DatabaseTrouble`."""
        async with self.session() as session:
            return await session.rows(statement, *args, timeout=timeout)

    @asynccontextmanager
    async def session(self, *, patiently: bool = False) -> AsyncIterator[Session]:
        """Hold one connection for the block; `patiently` waits for one for as long as the caller lives."""
        pool, kept = self._opened(), self._kept
        generation, whole = kept.generation, False
        connection = kept.take() or await self._acquired(pool, None if patiently else self.patience)
        try:
            yield Session(connection, pooled=self.address.pooled)
            whole = True
        except DatabaseTrouble as trouble:
            if trouble.kind is Trouble.READ_ONLY:
                await self._part_with_standby()
            raise
        except asyncpg.ReadOnlySQLTransactionError:  # of a statement of the caller's own
            await self._part_with_standby()
            raise
        finally:
            # One that was lent to somebody's code goes back: the pool sees to it that nobody uses it after that.
            if patiently or not (whole and kept.keep(connection, generation=generation)):
                await _give_back(pool, connection)

    async def _acquired(
        self, pool: "asyncpg.Pool[asyncpg.Record]", patience: timedelta | None
    ) -> Any:
        self._kept.waiting += 1
        with told_of_connecting():
            try:
                await pool  # the first time; it makes no connection
                return await pool.acquire(
                    timeout=None if patience is None else patience.total_seconds()
                )
            except TimeoutError as error:
                raise DatabaseTrouble(
                    Trouble.BUSY,
                    f"no connection of the pool's {self.size} came free in {patience}; "
                    "raise PILLARS_POOL, or hold them for shorter",
                ) from error
            finally:
                self._kept.waiting -= 1

    async def _part_with_standby(self) -> None:
        """It answers reads for ever: leave all its connections, so that the next finds the primary."""
        if self._pool is not None:
            self._kept.renounce()
            await self._pool.expire_connections()
            await self._kept.empty()

    def _opened(self) -> "asyncpg.Pool[asyncpg.Record]":
        if self._pool is None:
            raise DatabaseTrouble(Trouble.UNREACHABLE, "the pool is closed")
        return self._pool


async def _give_back(pool: "asyncpg.Pool[asyncpg.Record]", connection: Any) -> None:
    with told():
        await pool.release(connection, timeout=CLOSE_TIMEOUT.total_seconds())


async def _leave_alone(_connection: Any) -> None:
    """Our statements leave no session state, so asyncpg's reset would only double them; see `Session.reset` for other people's."""
