"""The database that this process's enqueues go to."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar, Token
from typing import Any

from pillars.errors import NotConnected
from pillars.settings import load
from pillars.store.database import Database
from pillars.store.session import APPLICATION_COMMIT, Session

_of_process: list[Callable[[], Database]] = []
_of_task: ContextVar[Database] = ContextVar("pillars_database")


def current() -> Database:
    """The database of the innermost `connect()`, else of the running pillar; raises `NotConnected`."""
    found = _known()
    if found is None:
        raise NotConnected
    return found


def _known() -> Database | None:
    own = _of_task.get(None)
    if own is not None and own.is_open:  # a fixture may have closed it without taking it back
        return own
    return _of_process[-1]() if _of_process else None


@asynccontextmanager
async def using(database: Database) -> AsyncIterator[Database]:
    """Hold `database` and make it the one of this process and of this task, for the block."""
    async with database.opened():
        with provided(_provider_of(database)):
            token: Token[Database] = _of_task.set(database)
            try:
                yield database
            finally:
                # A fixture's teardown runs in another context, which never had it.
                with suppress(ValueError):
                    _of_task.reset(token)


def _provider_of(database: Database) -> Callable[[], Database]:
    """Who provides it already, perhaps with another for each loop; else a provider of its own."""
    known = (by for by in reversed(_of_process) if by() is database)
    return next(known, lambda: database)


@contextmanager
def provided(by: Callable[[], Database]) -> Iterator[None]:
    """Let `by` say which database is this process's, for the block: code of tests runs on several loops, each with pools of its own."""
    _of_process.append(by)
    try:
        yield
    finally:
        _of_process.remove(by)


@asynccontextmanager
async def connect(url: str | None = None) -> AsyncIterator[None]:
    """Let code outside `app` enqueue jobs and await their results, for the block.

    `url` is a Postgres URL; without one, `DATABASE_URL` and the other settings decide, as for `app`. Nothing is migrated, and
    no connection is made before one is needed. Where this loop is connected to that database already, by `app`, by a test's
    fixture or by another `connect()`, in whichever task, its connections are shared, and closed once the last block has ended: one
    lifespan serves under `app web` and under any other server. Raises `NotConnected` where there is no URL, and `ConfigurationError`.
    """
    settings = load()
    address = url or settings.database_url
    known = _known()
    if known is not None and known.serves(address or known.address.url):
        async with using(known):
            yield
        return
    if address is None:
        raise NotConnected(
            "no database: pass pillars.connect(url), or set DATABASE_URL (of app dev: DATABASE_URL=$(app db url))"
        )
    direct = settings.database_direct_url if url is None else None
    async with using(Database(address, direct_url=direct, size=settings.pool)):
        yield


@asynccontextmanager
async def connection() -> AsyncIterator[Any]:
    """A transaction on this process's pool, as an asyncpg connection: commits at the end of the block, rolls back where it raises.

    Waits for a connection to come free for as long as its job or request lives. Pass it on as
    `job.configure(connection=connection)` and the job exists exactly when the block commits. Raises `NotConnected` and
    `DatabaseTrouble`.
    """
    async with lent(current()) as session:
        yield session.connection


@asynccontextmanager
async def lent(
    database: Database, *, first: Callable[[Session], Awaitable[object]] | None = None
) -> AsyncIterator[Session]:
    """A transaction for somebody's code on a session of the pool's, which is the pool's own again afterwards.

    What is done `first` stands before it: a query in it would let nobody choose its isolation any more.
    """
    async with database.pool.session(patiently=True) as session:
        try:
            if first is not None:
                await first(session)
            async with session.transaction(committing=APPLICATION_COMMIT):
                await session.lend_names()
                yield session
        finally:
            await session.reset()
