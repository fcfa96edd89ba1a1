"""Numbered SQL files, applied once each, in order, by however many processes at once."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import anyio

from pillars.errors import ConfigurationError, DatabaseTrouble, SchemaError, Trouble
from pillars.settings import masked_url
from pillars.store import statements
from pillars.store.pool import Address, Session
from pillars.store.rows import Applied, Made, Yes
from pillars.store.statements import Nothing, Statement

Track = Literal["pillars", "app"]

EXISTS = Statement("ledger/exists", Yes)
APPLIED = Statement("ledger/applied", Applied)
RECORD = Statement("ledger/record", Nothing)
TAKE_TURN = Statement("ledger/take_turn", Yes)
HOLD_TURN = Statement("ledger/hold_turn", Yes)
END_TURN = Statement("ledger/end_turn", Yes)
BE_BRIEF = Statement("ledger/be_brief", Nothing)
MAKE_DAYS = Statement("history/make_days", Made)

FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql", re.ASCII)
LEAST_POSTGRES = 14
OUTSIDE = "-- outside a transaction"
LONGEST = timedelta(hours=1)  # one migration; a rewrite of a large table takes its time
TURN = timedelta(minutes=10)  # how long to wait for another process that migrates
TURN_PAUSE = 0.1  # seconds between tries


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of a track."""

    track: Track
    version: int
    name: str
    sql: str

    @property
    def title(self) -> str:
        return f"{self.track} {self.name}"

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def outside(self) -> bool:
        """Whether it holds one statement that Postgres refuses inside a transaction."""
        return self.sql.startswith(OUTSIDE)


def of_runtime() -> list[Migration]:
    """The runtime's own migrations."""
    return in_folder("pillars", statements.folder() / "migrations")


def in_folder(track: Track, folder: Path) -> list[Migration]:
    """The migrations of a folder, in order; a missing folder has none. Raises `ConfigurationError` for a file out of order."""
    for fault in faults_in(folder):
        raise ConfigurationError(fault)
    return [
        Migration(track, version, path.stem, path.read_text("utf-8"))
        for path, version in _numbered(folder)
        if version is not None
    ]


def faults_in(folder: Path) -> Iterator[str]:
    """What keeps the files of a folder from being migrations."""
    expected = 1
    for path, version in _numbered(folder):
        if version is None:
            yield f"{path}: expected a name such as 0001_orders.sql"
            continue
        if version != expected:
            yield f"{folder}: expected {expected:04} next, got {path.name}; number without gaps"
        expected = version + 1


def _numbered(folder: Path) -> list[tuple[Path, int | None]]:
    """The SQL files of a folder in order, each with its number, None where it has none."""
    matched = [(path, FILE.fullmatch(path.name)) for path in sorted(folder.glob("*.sql"))]
    return [(path, int(match[1]) if match else None) for path, match in matched]


async def pending(session: Session, migrations: Sequence[Migration]) -> list[Migration]:
    """The migrations that this database lacks.

    Raises `SchemaError` where it has one that the code does not know, or has it with another content.
    """
    [exists] = await session.rows(EXISTS)
    applied = await session.rows(APPLIED) if exists.yes else []
    known = {(str(one.track), one.version): one for one in migrations}
    for row in applied:
        _check(row, known.get((row.track, row.version)))
    have = {(row.track, row.version) for row in applied}
    return [one for one in migrations if (one.track, one.version) not in have]


async def migrate(address: Address, migrations: Sequence[Migration]) -> list[Migration]:
    """Apply what is missing and make the history's next days; returns what this process applied.

    Safe for any number of processes at once. Raises `SchemaError`, or `DatabaseTrouble` with the migration's name.
    """
    session = await address.connect()
    try:
        _require_version(session)
        async with _turn(session):
            await session.script(statements.text("ledger/prepare"), timeout=LONGEST)
        missing = await pending(session, migrations)
        _require_session(session, missing, address)
        done = [one for one in missing if await _apply(session, one, migrations)]
        await session.rows(MAKE_DAYS)
    finally:
        await session.close()
    return done


