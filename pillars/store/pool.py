"""Where Postgres is, and a few connections to it, lent for a block each."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import asyncpg

from pillars.durations import words
from pillars.errors import ConfigurationError, DatabaseTrouble, Trouble
from pillars.settings import masked_url
from pillars.settings.hosts import Host, hosts_of, wants_writes
from pillars.store.dialling import CONNECT_TIMEOUT, LEAST_TIMEOUT, Connection, Wish, dial, or_cut
from pillars.store.keeping import Kept
from pillars.store.lending import OWN_PATH
from pillars.store.route import REFUSALS, Route, is_pooled, settle_in
from pillars.store.session import CLOSE_TIMEOUT, STATEMENT_TIMEOUT, Session
from pillars.store.statements import Row, Statement
from pillars.store.trouble import is_of_a_standby, told, told_of_connecting

# For a connection to come free: the runtime's are never held for long.
RUNTIME_PATIENCE = timedelta(seconds=5)
APPLICATION_PATIENCE = timedelta(seconds=30)  # jobs hold theirs for whole transactions
# Planning a claim anew costs as much as claiming a hundred jobs. A plan may be kept from when its tables were empty, so there is no scan of
# a whole table to choose from, and no statement of the runtime's is worded so that an index that it does not narrow would serve it.
PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}
RUNTIME_CONNECTIONS = 3  # claim, finish, and one for what comes up: jobs cannot starve them
IDLE_CONNECTION = timedelta(minutes=5)  # some proxies cut connections at ten


Revive = Callable[[], None]


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
            hosts = hosts_of(self.url)
            if len(hosts) > 1:
                return await self._find(hosts, settings)
            return await self._reach(self._wish(settings))
        except DatabaseTrouble as trouble:
            raise DatabaseTrouble(
                trouble.kind,
                f"no connection to {masked_url(self.url)}: {trouble}; is Postgres there, and DATABASE_URL right?",
                sqlstate=trouble.sqlstate,
            ) from trouble
        except ValueError:  # asyncpg's own reading of it; its word may repeat a part of a password
            raise ConfigurationError(
                f"DATABASE_URL: expected what follows ? as name=value, got {masked_url(self.url)}; "
                "escape @ : / ? # & % in the password, as %40 %3A %2F %3F %23 %26 %25"
            ) from None

    async def _find(self, hosts: list[Host], settings: dict[str, str]) -> Connection:
        """Of several servers the one that takes writes, the last that did first: it was promoted since the others were left."""
        patience = max(CONNECT_TIMEOUT / len(hosts), LEAST_TIMEOUT)
        wish = replace(self._wish(settings), timeout=patience)
        route, troubles = self.route, list[DatabaseTrouble]()
        route.hosts = route.hosts or hosts
        for host in tuple(route.hosts):
            try:
                connection = await self._reach(replace(wish, host=host))
            except BaseException as error:
                # Also for a caller that has waited enough: the next one gets further.
                route.shun(host)
                if not isinstance(error, DatabaseTrouble):
                    raise
                troubles.append(DatabaseTrouble(error.kind, f"{host}: {error}"))
            else:
                route.prefer(host)
                return connection
        kinds = {trouble.kind for trouble in troubles}
        kind = kinds.pop() if len(kinds) == 1 else Trouble.UNREACHABLE
        raise DatabaseTrouble(kind, ", ".join(map(str, troubles)))

    async def _reach(self, wish: Wish) -> Connection:
        """One server, or a pooler before it."""
        with told_of_connecting():
            connection = await (self._explore if self.route.pooled is None else self._dial)(wish)
            if not self.pooled:
                setting = connection.execute(OWN_PATH.text, timeout=wish.timeout.total_seconds())
                await or_cut(connection, setting)
            return connection

    async def _explore(self, wish: Wish) -> Connection:
        """The first connection: find out whether there is a pooler; where there is none, it is as good as any."""
        try:
            connection = await self._dial(wish)
        except asyncpg.PostgresError as error:
            if error.sqlstate not in REFUSALS:
                raise
        else:
            if not await or_cut(connection, is_pooled(connection)):
                self.route.pooled = False
                return connection
            connection.terminate()
        connection = await self._dial(replace(wish, pooled=True))
        self.route.pooled = True
        return connection

    async def _dial(self, wish: Wish) -> Connection:
        connection = await dial(self.url, wish)
        if wish.pooled:
            await or_cut(connection, settle_in(connection, masked_url(self.url)))
        return connection

    def _wish(self, settings: dict[str, str]) -> Wish:
        named = {"application_name": self.application_name, **settings}
        return Wish(settings=named, pooled=self.pooled, writes=wants_writes(self.url))


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
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()
        self._pool = None

    async def rows(
        self, statement: Statement[Row], *args: Any, timeout: timedelta = STATEMENT_TIMEOUT
    ) -> list[Row]:
        """Run a statement on any connection; raises `DatabaseTrouble`."""
        async with self.session() as session:
            return await session.rows(statement, *args, timeout=timeout)

    def session(self, *, patiently: bool = False) -> "Lent":
        """Hold one connection for the block; `patiently` waits for one for as long as the caller lives."""
        return Lent(self, self._opened(), self._kept, patiently=patiently)

    async def acquired(
        self, pool: "asyncpg.Pool[asyncpg.Record]", patience: timedelta | None
    ) -> Any:
        """One of asyncpg's, not before one is free."""
        self._kept.waiting += 1
        with told_of_connecting():
            try:
                await pool  # the first time; it makes no connection
                return await pool.acquire(
                    timeout=None if patience is None else patience.total_seconds()
                )
            except TimeoutError as error:
                raise self._in_vain(pool.get_size()) from error
            finally:
                self._kept.waiting -= 1

    def _in_vain(self, connected: int) -> DatabaseTrouble:
        """Why nobody was lent a connection: all are held, or the next one does not come about."""
        waited = words(self.patience)
        if connected >= self.size:
            return DatabaseTrouble(
                Trouble.BUSY,
                f"no connection of the pool's {self.size} came free in {waited}; raise PILLARS_POOL, or hold them for shorter",
            )
        return DatabaseTrouble(
            Trouble.UNREACHABLE,
            f"no connection to {masked_url(self.address.url)}: no answer in {waited}; is Postgres there, and DATABASE_URL right?",
        )

    async def part_with_standby(self) -> None:
        """It answers reads for ever: leave all its connections, so that the next finds the primary."""
        if self._pool is not None:
            self._kept.renounce()
            await self._pool.expire_connections()
            await self._kept.empty()

    def _opened(self) -> "asyncpg.Pool[asyncpg.Record]":
        if self._pool is None:
            raise DatabaseTrouble(Trouble.UNREACHABLE, "the pool is closed")
        return self._pool


