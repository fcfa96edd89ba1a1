"""Give a keeper its orders: start Postgres on a cluster, or take over one whose keeper died."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

from pillars.embedded import binaries as programs, layout
from pillars.embedded.accounts import Account, servant
from pillars.embedded.clusters import Cluster
from pillars.embedded.keeper import Orders
from pillars.embedded.locks import held, opened
from pillars.embedded.sockets import make_socket_folder
from pillars.errors import DatabaseTrouble, Trouble

__all__ = ["adopt", "keeper_pid", "last_words", "launch"]

KEEPER = Path(__file__).with_name("keeper.py")
LOG_LIMIT = 8_000_000  # bytes; a log that has grown longer is put aside at the next start
LAST_WORDS = 5  # lines of the log that go into an error


def launch(cluster: Cluster, *, deadline: float) -> int:
    """Have a new keeper start Postgres, on a new cluster if there is none; where its words begin in the log.

    The caller holds the lock, and has seen that there is neither a keeper nor a server.
    """
    server = servant(cluster.user, data=cluster.data)
    binaries = cluster.binaries
    if not server.reaches(binaries / "postgres"):
        binaries = programs.runnable(binaries, beside=cluster.root / layout.COPIES)
    if not cluster.data.exists():
        layout.initialise(cluster, binaries=binaries, server=server, deadline=deadline)
    layout.open_to_owner(cluster, server=server)
    make_socket_folder(cluster.door.folder, owner=server)
    _put_aside(cluster.log)
    _put_aside(cluster.keeper_log)
    begins = cluster.log.stat().st_size if cluster.log.exists() else 0
    argv = [str(binaries / "postgres"), "-D", str(cluster.data), *_settings(cluster)]
    _spawn(cluster, argv, server=server, patience=max(deadline - time.monotonic(), 1))
    return begins


def adopt(cluster: Cluster, pid: int) -> None:
    """Have a new keeper watch over a server that outlived its own."""
    _spawn(cluster, [], server=servant(cluster.user, data=cluster.data), patience=0, adopt=pid)


def keeper_pid(path: Path) -> int | None:
    """The pid of the living keeper that holds the lock `path`; None when there is none."""
    if not held(path):
        return None
    said = path.read_text()
    return int(said) if said.isdigit() else None


def last_words(cluster: Cluster, since: int | None) -> str:
    """The last lines that the server wrote after the place `since`; the keeper's last where it wrote nothing."""
    for log, begin in ((cluster.log, since or 0), (cluster.keeper_log, 0)):
        if log.exists():
            with log.open("rb") as file:
                file.seek(max(begin, log.stat().st_size - 10_000))
                lines = file.read().decode(errors="replace").strip().splitlines()
            if lines:
                return "\n".join(["", *lines[-LAST_WORDS:]])
    return "it wrote none"


def _settings(cluster: Cluster) -> list[str]:
    door = cluster.door
    settings = {"shared_preload_libraries": "pg_stat_statements"}
    if not programs.has_library(cluster.binaries, "pg_stat_statements"):
        settings.clear()
    settings |= cluster.settings
    # Last, so that no setting opens the server to others. Messages in English: the keeper reads one.
    settings |= {
        "listen_addresses": "127.0.0.1" if cluster.port else "",
        "port": str(door.port),
        "unix_socket_directories": str(door.folder),
        "unix_socket_permissions": "0700",
        "lc_messages": "C",
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _spawn(
    cluster: Cluster,
    argv: list[str],
    *,
    server: Account,
    patience: float,
    adopt: int | None = None,
) -> None:
    # The lock is ours before there is a keeper, and the keeper's by inheritance: nobody ever sees it free between.
    lock = opened(cluster.keeper)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        orders = Orders(
            held=lock,
            argv=argv,
            environment=layout.ENVIRONMENT,
            uid=None if server.is_us else server.uid,
            gid=None if server.is_us else server.gid,
            log=str(cluster.log),
            lock_files=[str(cluster.data / "postmaster.pid"), f"{cluster.door.socket}.lock"],
            lock=str(cluster.lock),
            users=str(cluster.users),
            idle=cluster.idle.total_seconds(),
            patience=patience,
            adopt=adopt,
        )
        with os.fdopen(
            os.open(cluster.keeper_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "wb"
        ) as log:
            done = subprocess.run(  # noqa: S603 - the program is our own
                [sys.executable, "-I", "-S", str(KEEPER), orders.written()],
                check=False,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock],
                start_new_session=True,
            )
    finally:
        os.close(lock)
    if done.returncode:
        raise DatabaseTrouble(
            Trouble.UNREACHABLE,
            f"the keeper of Postgres did not start, status {done.returncode}; see {cluster.keeper_log}",
        )


def _put_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_name(f"{log.name}.old"))
