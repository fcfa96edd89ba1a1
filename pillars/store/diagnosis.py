"""What the doctor asks: of the server, of the schema, of the work in it. Nothing here writes."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from uuid import uuid4

import anyio

from pillars.store.health import FRESH
from pillars.store.rows import Now, Yes
from pillars.store.session import Executor, Session
from pillars.store.statements import Statement

ROUND_TRIPS = 5
ECHO_PATIENCE = 2.0  # seconds that a notification may take
PATIENCE = timedelta(seconds=30)  # for what reads all jobs


@dataclass(frozen=True, slots=True)
class Backend:
    pid: int


@dataclass(frozen=True, slots=True)
class Server:
    """What the server says of itself and of this connection."""

    version: str
    version_number: int
    """As Postgres counts: 180001 is 18.1."""
    in_recovery: bool
    read_only: bool
    fsync: bool
    full_page_writes: bool
    synchronous_commit: str
    autovacuum: bool
    connections_allowed: int
    connections_open: int
    encrypted: bool
    notifications_used: float
    """From 0 to 1."""
    xid_age: int


@dataclass(frozen=True, slots=True)
class Identity:
    """Which database of which cluster a connection leads to."""

    cluster: int
    database: int
    name: str
    in_recovery: bool


@dataclass(frozen=True, slots=True)
class Role:
    """What the connection's role may do."""

    name: str
    schema_is_there: bool
    may_create: bool
    may_work: bool


@dataclass(frozen=True, slots=True)
class Holder:
    """Who keeps vacuum from removing rows: "transaction", "slot" or "prepared"."""

    who: str
    kind: str
    open_for: timedelta | None
    xids: int | None


@dataclass(frozen=True, slots=True)
class Table:
    """One of our tables in the server's statistics."""

    name: str
    live: int
    dead: int
    bytes: int
    vacuumed_ago: timedelta | None


@dataclass(frozen=True, slots=True)
class Days:
    """The history under one parent, in days from today."""

    parent: str
    oldest: int
    reaches: int
    """The last day without a gap from today on; -1 where today's is missing."""


@dataclass(frozen=True, slots=True)
class Expired:
    """Locks that no sweep has given away."""

    locks: int
    jobs: int
    late: timedelta


@dataclass(frozen=True, slots=True)
class Overdue:
    """Running jobs of one name whose code goes on past its deadline."""

    name: str
    jobs: int
    late: timedelta


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queue whose oldest ready job waits, and who serves it."""

    queue: str
    jobs: int
    waited: timedelta
    name: str
    """Of the oldest."""
    paused: bool
    workers: int
    slots: int
    running: int


@dataclass(frozen=True, slots=True)
class WaitingName:
    """Jobs of one name that wait, the deployment that defined it, and whether people paused it."""

    name: str
    jobs: int
    deployment: str | None
    paused: bool


BACKEND = Statement("diagnosis/backend", Backend)
SERVER = Statement("diagnosis/server", Server)
IDENTITY = Statement("diagnosis/identity", Identity)
ROLE = Statement("diagnosis/role", Role)
ECHO = Statement("diagnosis/echo", Yes)
HOLDERS = Statement("diagnosis/holders", Holder)
TABLES = Statement("diagnosis/tables", Table)
DAYS = Statement("diagnosis/days", Days)
EXPIRED = Statement("diagnosis/expired", Expired)
OVERDUE = Statement("diagnosis/overdue", Overdue)
WAITING = Statement("diagnosis/waiting", Waiting)
NAMES = Statement("diagnosis/names", WaitingName)
NOW = Statement("jobs/now", Now)


async def server(executor: Executor) -> Server:
    """The server, this database and this connection."""
    [found] = await executor.rows(SERVER)
    return found


async def identity(executor: Executor) -> Identity:
    """Which database this is; `DatabaseTrouble` of kind DENIED where the role may not ask."""
    [found] = await executor.rows(IDENTITY)
    return found


async def role(executor: Executor) -> Role:
    """What the role of this connection may do."""
    [found] = await executor.rows(ROLE)
    return found


async def round_trip(session: Session) -> timedelta:
    """How long the smallest question takes, the median of five."""
    taken = []
    for _ in range(ROUND_TRIPS):
        began = time.perf_counter()
        await session.rows(BACKEND)
        taken.append(time.perf_counter() - began)
    return timedelta(seconds=median(taken))


async def clock_ahead(session: Session) -> timedelta:
    """How far the time of record is ahead of this machine's, half a round trip allowed for."""
    began = datetime.now(UTC)
    [found] = await session.rows(NOW)
    ended = datetime.now(UTC)
    return found.now - (began + (ended - began) / 2)


async def echo(direct: Session, through: Executor) -> timedelta | None:
    """How long a notification takes that is sent by the one and heard on the other; None where none comes."""
    channel, heard = f"pillars_doctor_{uuid4().hex}", anyio.Event()

    def hear(*_: object) -> None:
        heard.set()

    await direct.listen(channel, hear)
    began = time.perf_counter()
    await through.rows(ECHO, channel)
    with anyio.move_on_after(ECHO_PATIENCE):
        await heard.wait()
    if not direct.closed:
        await direct.unlisten(channel, hear)
    return timedelta(seconds=time.perf_counter() - began) if heard.is_set() else None


async def holders(executor: Executor) -> list[Holder]:
    """Who keeps vacuum from removing dead rows, the oldest first."""
    return await executor.rows(HOLDERS)


async def tables(executor: Executor) -> list[Table]:
    """Our tables with the most dead rows."""
    return await executor.rows(TABLES)


async def days(executor: Executor) -> list[Days]:
    """How far the days of history reach."""
    return await executor.rows(DAYS)


async def expired(executor: Executor, *, longer_than: timedelta) -> Expired:
    """Locks that expired longer ago than that."""
    [found] = await executor.rows(EXPIRED, longer_than)
    return found


async def overdue(executor: Executor, *, longer_than: timedelta) -> list[Overdue]:
    """Jobs that run on longer than that past their deadline, by name."""
    return await executor.rows(OVERDUE, longer_than, timeout=PATIENCE)


async def waiting(executor: Executor, *, longer_than: timedelta) -> list[Waiting]:
    """Queues whose oldest ready job waits longer than that."""
    return await executor.rows(WAITING, longer_than, FRESH, timeout=PATIENCE)


async def names(executor: Executor) -> list[WaitingName]:
    """The names of jobs that wait."""
    return await executor.rows(NAMES, timeout=PATIENCE)