class Lent:
    """One connection of a pool, for a block. A class, since it is around each statement, and a generator would take several times as long."""

    __slots__ = ("_connection", "_generation", "_kept", "_lender", "_patiently", "_pool")

    def __init__(
        self, lender: Pool, pool: "asyncpg.Pool[asyncpg.Record]", kept: Kept, *, patiently: bool
    ) -> None:
        self._lender = lender
        self._pool = pool
        self._kept = kept
        self._patiently = patiently
        self._generation = kept.generation

    async def __aenter__(self) -> Session:
        lender, patience = self._lender, None if self._patiently else self._lender.patience
        self._connection = self._kept.take() or await lender.acquired(self._pool, patience)
        return Session(self._connection, pooled=lender.address.pooled)

    async def __aexit__(
        self, _type: object, error: BaseException | None, _traceback: object, /
    ) -> None:
        try:
            if error is not None and is_of_a_standby(error):
                await self._lender.part_with_standby()
        finally:
            # One that was lent to somebody's code goes back: the pool sees to it that nobody uses it after that.
            keeps = error is None and not self._patiently
            if not (keeps and self._kept.keep(self._connection, generation=self._generation)):
                await _give_back(self._pool, self._connection)


async def _give_back(pool: "asyncpg.Pool[asyncpg.Record]", connection: Any) -> None:
    """To its end also for a caller that is cancelled. One that cannot be given back is cut, which changes nothing about what was done on it."""
    with suppress(DatabaseTrouble), told(), anyio.CancelScope(shield=True):
        await pool.release(connection, timeout=CLOSE_TIMEOUT.total_seconds())


async def _leave_alone(_connection: Any) -> None:
    """Our statements leave no session state, so asyncpg's reset would only double them; see `Session.reset` for other people's."""
