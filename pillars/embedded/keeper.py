"""Keeps one Postgres: starts it, reaps it, and stops it when nobody uses it any more.

Run by its path with `python -I -S` and its orders as JSON: it starts fast, needs the standard library alone, and
lives in a session of its own, so that Ctrl-C does not reach Postgres before the app has drained. It is the parent of
`postgres` and of nothing else. It holds the descriptor `held`, a lock, for exactly as long as it lives.

Run by root it stays root, to open the locks; only its child becomes the server's user.
"""

import fcntl
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

TURN = 0.2  # seconds between two looks at who is there
RETRY = 0.25  # seconds between two starts while an orphan of the last server still holds its memory
ORPHANS = b"pre-existing shared memory block"

# How Postgres is stopped: asked, and how many seconds it has. Fast shutdown, immediate shutdown, and no more asking.
FAREWELLS = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 60.0))

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Orders:
    """What a keeper is told: `argv` to run as `uid` and `gid` (None: as itself), or the pid of a server to `adopt`.

    `lock_files` are the server's own that a dead one may have left; `idle` and `patience` are seconds.
    """

    held: int
    argv: list[str]
    environment: dict[str, str]
    uid: int | None
    gid: int | None
    log: str
    lock_files: list[str]
    lock: str
    users: str
    idle: float
    patience: float
    adopt: int | None

    def written(self) -> str:
        return json.dumps(asdict(self))


class Keeper:
    """The supervisor of one server, from its start to its end."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        # Loaded while we can: the child, once another user, may not be able to read the interpreter's folders.
        self._libc = _libc()
        self._lock = os.open(orders.lock, os.O_RDWR | os.O_CLOEXEC)
        self._users = os.open(orders.users, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._wake = _wakened_by(signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        self._told_to_stop = False
        self._server: int | None = None
        self._status = 0
        self._log_start = 0
        self._idle_since: float | None = None

    def run(self) -> None:
        """Start the server, and stay until it has ended."""
        limit = time.monotonic() + self._orders.patience
        try:
            self._begin()
            while not self._ended() or self._try_again(limit):
                self.turn()
        finally:
            self.stop()

    def turn(self) -> None:
        """Wait for a signal or for a moment, and stop the server if it is time."""
        self._sleep(TURN)
        if self._told_to_stop:
            _note("told to stop")
            self.stop()
        elif self._abandoned():
            _note("the cluster's folder is gone: stopping")
            self.stop()
        else:
            self._stop_if_idle()

    def stop(self) -> None:
        """Stop the server, politely at first, and wait for its end."""
        for number, patience in FAREWELLS:
            limit = time.monotonic() + patience
            if self._ended():
                return
            _note(f"sending {number.name} to postgres {self._server}")
            with suppress(ProcessLookupError):
                os.kill(self._server or 0, number)
            while not self._ended() and (left := limit - time.monotonic()) > 0:
                self._sleep(min(left, TURN))

    def _begin(self) -> None:
        if self._orders.adopt:
            self._server = self._orders.adopt
            _note(f"adopted postgres {self._server}, which had lost its keeper")
        else:
            for path in self._orders.lock_files:
                _claim(path)
            self._launch()

    def _launch(self) -> None:
        us = os.getpid()
        self._log_start = _size(self._orders.log)
        self._server = os.fork()
        if self._server == 0:
            try:
                self._become_postgres(us)
            except OSError as error:
                _note(f"cannot run {self._orders.argv[0]}: {error}")
            finally:
                os._exit(127)
        _note(f"started postgres {self._server}")

    def _become_postgres(self, keeper: int) -> None:
        log = os.open(self._orders.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.umask(0o077)
        if self._orders.uid is not None and self._orders.gid is not None:
            os.setgroups([])
            os.setgid(self._orders.gid)
            os.setuid(self._orders.uid)
        if self._libc:
            # After the change of user, which clears it: when the keeper is killed, Postgres shuts down by itself.
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != keeper:
                return
        os.execve(self._orders.argv[0], self._orders.argv, self._orders.environment)  # noqa: S606 - no shell is wanted

    def _ended(self) -> bool:
        """Whether there is no server; reaps it."""
        if self._server is None:
            return True
        try:
            if self._orders.adopt:
                pid, status = 0 if _alive(self._server) else self._server, 0
            else:
                pid, status = os.waitpid(self._server, os.WNOHANG)
        except ChildProcessError:
            pid, status = self._server, 0
        if pid:
            self._status = os.waitstatus_to_exitcode(status)
            _note(f"postgres {self._server} ended with status {self._status}")
            self._server = None
        return self._server is None

    def _try_again(self, limit: float) -> bool:
        """Start once more if the last server's orphans were in the way: they end by themselves, and nothing else helps."""
        if self._status != 1 or self._told_to_stop or time.monotonic() > limit:
            return False
        with Path(self._orders.log).open("rb") as log:
            log.seek(self._log_start)
            if ORPHANS not in log.read():
                return False
        self._sleep(RETRY)
        self._launch()
        return True

    def _stop_if_idle(self) -> None:
        # With the lock in hand nobody is starting, so nobody can be about to take a lease. It is kept while the
        # server stops: who comes then waits, and starts it anew.
        if not _taken(self._lock):
            self._idle_since = None
            return
        try:
            if not _taken(self._users):
                self._idle_since = None
                return
            fcntl.flock(self._users, fcntl.LOCK_UN)
            now = time.monotonic()
            self._idle_since = now if self._idle_since is None else self._idle_since
            if now - self._idle_since >= self._orders.idle:
                _note(f"no user for {self._orders.idle:g} s: stopping")
                self.stop()
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _abandoned(self) -> bool:
        """Whether the cluster's folder was deleted or moved: nobody can find this server any more."""
        try:
            return not os.path.samestat(Path(self._orders.lock).stat(), os.fstat(self._lock))
        except FileNotFoundError:
            return True

    def _sleep(self, seconds: float) -> None:
        if select.select([self._wake], [], [], seconds)[0]:
            numbers = os.read(self._wake, 64)
            self._told_to_stop |= any(number != signal.SIGCHLD for number in numbers)