async def require(session: Session, migrations: Sequence[Migration]) -> None:
    """Raise `SchemaError`, with the command that helps, unless the database has every migration."""
    _require_version(session)
    missing = await pending(session, migrations)
    if missing:
        names = ", ".join(one.title for one in missing)
        raise SchemaError(
            f"the database lacks {len(missing)} migrations ({names}); run: app migrate"
        )


def _require_version(session: Session) -> None:
    found = session.connection.get_server_version()
    if found.major < LEAST_POSTGRES:
        raise SchemaError(
            f"the server is Postgres {found.major}.{found.minor}; expected {LEAST_POSTGRES} or newer: upgrade it"
        )


def _check(row: Applied, migration: Migration | None) -> None:
    if migration is None:
        raise SchemaError(
            f"the database is newer than this code: it has {row.track} {row.name}, which this release lacks; deploy the release that has it"
        )
    if migration.checksum != row.checksum:
        raise SchemaError(
            f"{migration.title}.sql was changed after this database applied it; "
            "restore the file and add a new one (a development database: app db reset)"
        )


def _require_session(session: Session, missing: Sequence[Migration], address: Address) -> None:
    """Refuse what needs a session of its own where a pooler gives none."""
    outside = [one.title for one in missing if one.outside]
    if outside and session.pooled:
        raise ConfigurationError(
            f"migration {outside[0]} runs outside a transaction and needs a server to itself, and {masked_url(address.url)} is a pooler; "
            "set DATABASE_DIRECT_URL to the server, and run app migrate again"
        )


async def _apply(session: Session, migration: Migration, all_known: Sequence[Migration]) -> bool:
    """Apply one migration unless another process has meanwhile; returns whether this one did."""
    try:
        if migration.outside:
            return await _apply_outside(session, migration, all_known)
        async with _turn(session):
            if migration not in await pending(session, all_known):
                return False
            await session.rows(BE_BRIEF)
            await session.script(migration.sql, timeout=LONGEST)
            await _record(session, migration)
    except DatabaseTrouble as trouble:
        raise DatabaseTrouble(
            trouble.kind,
            f"migration {migration.title} failed: {trouble}",
            sqlstate=trouble.sqlstate,
        ) from trouble
    return True


async def _apply_outside(
    session: Session, migration: Migration, all_known: Sequence[Migration]
) -> bool:
    async with held_turn(session):
        if migration not in await pending(session, all_known):
            return False
        await session.script(migration.sql, timeout=LONGEST)
        await _record(session, migration)
    return True


@asynccontextmanager
async def held_turn(session: Session) -> AsyncIterator[None]:
    """Alone among the sessions of this database that migrate, for statements that run outside a transaction."""
    await _until_yes(session, HOLD_TURN)
    try:
        yield
    finally:
        if not session.closed:
            await session.rows(END_TURN)


async def _record(session: Session, migration: Migration) -> None:
    await session.rows(
        RECORD, migration.track, migration.version, migration.name, migration.checksum
    )


@asynccontextmanager
async def _turn(session: Session) -> AsyncIterator[None]:
    """A transaction that alone migrates this database."""
    latest = anyio.current_time() + TURN.total_seconds()
    while anyio.current_time() < latest:
        async with session.transaction():
            [turn] = await session.rows(TAKE_TURN)
            if turn.yes:
                yield
                return
        await anyio.sleep(TURN_PAUSE)
    raise _no_turn()


async def _until_yes(session: Session, statement: Statement[Yes]) -> None:
    latest = anyio.current_time() + TURN.total_seconds()
    while not (await session.rows(statement))[0].yes:
        if anyio.current_time() > latest:
            raise _no_turn()
        await anyio.sleep(TURN_PAUSE)


def _no_turn() -> DatabaseTrouble:
    return DatabaseTrouble(
        Trouble.CONFLICT,
        f"another process has been migrating this database for over {TURN}; see pg_stat_activity",
    )
