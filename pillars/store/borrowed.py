"""Other people's connections, for statements of ours inside their transaction.

asyncpg's, psycopg's (3.2 or newer), SQLAlchemy's and Django's are recognised without importing what may not be installed. SQLAlchemy
is asked through the very object that was passed, never through the driver's connection under it: until a session's own first
statement that one stands outside the session's transaction, and what is written through it survives a rollback. Django's own
connection may not be open yet, refuses statements in a block that is to be rolled back, and gives the driver's errors its own names.

The transaction is the caller's, so its timeouts hold, none of ours, and what its driver raises travels as it is: whoever repeats a
transaction on a serialization failure must recognise one. Without a transaction (asyncpg outside a block, autocommit elsewhere) each
statement is one of its own. Arguments and answers are text, so no codec that the caller has set changes them.
"""

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pillars.errors import UsageError
from pillars.store.statements import Portable, Row

Arguments = Mapping[str, str | None]
Answer = Iterable[Iterable[Any]]
Run = Callable[[Any, Portable[Any], Arguments], Awaitable[Answer]]
RunNow = Callable[[Any, Portable[Any], Arguments], Answer]


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A connection or session of the caller's that is awaited."""

    connection: Any
    run: Run

    async def rows(self, statement: Portable[Row], **arguments: str | None) -> list[Row]:
        """Run a statement, its arguments in the order of their numbers; raises what the driver raises."""
        found = await self.run(self.connection, statement, arguments)
        return [statement.fill(values) for values in found]


@dataclass(frozen=True, slots=True)
class BorrowedNow:
    """A connection or session of the caller's that blocks."""

    connection: Any
    run: RunNow

    def rows(self, statement: Portable[Row], **arguments: str | None) -> list[Row]:
        """Run a statement, its arguments in the order of their numbers; raises what the driver raises."""
        found = self.run(self.connection, statement, arguments)
        return [statement.fill(values) for values in found]


def borrow(connection: Any, *, otherwise: str) -> Borrowed:
    """Recognise a connection that is awaited; `otherwise` says what to do with one that is not."""
    for kind, run in AWAITED.items():
        if kind.covers(connection):
            return Borrowed(connection, run)
    raise _refusal(connection, "awaited", BLOCKING, otherwise)


def borrow_now(connection: Any, *, otherwise: str) -> BorrowedNow:
    """Recognise a connection that blocks; `otherwise` says what to do with one that does not."""
    for kind, run in BLOCKING.items():
        if kind.covers(connection):
            return BorrowedNow(connection, run)
    raise _refusal(connection, "blocking", AWAITED, otherwise)


@dataclass(frozen=True, slots=True)
class Kind:
    """A class that may not be installed, by the module that offers it."""

    module: str
    name: str

    def covers(self, connection: Any) -> bool:
        offered = getattr(sys.modules.get(self.module), self.name, None)
        return isinstance(offered, type) and isinstance(connection, offered)

    def __str__(self) -> str:
        return f"{self.module.partition('.')[0]}'s {self.name}"


async def _asyncpg(connection: Any, statement: Portable[Any], arguments: Arguments) -> Answer:
    found: Answer = await connection.fetch(statement.numbered.text, *arguments.values())
    return found


async def _psycopg(connection: Any, statement: Portable[Any], arguments: Arguments) -> Answer:
    psycopg = _psycopg_with_raw_cursors()
    plain = psycopg.rows.tuple_row  # whatever rows the caller's own cursors make
    async with psycopg.AsyncRawCursor(connection, row_factory=plain) as cursor:
        await cursor.execute(statement.numbered.text, list(arguments.values()))
        found: Answer = await cursor.fetchall()
    return found


def _psycopg_now(connection: Any, statement: Portable[Any], arguments: Arguments) -> Answer:
    psycopg = _psycopg_with_raw_cursors()
    with psycopg.RawCursor(connection, row_factory=psycopg.rows.tuple_row) as cursor:
        cursor.execute(statement.numbered.text, list(arguments.values()))
        found: Answer = cursor.fetchall()
    return found


