"""Postgres servers that are copied from one another, promoted, and lost."""

import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from pooling import free_port

from chaos import recording
from pillars.embedded import accounts, binaries as programs
from pillars.embedded.layout import ENVIRONMENT
from pillars.store import migrate
from pillars.store.pool import Address
from process.pillar import ROOT
from support import ask, asking, until

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # here processes die, and the machine does not
    "max_wal_size": "4GB",
    "shared_buffers": "64MB",
    "hot_standby": "on",
    "wal_retrieve_retry_interval": "200ms",
}
STREAMS = "select exists (select from pg_stat_replication where state = 'streaming')"
SYNCHRONOUS = "select exists (select from pg_stat_replication where sync_state = 'sync')"
OF_OURS = """
    select count(*) from pg_stat_activity where backend_type = 'client backend' and application_name like 'pillars%'
"""
GONE = 20.0  # seconds; a hang limit


class Node:
    """One server on loopback, at the same port for as long as the block of `nodes`."""

    def __init__(self, folder: Path, name: str, settings: Mapping[str, str]) -> None:
        self.data = folder / name
        self.port = free_port()
        self._log = folder / f"{name}.postgres"
        self.account = accounts.servant(None, data=self.data)
        self._settings = {**SETTINGS, **settings}
        found = programs.find_binaries()
        if not self.account.reaches(found / "postgres"):
            found = programs.runnable(found, beside=folder / "binaries")
        self._binaries = found
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"postgresql://app@{self.place}/dev"

    async def make(self) -> None:
        """Begin with a migrated database that notes what happens to each job."""
        await self._run("initdb", "-D", str(self.data), "-U", "app", "-A", "trust", "-N")
        await self.start()
        await ask(f"postgresql://app@{self.place}/postgres", "create database dev")
        await migrate.migrate(
            Address(self.url),
            [*migrate.of_runtime(), *migrate.in_folder("app", ROOT / "sql" / "app")],
        )
        await recording.note_all(self.url)

    async def follow(self, other: "Node", *, port: int | None = None) -> None:
        """Begin as a copy of `other`, and stream from it by way of `port`; what was here is gone."""
        shutil.rmtree(self.data, ignore_errors=True)
        await self._run(
            "pg_basebackup", "-D", str(self.data), "-R", "-c", "fast", "-X", "stream",
            "-d", f"postgresql://app@127.0.0.1:{port or other.port}/dev",
        )  # fmt: skip
        await self.start()
        await until(lambda: ask(other.url, STREAMS))

    async def wait_for_standby(self, commits: str) -> None:
        """From here on acknowledge nothing that a standby does not have, too."""
        await self.set("synchronous_commit", commits)
        await self.set("synchronous_standby_names", "*")
        await until(lambda: ask(self.url, SYNCHRONOUS))

    async def promote(self) -> None:
        """Take writes, and wait for no standby."""
        await ask(self.url, "select pg_promote(true)")
        await self.set("synchronous_standby_names", "")

    async def set(self, name: str, value: str) -> None:
        """Of the server, for every transaction from here on."""
        async with asking(self.url) as connection:
            await connection.execute("set default_transaction_read_only = off")
            await connection.execute(f"alter system set {name} = '{value}'")
            await connection.execute("select pg_reload_conf()")

    async def start(self) -> None:
        self._process = await anyio.to_thread.run_sync(self._spawned)
        await until(self.answers)

    def _spawned(self) -> "subprocess.Popen[bytes]":
        words = [word for pair in self._settings.items() for word in ("-c", "=".join(pair))]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [str(self._binaries / "postgres"), "-D", str(self.data), "-p", str(self.port), *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT, **self._identity,
            )  # fmt: skip

    async def answers(self) -> bool:
        return await anyio.to_thread.run_sync(self._is_ready)

    async def stop(self) -> None:
        """At once, as if the machine had lost its power: nothing is written any more."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            with anyio.fail_after(GONE):
                await anyio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)
            self._process = None

    async def recovered(self) -> bool:
        """Whether it answers, started again where it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            await self.start()
        return await self.answers()

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()

    def _is_ready(self) -> bool:
        words = [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(words, check=False, env=ENVIRONMENT).returncode == 0

    async def _run(self, program: str, *words: str) -> None:
        await anyio.to_thread.run_sync(
            partial(
                subprocess.run, [str(self._binaries / program), *words],
                check=True, env=ENVIRONMENT, cwd=self.data.parent, stdout=subprocess.DEVNULL, umask=0o077, **self._identity,
            )
        )  # fmt: skip

    @property
    def _identity(self) -> dict[str, Any]:
        """Postgres refuses to run as root."""
        if self.account.is_us:
            return {}
        return {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """Have what is under an empty folder share so little room, for the block; False where we may not mount."""
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "tmpfs", str(folder)]
    mounted = subprocess.run(mounting, check=False, stderr=subprocess.DEVNULL).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@asynccontextmanager
async def nodes(folder: Path, **settings: str) -> AsyncIterator[tuple[Node, Node]]:
    """Two servers for the block, of which the first has a database and the second nothing yet."""
    home = folder / "servers"
    home.mkdir(exist_ok=True)
    one, other = (Node(home, name, settings) for name in ("one", "other"))
    shutil.chown(home, one.account.uid, one.account.gid)
    try:
        await one.make()
        yield one, other
    finally:
        one.kill()
        other.kill()