def _libc() -> "ctypes.CDLL | None":
    if sys.platform != "linux":
        return None
    import ctypes

    return ctypes.CDLL(None)


def _wakened_by(*numbers: signal.Signals) -> int:
    """A pipe that gets the number of each signal, so that a wait ends at once."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    # Whoever spawned us may have had some blocked, and a mask outlives exec.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    return reader


def _claim(path: str) -> None:
    """Put our own pid into a lock file that a dead server left.

    Postgres refuses to start while the pid in there belongs to anyone, even a zombie, but for its parent. Deleting
    the file instead would lose line 7, by which it finds orphans that still write to the same data.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "r+b") as file:
        _, newline, rest = file.read().partition(b"\n")
        if not newline:
            Path(path).unlink()  # empty or cut off: Postgres would refuse it, whatever the pid
            return
        file.seek(0)
        file.write(str(os.getpid()).encode() + newline + rest)
        file.truncate()


def _alive(pid: int) -> bool:
    """Whether a process that is not our child runs: a zombie, which its parent may never reap, does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return True  # no /proc: not Linux


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0


def _note(words: str) -> None:
    sys.stderr.write(f"{time.strftime('%F %T')} keeper {os.getpid()}: {words}\n")
    sys.stderr.flush()


def main() -> None:
    orders = Orders(**json.loads(sys.argv[1]))
    os.set_inheritable(orders.held, False)
    if keeper := os.fork():
        # Our parent waits for this process alone, and never has a keeper to reap.
        os.ftruncate(orders.held, 0)
        os.pwrite(orders.held, str(keeper).encode(), 0)
        os._exit(0)
    Keeper(orders).run()


if __name__ == "__main__":
    main()
