"""One fresh Postgres for a run, as durable as in production, and a database for each measurement."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from bench.raw import statements
from pillars import embedded
from pillars.store import migrate
from pillars.store.pool import Address

SETTINGS = {
    **embedded.DEV_SETTINGS,
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",  # no checkpoint in the middle of one contender's turn
    "shared_preload_libraries": "pg_stat_statements",
}
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Server:
    """The server of a run, which answers with its databases."""

    url: str
    postmaster: int
    """Its process id."""

    @asynccontextmanager
    async def database(self) -> AsyncIterator["Database"]:
        """An empty database with the runtime's schema and the raw loop's, gone at the end of the block."""
        name = f"bench_{next(_numbers)}"
        admin = await asyncpg.connect(self.url)
        await admin.execute("checkpoint")
        await admin.execute(f"create database {name}")
        url = urlsplit(self.url)._replace(path=f"/{name}").geturl()
        try:
            await migrate.migrate(Address(url), migrate.of_runtime())
            connection = await asyncpg.connect(url)
            await connection.execute(statements()["create"])
            await connection.execute("create extension pg_stat_statements")
            yield Database(url, connection, self)
            await connection.close()
        finally:
            await admin.execute(f"drop database {name} with (force)")
            await admin.close()


@dataclass(frozen=True, slots=True)
class Database:
    """One database, with a connection for questions about it."""

    url: str
    connection: Any
    server: Server

    async def ask(self, question: str, *args: object) -> Any:
        return await self.connection.fetchval(question, *args)

    async def settle(self) -> None:
        """Statistics that are true. No checkpoint: full-page images would be the next contender's to pay."""
        await self.connection.execute("analyze")


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """A Postgres of its own in `folder`."""
    cluster = embedded.cluster(folder, settings=SETTINGS)
    with embedded.start(cluster) as started:
        pid = int((cluster.data / "postmaster.pid").read_text().split("\n", 1)[0])
        yield Server(started.url, pid)
    embedded.stop(cluster)


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
