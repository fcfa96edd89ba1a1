"""A real PgBouncer before a test's database."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import anyio
import anyio.to_thread
import asyncpg

from pillars.embedded import accounts
from support import until

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
SETTINGS = {
    "listen_addr": "127.0.0.1",
    "unix_socket_dir": "",
    "auth_type": "any",
    "pool_mode": "transaction",
    "default_pool_size": "2",
    "server_round_robin": "1",  # or a quiet pool gives a client the server it had before
    "server_login_retry": "0.2",
    "query_wait_timeout": "10",
}


class Pooler:
    """One PgBouncer on loopback; it can be ended, killed and started again at its place."""

    def __init__(self, folder: Path, db: str, settings: dict[str, str]) -> None:
        self._account = accounts.servant(None, data=folder / "none")
        self._file = folder / "pgbouncer.ini"
        self._log = folder / "pgbouncer.log"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://app@127.0.0.1:{self._port}{urlsplit(db).path}"
        given = SETTINGS | {"listen_port": str(self._port), "logfile": str(self._log)} | settings
        lines = [f"{name} = {value}" for name, value in given.items()]
        self._file.write_text(
            "\n".join(["[databases]", f"* = {_place(db)}", "[pgbouncer]", *lines, ""])
        )
        for path in (folder, self._file):
            os.chown(path, self._account.uid, self._account.gid)

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def start(self) -> None:
        """Start it, and return once a query has come through."""
        self._process = await anyio.to_thread.run_sync(self._spawn)
        await until(self._answers)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        """It refuses to run as root."""
        us = self._account.is_us
        return subprocess.Popen(
            [PROGRAM, "-q", str(self._file)],
            user=None if us else self._account.uid,
            group=None if us else self._account.gid,
            extra_groups=None if us else [],
        )

    def kill(self) -> None:
        """End it at once, as kill -9 does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Let clients wait, as for a database that is away."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let what was sent meanwhile be done."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url, statement_cache_size=0)
        except OSError:
            return False
        try:
            return bool(await connection.fetchval("select true"))
        finally:
            await connection.close()


@asynccontextmanager
async def pooler(db: str, **settings: object) -> AsyncIterator[Pooler]:
    """PgBouncer before `db` for the block: two servers in transaction mode, unless `settings` say otherwise."""
    with _folder() as folder:
        started = Pooler(folder, db, {name: str(value) for name, value in settings.items()})
        try:
            await started.start()
            yield started
        finally:
            started.kill()


@contextmanager
def _folder() -> Iterator[Path]:
    """One that the account which runs it can reach; pytest's own cannot be passed by others."""
    folder = Path(tempfile.mkdtemp(prefix="pillars-pooler-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _place(db: str) -> str:
    """Where the server is, as `[databases]` says it."""
    parts = urlsplit(db)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    place = {
        "host": query.get("host") or parts.hostname or "127.0.0.1",
        "port": query.get("port") or str(parts.port or 5432),
        "user": unquote(parts.username or "postgres"),
        "password": unquote(parts.password or ""),
    }
    return " ".join(f"{name}={value}" for name, value in place.items() if value)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
