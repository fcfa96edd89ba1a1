"""What the doctor looks at: this code, its settings, and two connections to its database."""

import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from pillars.cli import checking
from pillars.cli.checking import Report
from pillars.cli.postgres import Postgres
from pillars.errors import DatabaseTrouble
from pillars.registry import Registry
from pillars.settings import Settings
from pillars.store import migrate, workers
from pillars.store.pool import Address
from pillars.store.rows import ProcessRow
from pillars.store.session import Session

NAME = "pillars doctor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """This code, as `app check` sees it."""

    report: Report
    registry: Registry
    took: timedelta


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection, or why there is none."""

    session: Session | None
    trouble: str = ""

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """All that checks may look at. Ask `database`, `direct` and `processes` only for what `Needs` says is there."""

    settings: Settings
    code: Code
    url: str | None
    direct_url: str | None
    through: Connection
    """By DATABASE_URL, as enqueues and claims go."""
    straight: Connection
    """By DATABASE_DIRECT_URL, as LISTEN, leader and migrations go."""
    no_schema: str
    """Why the schema cannot be asked; empty where it can."""
    processes: tuple[ProcessRow, ...]
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def database(self) -> Session:
        return _there(self.through)

    @property
    def direct(self) -> Session:
        return _there(self.straight)

    @property
    def alive(self) -> list[ProcessRow]:
        """The processes that have been seen lately."""
        return [process for process in self.processes if process.alive]

    def of_role(self, role: str) -> list[ProcessRow]:
        """The live processes of one role."""
        return [process for process in self.alive if process.role == role]


def look_at_code(settings: Settings) -> Code:
    """Import the app, and say how long that took."""
    began = time.perf_counter()
    report, found = checking.examine(settings)
    return Code(report=report, registry=found, took=timedelta(seconds=time.perf_counter() - began))


@asynccontextmanager
async def subject(
    settings: Settings, code: Code, found: Postgres | None, trouble: str = ""
) -> AsyncIterator[Subject]:
    """Connect as far as that goes, for the block; `trouble` says why there is no Postgres."""
    through = Connection(None, trouble) if found is None else await _connected(found, found.url)
    straight = (
        Connection(None, trouble) if found is None else await _connected(found, found.direct_url)
    )
    try:
        no_schema, processes = await _schema(through.session)
        yield Subject(
            settings=settings,
            code=code,
            url=found.url if found else None,
            direct_url=found.direct_url if found else None,
            through=through,
            straight=straight,
            no_schema=no_schema,
            processes=tuple(processes),
        )
    finally:
        await through.close()
        await straight.close()


async def _connected(found: Postgres, url: str) -> Connection:
    try:
        return Connection(await Address(url, NAME, found.revive).connect())
    except DatabaseTrouble as trouble:
        return Connection(None, str(trouble))


async def _schema(session: Session | None) -> tuple[str, list[ProcessRow]]:
    """Why the schema cannot be asked, and the processes that it knows."""
    if session is None:
        return "no database", []
    try:
        [exists] = await session.rows(migrate.EXISTS)
        if not exists.yes:
            return "no schema: run app migrate", []
        return "", await workers.listed(session)
    except DatabaseTrouble as trouble:
        return str(trouble), []


def _there(connection: Connection) -> Session:
    if connection.session is None:
        raise AssertionError("asked without Needs")
    return connection.session
