"""Locks that die with their holder: flock, and never a pid in a list.

`lock`     held exclusively by whoever is starting or stopping; the keeper needs it to stop an idle server
`users`    held shared by every process that uses the server, for as long as it lives
`keeper`   held exclusively by the keeper of one major version, for as long as it lives
"""

import fcntl
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pillars.errors import ConfigurationError, DatabaseTrouble, Trouble

__all__ = ["Lease", "held", "locked", "not_ours", "opened"]

TURN = 0.005  # seconds between two tries for a lock; the keeper holds it for microseconds


def opened(path: Path) -> int:
    """Open a lock file, made if it is not there, that no other user can open."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except PermissionError as error:
        raise not_ours(path) from error


def not_ours(path: Path) -> ConfigurationError:
    """What to raise where the file system shuts us out of a cluster."""
    return ConfigurationError(
        f"{path} is shut to the OS user with id {os.geteuid()}: another user began this cluster; "
        f"run as that user, or delete {path.parent}"
    )


@contextmanager
def locked(path: Path, *, deadline: float) -> Iterator[None]:
    """Hold `path` exclusively; `deadline` is a monotonic time in seconds."""
    descriptor = opened(path)
    try:
        while not _taken(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise DatabaseTrouble(
                    Trouble.UNREACHABLE,
                    f"the lock {path} was not free in time: another process is still starting or stopping Postgres; "
                    "try again",
                )
            time.sleep(TURN)
        try:
            yield
        finally:
            # Unlocked by name: a child forked meanwhile shares the lock, and closing ours alone would leave it held.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def held(path: Path) -> bool:
    """Whether a process holds `path` exclusively."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except PermissionError as error:
        raise not_ours(path) from error
    try:
        return not _taken(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


class Lease:
    """A share of the users lock: while any process has one, the keeper leaves Postgres running.

    Take it while holding `lock`: the keeper cannot be deciding to stop then. A forked child keeps its parent's
    lease, an exec'd one does not.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = opened(path)
        self._close = weakref.finalize(self, os.close, self._descriptor)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    @property
    def closed(self) -> bool:
        return not self._close.alive

    @property
    def in_force(self) -> bool:
        """False when closed, and when the file was deleted under us, so that the keeper no longer sees it."""
        try:
            return not self.closed and os.path.samestat(
                self._path.stat(), os.fstat(self._descriptor)
            )
        except FileNotFoundError:
            return False

    def close(self) -> None:
        # Closed, not unlocked: a forked child may go on using the server.
        self._close()


def _taken(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