def _django_now(connection: Any, statement: Portable[Any], arguments: Arguments) -> Answer:
    if connection.vendor != "postgresql":
        raise UsageError(f"connection: expected one to Postgres, got one to {connection.vendor}")
    connection.ensure_connection()
    if not PSYCOPG.covers(connection.connection):
        driver = type(connection.connection).__module__.partition(".")[0]
        raise UsageError(f"connection: expected Django's on psycopg 3, got it on {driver}")
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        return _psycopg_now(connection.connection, statement, arguments)


async def _sqlalchemy(connection: Any, statement: Portable[Any], arguments: Arguments) -> Answer:
    text = _sqlalchemy_text(connection, statement)
    found: Answer = (await connection.execute(text, arguments)).all()
    return found


def _sqlalchemy_now(connection: Any, statement: Portable[Any], arguments: Arguments) -> Answer:
    text = _sqlalchemy_text(connection, statement)
    found: Answer = connection.execute(text, arguments).all()
    return found


AWAITED: dict[Kind, Run] = {
    Kind("asyncpg", "Connection"): _asyncpg,
    Kind("asyncpg.pool", "PoolConnectionProxy"): _asyncpg,
    Kind("psycopg", "AsyncConnection"): _psycopg,
    Kind("sqlalchemy.ext.asyncio", "AsyncSession"): _sqlalchemy,
    Kind("sqlalchemy.ext.asyncio", "AsyncConnection"): _sqlalchemy,
    Kind("sqlalchemy.ext.asyncio", "async_scoped_session"): _sqlalchemy,
}
PSYCOPG = Kind("psycopg", "Connection")
BLOCKING: dict[Kind, RunNow] = {
    PSYCOPG: _psycopg_now,
    Kind("django.utils.connection", "ConnectionProxy"): _django_now,
    Kind("django.db.backends.base.base", "BaseDatabaseWrapper"): _django_now,
    Kind("sqlalchemy.orm", "Session"): _sqlalchemy_now,
    Kind("sqlalchemy", "Connection"): _sqlalchemy_now,
    Kind("sqlalchemy.orm", "scoped_session"): _sqlalchemy_now,
}
MAKERS = (
    Kind("asyncpg", "Pool"),
    Kind("psycopg_pool", "AsyncConnectionPool"),
    Kind("psycopg_pool", "ConnectionPool"),
    Kind("sqlalchemy", "Engine"),
    Kind("sqlalchemy.ext.asyncio", "AsyncEngine"),
    Kind("sqlalchemy.ext.asyncio", "async_sessionmaker"),
    Kind("sqlalchemy.orm", "sessionmaker"),
)


def _psycopg_with_raw_cursors() -> Any:
    psycopg = sys.modules["psycopg"]
    if not hasattr(psycopg, "RawCursor"):
        raise UsageError(f"connection: expected psycopg 3.2 or newer, got {psycopg.__version__}")
    return psycopg


def _sqlalchemy_text(connection: Any, statement: Portable[Any]) -> Any:
    bind = connection if hasattr(connection, "dialect") else connection.get_bind()
    if bind.dialect.name != "postgresql":
        raise UsageError(f"connection: expected one to Postgres, got one to {bind.dialect.name}")
    return sys.modules["sqlalchemy"].text(statement.named.text)


def _refusal(
    connection: Any, wanted: str, others: Mapping[Kind, Any], otherwise: str
) -> UsageError:
    for kind in MAKERS:
        if kind.covers(connection):
            made = "session" if "session" in kind.name else "connection"
            return UsageError(f"connection: expected an open one, got {kind}; pass a {made} of it")
    for kind in others:
        if kind.covers(connection):
            return UsageError(f"connection: expected one that is {wanted}, got {kind}; {otherwise}")
    return UsageError(
        "connection: expected an open connection or session of asyncpg, psycopg 3, SQLAlchemy or Django, "
        f"got {type(connection).__name__}"
    )
