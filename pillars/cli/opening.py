"""What a command of operators works on: the settings, and a database that is ready."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from pillars import log
from pillars.cli.postgres import Postgres, make_ready, postgres
from pillars.jobs.connected import using
from pillars.settings import Settings, load, redaction
from pillars.store.database import Database

T = TypeVar("T")

CONNECTIONS = 2  # of a command: it asks one thing after another


@dataclass(frozen=True, slots=True)
class Opened:
    """Settings and an open database, for the length of a command."""

    settings: Settings
    database: Database


def run(work: Callable[[Opened], Awaitable[T]], *, command: str) -> T:
    """Run one coroutine on the database of these settings and return what it returns.

    In dev the database is started and migrated first; in production a schema that is behind is a `SchemaError`.
    """
    settings = load(command=command)
    redaction.hide(settings)
    log.configure_later(level=settings.log_level, format=settings.log_format)
    with postgres(settings) as found:
        return anyio.run(_within, work, settings, found)


async def _within(work: Callable[[Opened], Awaitable[T]], settings: Settings, found: Postgres) -> T:
    await make_ready(settings, found)
    database = Database(
        found.url,
        direct_url=found.direct_url,
        size=CONNECTIONS,
        role="command",
        revive=found.revive,
    )
    async with using(database):
        return await work(Opened(settings, database))
