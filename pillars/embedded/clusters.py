"""Where one embedded Postgres lives, and how it is run."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from pillars.embedded import binaries as programs
from pillars.embedded.accounts import servant
from pillars.embedded.sockets import socket_folder
from pillars.embedded.wire import PORT, Door
from pillars.errors import ConfigurationError

__all__ = ["DEV_SETTINGS", "TEST_SETTINGS", "Cluster", "cluster", "tool"]

DEV_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "max_connections": "200",
        "max_parallel_workers_per_gather": "0",  # Docker gives /dev/shm 64 MB
        "log_checkpoints": "off",  # an idle process logs nothing
    }
)

# For data that nobody will miss. Tests of crash safety need DEV_SETTINGS: here a kill may lose rows.
TEST_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",  # wal_level minimal demands it
        "autovacuum": "off",
        "checkpoint_timeout": "1h",
        "max_wal_size": "2GB",
        "max_connections": "300",
        "max_parallel_workers_per_gather": "0",
        "log_checkpoints": "off",
    }
)

DEV_IDLE = timedelta(seconds=5)  # a restart of `app dev` finds the server still warm

ROOTS_HOME = Path("/var/lib/pillars")  # for root's projects that the server's user cannot reach


@dataclass(frozen=True, slots=True)
class Cluster:
    """One embedded Postgres: a folder, the programs to run on it, and how.

    `settings` are values of postgresql.conf, `idle` is how long the server outlives its last user, `user` is the
    OS user that the server runs as when we are root, and `port` opens 127.0.0.1 with a password for GUI tools.
    Settings, port and user take effect when the server is next started.
    """

    root: Path
    binaries: Path
    settings: Mapping[str, str] = field(default_factory=lambda: DEV_SETTINGS)
    idle: timedelta = DEV_IDLE
    user: str | None = None
    wal_segment_mb: int | None = None
    port: int | None = None

    def __post_init__(self) -> None:
        # Postgres and its keeper work in other folders than ours.
        object.__setattr__(self, "root", self.root.absolute())
        object.__setattr__(self, "binaries", self.binaries.absolute())

    @property
    def major(self) -> int:
        """The major version of the programs: 18."""
        return programs.major(self.binaries)

    @property
    def home(self) -> Path:
        """The folder of this major version, so that two never meet."""
        return self.root / f"pg{self.major}"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.home / "log"

    @property
    def keeper(self) -> Path:
        """Locked by the keeper for as long as it lives; holds its pid."""
        return self.home / "keeper"

    @property
    def keeper_log(self) -> Path:
        return self.root / "keeper.log"

    @property
    def lock(self) -> Path:
        """Locked by whoever is starting or stopping the server."""
        return self.root / "lock"

    @property
    def users(self) -> Path:
        """Locked, shared, by every process that uses the server."""
        return self.root / "users"

    @property
    def password(self) -> Path:
        """The file with the password for `port`; only the project's owner can read it."""
        return self.root / "password"

    @property
    def door(self) -> Door:
        """Where the server listens when it is started from here."""
        name = hashlib.sha256(f"{self.root.resolve()}:{self.major}".encode()).hexdigest()[:16]
        return Door(socket_folder(name), self.port or PORT)

    @property
    def url(self) -> str:
        """The address of database `dev`, for asyncpg and libpq alike.

        A server already started from another environment may listen elsewhere; `Server.url` knows.
        """
        return self.door.url


def cluster(
    project: Path,
    *,
    binaries: str | Path | None = None,
    settings: Mapping[str, str] = DEV_SETTINGS,
    idle: timedelta = DEV_IDLE,
    user: str | None = None,
    port: int | None = None,
) -> Cluster:
    """Describe the development cluster of the project in the folder `project`; touches nothing.

    Its root is `.pillars` in there, or, where root's server user cannot reach that, a folder in /var/lib/pillars.
    """
    root = project.resolve() / ".pillars"
    if os.geteuid() == 0 and not servant(user, data=root / "nothing").reaches(root.parent):
        mark = hashlib.sha256(str(root).encode()).hexdigest()[:8]
        root = ROOTS_HOME / f"{root.parent.name}-{mark}"
    return Cluster(
        root,
        programs.find_binaries(binaries),
        settings=settings,
        idle=idle,
        user=user,
        port=port,
    )


def tool(cluster: Cluster, name: str) -> Path:
    """The path of a client program of the cluster's own version: psql, pg_dump, pgbench."""
    path = cluster.binaries / name
    if not os.access(path, os.X_OK):
        there = ", ".join(sorted(program.name for program in cluster.binaries.iterdir()))
        raise ConfigurationError(f"no program {name!r} in {cluster.binaries}; there are: {there}")
    return path
