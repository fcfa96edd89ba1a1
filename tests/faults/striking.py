"""One execution of one statement fails, as near to the driver as there is a place: on the connection itself."""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from declared import declared

from pillars.store import statements
from pillars.store.dialling import Ours
from support import until

PREPARE = "ledger/prepare"  # several statements, which no Statement can be
NAMES: Mapping[str, str] = {
    **{statement.text: name for name, statement in declared().items()}, statements.text(PREPARE): PREPARE,
}  # fmt: skip
WORDS = {
    "BEGIN": "begin", "COMMIT": "commit", "ROLLBACK": "rollback", "LISTEN": "listen", "UNLISTEN": "unlisten", "alter": "alter table",
    "create": "create table", "drop": "drop table", "analyze": "analyze", "select": "let go",
    "insert": "of a job's own",
}  # fmt: skip
"""What has no file of its own, by its first word: the driver's own statements, and those that a statement has made."""
RAISE = "do $$ begin raise exception 'struck' using errcode = '{}'; end $$"
HANG_UP = "select pg_terminate_backend(pg_backend_pid())"
CLOSED = "connection was closed in the middle of operation"

Run = Callable[[], Awaitable[Any]]
Fault = Callable[[Any, Run], Awaitable[Any]]
"""What happens to a connection, None where it is only being made, instead of what was to be run."""


def name_of(sql: str) -> str:
    """How a statement is called here; an error for SQL that nobody has declared."""
    if "pg_advisory_unlock_all" in sql:
        return "reset"
    code = "\n".join(line for line in sql.splitlines() if not line.startswith("--")).strip()
    name = NAMES.get(sql) or WORDS.get(code.partition(" ")[0].rstrip(";"))
    if name is None:
        raise AssertionError(f"a statement that goes around Statement: {sql}")
    return name


@dataclass(slots=True)
class Strike:
    """The nth execution of a statement from now on is to fail so."""

    name: str
    fault: Fault
    nth: int = 1
    hit: bool = False


@dataclass(slots=True)
class Points:
    """What is to fail in one database, and how often each statement was run there. The heartbeat's thread asks, too."""

    seen: Counter[str] = field(default_factory=Counter)
    _strikes: list[Strike] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, name: str, fault: Fault, *, nth: int = 1) -> Strike:
        strike = Strike(name, fault, nth)
        with self._guard:
            self._strikes.append(strike)
        return strike

    def disarm(self) -> None:
        with self._guard:
            self._strikes.clear()

    def due(self, name: str) -> Fault | None:
        with self._guard:
            self.seen[name] += 1
            for strike in self._strikes:
                if strike.name == name:
                    strike.nth -= 1
                    if not strike.nth:
                        strike.hit = True
                        self._strikes.remove(strike)
                        return strike.fault
        return None


POINTS: dict[str, Points] = {}
"""By the database's name."""


def points_of(url: str) -> Points:
    return POINTS.setdefault(urlsplit(url).path.removeprefix("/"), Points())


class Struck(Ours):
    """A connection of the runtime's, on which what is armed fails."""

    @property
    def points(self) -> Points:
        return POINTS[self._params.database]  # type: ignore[attr-defined]

    async def fetch(self, query: str, *args: Any, **kwargs: Any) -> Any:
        return await self._run(name_of(query), partial(super().fetch, query, *args, **kwargs))

    async def execute(self, query: str, *args: Any, **kwargs: Any) -> Any:
        return await self._run(name_of(query), partial(super().execute, query, *args, **kwargs))

    async def prepare(self, query: str, **kwargs: Any) -> Any:
        return await self._run(name_of(query), partial(super().prepare, query, **kwargs))

    async def copy_records_to_table(self, *args: Any, **kwargs: Any) -> Any:
        return await self._run("copy", partial(super().copy_records_to_table, *args, **kwargs))

    async def plainly(self, sql: str) -> None:
        """Run what belongs to a fault."""
        await super().execute(sql)

    async def _run(self, name: str, run: Run) -> Any:
        fault = self.points.due(name)
        return await (run() if fault is None else fault(self, run))


async def unsent(_connection: Struck, _run: Run) -> Any:
    """The time was up before anything was sent."""
    raise TimeoutError


async def late(_connection: Struck, run: Run) -> Any:
    """It was carried out, and the answer came too late."""
    await run()
    raise TimeoutError


async def lost(connection: Struck, run: Run) -> Any:
    """It was carried out, and committed unless in a transaction; the answer was lost with the connection."""
    await run()
    connection.terminate()
    raise asyncpg.ConnectionDoesNotExistError(CLOSED)


async def hung_up(connection: Struck, run: Run) -> Any:
    """57P01: an administrator ended the session, just now."""
    await connection.plainly(HANG_UP)
    return await run()


async def timed_out(connection: Struck, run: Run) -> Any:
    """25P03: the server ended a session that was idle in a transaction; 57P05 outside one."""
    setting = "idle_in_transaction_session" if connection.is_in_transaction() else "idle_session"
    await connection.plainly(f"set {setting}_timeout = 1")
    await until(connection.is_closed, every=0.001)
    return await run()


async def confused(_connection: Struck, _run: Run) -> Any:
    """asyncpg lost track of its own states."""
    raise asyncpg.InternalClientError(
        "cannot switch to state 11; another operation (2) is in progress"
    )


def raised(sqlstate: str, *, ends: bool = False) -> Fault:
    """The server answers with this error, and has carried out nothing; of a commit it `ends` the transaction all the same."""

    async def raises(connection: Struck, _run: Run) -> Any:
        if ends:
            await connection.plainly("rollback")
        await connection.plainly(RAISE.format(sqlstate))

    return raises


def cancelled(cancel: Callable[[], object]) -> Fault:
    """Whoever runs it is cancelled while it is under way."""

    async def cancels(_connection: Struck, run: Run) -> Any:
        asyncio.get_running_loop().call_soon(cancel)
        return await run()

    return cancels


CODES = ("40001", "40P01", "57014", "53300", "25006")
FAULTS: Mapping[str, Fault] = {
    "timeout, unsent": unsent,
    "timeout, carried out": late,
    "lost, carried out": lost,
    "57P01": hung_up,
    "25P03": timed_out,
    "InternalClientError": confused,
    **{code: raised(code) for code in CODES},
}
FAULTS_OF_COMMITTING = {**FAULTS, **{code: raised(code, ends=True) for code in CODES}}
UNDONE = {"40001", "40P01"}
UNKNOWN = FAULTS.keys() - CODES
"""Those after which nobody knows whether it was carried out."""
CANCELLED = "CancelledError"
KINDS = (*FAULTS, CANCELLED)


async def refused(_nobody: object, _run: Run) -> Any:
    raise ConnectionRefusedError(111, "Connection refused")


async def dead_on_arrival(_nobody: object, run: Run) -> Any:
    """The connection was made, and is gone before anybody has used it."""
    connection = await run()
    connection.terminate()
    return connection


def answered(error: type[asyncpg.PostgresError]) -> Fault:
    """What a server says to somebody new."""

    async def answers(_nobody: object, _run: Run) -> Any:
        raise error("struck")

    return answers


FAULTS_OF_CONNECTING: Mapping[str, Fault] = {
    "timeout, unsent": unsent,
    "refused": refused,
    "lost, carried out": dead_on_arrival,
    "InternalClientError": confused,
    "53300": answered(asyncpg.TooManyConnectionsError),
    "57P01": answered(asyncpg.AdminShutdownError),
    "57P03": answered(asyncpg.CannotConnectNowError),
}
