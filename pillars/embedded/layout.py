"""A cluster's folders and files: made, filled by initdb, opened to its owner, dropped."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pillars.embedded.accounts import Account, invoker
from pillars.embedded.clusters import ROOTS_HOME, Cluster
from pillars.embedded.locks import not_ours
from pillars.embedded.wire import ROLE
from pillars.errors import ConfigurationError, DatabaseTrouble, Trouble

__all__ = [
    "COPIES",
    "ENVIRONMENT",
    "drop",
    "homes",
    "initialise",
    "keep_password",
    "make_root",
    "open_to_owner",
]

# All that Postgres needs to know of the world; our environment may hold secrets, and a locale it lacks.
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}

COPIES = "binaries"  # the folder for programs that the server's user could not run where they are

HBA = """\
# Written by pillars each time Postgres starts.
local  all  all                peer  map=own
host   all  all  127.0.0.1/32  scram-sha-256
"""


def make_root(cluster: Cluster, *, server: Account) -> None:
    """Make the cluster's folders: ours, and passable for the server's user where that is another."""
    mode = 0o700 if server.is_us else 0o711
    if cluster.root.parent == ROOTS_HOME:
        _make(ROOTS_HOME, 0o711)
    for folder in (cluster.root, cluster.home):
        _make(folder, mode)
    if not server.reaches(cluster.home):
        raise ConfigurationError(
            f"the OS user {server.name!r}, as which root runs Postgres, cannot reach {cluster.root}; "
            "choose a folder whose parents let others through"
        )


def homes(root: Path) -> Iterator[tuple[int, Path]]:
    """The majors that have a folder in `root`, and the folders."""
    for folder in sorted(root.glob("pg*")):
        if re.fullmatch(r"pg\d+", folder.name) and folder.is_dir():
            yield int(folder.name[2:]), folder


def initialise(cluster: Cluster, *, binaries: Path, server: Account, deadline: float) -> None:
    """Make an empty cluster, whole or not at all.

    It is made beside its place and renamed: what a killed initdb leaves is never taken for a cluster.
    """
    _refuse_other_major(cluster)
    for left in cluster.home.glob("init-*"):
        shutil.rmtree(left)
    half = cluster.home / f"init-{os.getpid()}"
    half.mkdir(0o700)
    try:
        _own(half, server)
        _initdb(_command(cluster, binaries, half), server=server, deadline=deadline)
        half.rename(cluster.data)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _refuse_other_major(cluster: Cluster) -> None:
    others = [major for major, home in homes(cluster.root) if (home / "data").exists()]
    if others:
        raise ConfigurationError(
            f"{cluster.root} holds data of Postgres {others[-1]}, and these programs are {cluster.major}; "
            "drop the data with: app db reset, or first dump it with the old programs"
        )


def _command(cluster: Cluster, binaries: Path, target: Path) -> list[str]:
    # The builtin provider sorts alike on every platform; before 17 there is none, and macOS lacks C.UTF-8.
    if cluster.major >= 17:
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"]
    else:
        locale = ["--locale=C" if sys.platform == "darwin" else "--locale=C.UTF-8"]
    command = [str(binaries / "initdb"), "-N", "-D", str(target), "-U", ROLE, "-E", "UTF8", *locale]
    command += ["--auth-local=peer", "--auth-host=scram-sha-256"]
    if cluster.wal_segment_mb:
        command.append(f"--wal-segsize={cluster.wal_segment_mb}")
    return command


def _initdb(command: list[str], *, server: Account, deadline: float) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the program is initdb
            command,
            check=False,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=max(deadline - time.monotonic(), 1),
            umask=0o077,
            user=None if server.is_us else server.uid,
            group=None if server.is_us else server.gid,
            extra_groups=None if server.is_us else [],
        )
    except subprocess.TimeoutExpired as error:
        raise DatabaseTrouble(
            Trouble.UNREACHABLE, f"initdb was not done in {error.timeout:.0f} s; try again"
        ) from error
    if done.returncode:
        said = " | ".join(done.stdout.strip().splitlines()[-5:])
        raise DatabaseTrouble(
            Trouble.UNREACHABLE,
            f"initdb made no cluster, status {done.returncode}: {said}; put that right and start again",
        )


def open_to_owner(cluster: Cluster, *, server: Account) -> None:
    """Let the server's user and the project's owner in, by the kernel's word and without a password, and nobody else.

    Written at every start: the owner may have changed since.
    """
    names = dict.fromkeys((invoker().name, server.name))
    _write(cluster.data / "pg_hba.conf", HBA)
    _write(cluster.data / "pg_ident.conf", "".join(f"own {_quoted(n)} {ROLE}\n" for n in names))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _write(path: Path, text: str) -> None:
    # Written in place, not replaced, so that the server's user stays its owner; never through a link that it laid.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW), "w") as file:
        file.write(text)


def keep_password(cluster: Cluster, word: str) -> None:
    """Keep the password for the port in a file that only the project's owner can read."""
    half = cluster.password.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(word + "\n")
    half.rename(cluster.password)


def drop(cluster: Cluster) -> None:
    """Delete the data of every major, and what was made for it; the locks stay, since others may hold them."""
    for _, home in homes(cluster.root):
        shutil.rmtree(home)
    shutil.rmtree(cluster.root / COPIES, ignore_errors=True)
    shutil.rmtree(cluster.door.folder, ignore_errors=True)
    cluster.password.unlink(missing_ok=True)


def _make(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
    except PermissionError as error:
        if os.path.lexists(folder) or not os.access(folder.parent, os.R_OK):
            raise not_ours(folder) from error
        raise ConfigurationError(
            f"{folder} cannot be made: {folder.parent} is not writable for the OS user with id {os.geteuid()}; "
            "set PILLARS_ROOT to a folder that is"
        ) from error
    if folder.stat().st_uid == os.geteuid() and folder.stat().st_mode & 0o777 != mode:
        folder.chmod(mode)


def _own(folder: Path, server: Account) -> None:
    if not server.is_us:
        os.chown(folder, server.uid, server.gid, follow_symlinks=False)
