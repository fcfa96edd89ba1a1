"""Numbered SQL files, applied once each, in order, by however many processes at once."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import anyio

from pillars import log
from pillars.durations import words
from pillars.errors import ConfigurationError, DatabaseTrouble, SchemaError, Trouble
from pillars.settings import masked_url
from pillars.store import statements
from pillars.store.pool import Address
from pillars.store.rows import Applied, Invalid, Made, Yes
from pillars.store.session import APPLICATION_COMMIT, Session
from pillars.store.statements import Nothing, Statement

Track = Literal["pillars", "app"]

EXISTS = Statement("ledger/exists", Yes)
APPLIED = Statement("ledger/applied", Applied)
RECORD = Statement("ledger/record", Nothing)
TAKE_TURN = Statement("ledger/take_turn", Yes)
HOLD_TURN = Statement("ledger/hold_turn", Yes)
END_TURN = Statement("ledger/end_turn", Yes)
HOLD_OFF_VACUUM = Statement("ledger/hold_off_vacuum", Nothing)
BE_BRIEF = Statement("ledger/be_brief", Yes)
INVALID = Statement("ledger/invalid", Invalid)
MAKE_DAYS = Statement("history/make_days", Made)

FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql", re.ASCII)
LEAST_POSTGRES = 14
OUTSIDE = "-- outside a transaction"
LONGEST = timedelta(hours=1)  # one migration; a rewrite of a large table takes its time
TURN = timedelta(minutes=10)  # how long to wait for another process that migrates
TURN_PAUSE = 0.1  # seconds between tries
# Everybody who comes after a migration that waits for a table waits behind it, claims too: many short tries, and room between them.
PATIENCE = timedelta(minutes=1)  # for the locks of one migration
LOCK_PAUSE = 1.0  # seconds between tries
# An autovacuum gives way only to who has waited for a second (deadlock_timeout). The runtime's tables are kept from it beforehand.
LOCK_WAIT: Mapping[Track, timedelta] = MappingProxyType(
    {"pillars": timedelta(milliseconds=500), "app": timedelta(seconds=2)}
)
NOT_NOW = {"40P01", "55P03"}  # a deadlock, a lock that did not come: nothing is left of the try


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


async def migrate(
    address: Address, migrations: Sequence[Migration], *, patience: timedelta = PATIENCE
) -> list[Migration]:
    """Apply what is missing and make the history's next days; returns what this process applied.

    Safe for any number of processes at once, and while jobs run; `patience` is for the locks of each migration.
    Raises `SchemaError`, or `DatabaseTrouble` with the migration's name.
    """
    session = await address.connect()
    try:
        _require_version(session)
        async with _turn(session):
            await session.script(statements.text("ledger/prepare"), timeout=LONGEST)
        missing = await pending(session, migrations)
        _require_session(session, missing, address)
        done = [one for one in missing if await _apply(session, one, migrations, patience)]
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


async def _apply(
    session: Session, migration: Migration, all_known: Sequence[Migration], patience: timedelta
) -> bool:
    """Apply one migration unless another process has meanwhile; returns whether this one did."""
    latest = anyio.current_time() + patience.total_seconds()
    delayed = False
    while True:
        try:
            if migration.outside:
                return await _apply_outside(session, migration, all_known)
            return await _apply_within(session, migration, all_known)
        except DatabaseTrouble as trouble:
            if trouble.sqlstate not in NOT_NOW or migration.outside:
                raise _named(migration, str(trouble), trouble) from trouble
            if anyio.current_time() >= latest:
                said = f"{trouble}, tried for {words(patience)}; end the transaction that holds its table (app doctor shows long ones) and run app migrate again"
                raise _named(migration, said, trouble) from trouble
            if not delayed:
                _tell_delay(migration, trouble, patience)
            delayed = True
        await anyio.sleep(LOCK_PAUSE)


def _named(migration: Migration, said: str, trouble: DatabaseTrouble) -> DatabaseTrouble:
    return DatabaseTrouble(
        trouble.kind, f"migration {migration.title} failed: {said}", sqlstate=trouble.sqlstate
    )


def _tell_delay(migration: Migration, trouble: DatabaseTrouble, patience: timedelta) -> None:
    log.get("pillars.migrate").warning(
        log.Event.MIGRATION_DELAYED,
        migration=migration.title,
        error=str(trouble),
        tries_for_s=patience.total_seconds(),
    )


async def _apply_within(
    session: Session, migration: Migration, all_known: Sequence[Migration]
) -> bool:
    async with _turn(session):
        if migration not in await pending(session, all_known):
            return False
        if migration.track == "pillars":
            await session.rows(HOLD_OFF_VACUUM, timeout=LONGEST)
        await session.rows(BE_BRIEF, words(LOCK_WAIT[migration.track]))
        await _run(session, migration)
        await _record(session, migration)
    return True


async def _apply_outside(
    session: Session, migration: Migration, all_known: Sequence[Migration]
) -> bool:
    async with held_turn(session):
        if migration not in await pending(session, all_known):
            return False
        await _run(session, migration)
        for left in await session.rows(INVALID, migration.sql):
            raise SchemaError(
                f"migration {migration.title} finds the index {left.name} of a build that did not end; "
                f"run: drop index concurrently {left.name}, then app migrate again"
            )
        await _record(session, migration)
    return True


async def _run(session: Session, migration: Migration) -> None:
    """An app's migration finds its names on the role's own search_path, ours on none but Postgres's."""
    if migration.track == "app":
        await session.lend_names()
    await session.script(migration.sql, timeout=LONGEST)
    if migration.track == "app":
        await session.take_names_back()


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
        async with session.transaction(committing=APPLICATION_COMMIT):
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
