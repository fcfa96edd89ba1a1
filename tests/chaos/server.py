"""A Postgres of the suite's own that is crashed and cut off, and loses nothing by the death of a process."""

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from chaos import recording
from pillars import embedded
from pillars.store import migrate
from pillars.store.pool import Address
from process.pillar import ROOT
from support import ask, until

SETTINGS = {
    **embedded.DEV_SETTINGS,
    "fsync": "off",  # here processes die, and the machine does not: what the kernel was given is kept
    "max_wal_size": "4GB",
}
CHECKPOINTER = "select pid from pg_stat_activity where backend_type = 'checkpointer'"
END_ALL = """
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()
"""
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(frozen=True, slots=True)
class Server:
    """A migrated database that notes what happens to each job, and the means to hurt its server."""

    url: str

    async def crash(self) -> bool:
        """Kill a process of the server, which then ends all others and recovers from its log. False where it is down already."""
        with suppress(*LOST):
            os.kill(await ask(self.url, CHECKPOINTER), signal.SIGKILL)
            return True
        return False

    async def cut_all(self) -> int:
        """End every connection; returns how many."""
        with suppress(*LOST):
            return int(await ask(self.url, END_ALL))
        return 0

    async def answers(self) -> bool:
        with suppress(*LOST):
            return bool(await ask(self.url, "select true"))
        return False


@contextmanager
def place() -> Iterator[Path]:
    """An empty folder that Postgres's user can pass when we are root, for the block."""
    with tempfile.TemporaryDirectory(prefix="pillars-chaos-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    cluster = embedded.cluster(folder, settings=SETTINGS)
    try:
        with embedded.start(cluster) as server:
            yield server.url
    finally:
        embedded.reset(cluster)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Server]:
    """A server of its own for the block."""
    with _cluster(folder) as url:
        await migrate.migrate(
            Address(url), [*migrate.of_runtime(), *migrate.in_folder("app", ROOT / "sql" / "app")]
        )
        await recording.note_all(url)
        server = Server(url)
        yield server
        await until(server.answers)
