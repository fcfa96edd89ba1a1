"""Start, use, revive and stop the embedded Postgres. Every call blocks: from asyncio, use `to_thread`."""

import os
import secrets
import signal
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

from pillars.embedded import layout, postmaster
from pillars.embedded.accounts import servant
from pillars.embedded.clusters import Cluster
from pillars.embedded.locks import Lease, held, locked, not_ours
from pillars.embedded.spawning import adopt, keeper_pid, last_words, launch
from pillars.embedded.wire import DATABASE, NOBODY, PATIENCE, ROLE, Door, Reply, ask
from pillars.errors import ConfigurationError, DatabaseTrouble, Trouble

__all__ = ["Server", "reset", "running", "start", "stop"]

START_LIMIT = timedelta(seconds=60)
STOP_LIMIT = timedelta(seconds=40)  # the keeper asks for 10 s, insists for 10 s, then kills

LOOK = 0.01  # seconds between two looks at a server that is starting
ORPHANED = 1.0  # seconds that a server has to end by itself after its keeper; then it is adopted


class State(Enum):
    SERVING = "serving"
    WAITING = "waiting"  # starting or stopping: it will be something else soon
    KEEPERLESS = "keeperless"  # answering still, although its keeper is dead
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of a server at one look."""

    state: State
    pid: int | None
    door: Door
    reply: Reply


class Server:
    """A use of the embedded Postgres, which runs at least until this is closed.

    Closing, or the death of the process in whatever way, gives up the lease; when the last is given up, the server
    stops after the cluster's `idle`.
    """

    def __init__(self, cluster: Cluster, lease: Lease, door: Door) -> None:
        self.cluster = cluster
        self._lease = lease
        self._door = door
        self._turn = threading.Lock()

    @property
    def url(self) -> str:
        """The address of database `dev`, for asyncpg and libpq alike."""
        return self._door.url

    @property
    def root(self) -> Path:
        return self.cluster.root

    @property
    def pid(self) -> int | None:
        """The pid of the postmaster; None when it is dead."""
        found = postmaster.find(self.cluster.data)
        return found.pid if found else None

    def revive(self, *, timeout: timedelta = START_LIMIT) -> None:
        """Start the server again if it is dead; a few milliseconds if it is not. Any thread may call it.

        Raises DatabaseTrouble when it does not start, and when this use was closed.
        """
        deadline = time.monotonic() + timeout.total_seconds()
        with self._turn:
            if self._lease.in_force and _look(self.cluster, deadline).state is State.SERVING:
                return
            if self._lease.closed:
                raise DatabaseTrouble(
                    Trouble.UNREACHABLE,
                    f"this use of the Postgres in {self.root} was closed; call start() for another",
                )
            self._lease, self._door = _attach(self.cluster, deadline, had=self._lease)

    def close(self) -> None:
        """Give up the lease; again does nothing."""
        self._lease.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def start(cluster: Cluster, *, timeout: timedelta = START_LIMIT) -> Server:
    """Use the cluster's Postgres: made and started if need be, with its database `dev`.

    Blocks for 2 to 12 ms when it runs, under a second to start it, a few seconds the first time. Keep what is
    returned: the server may stop when it is closed or forgotten. Raises DatabaseTrouble when Postgres does not start
    in `timeout`, ConfigurationError when it cannot.
    """
    lease, door = _attach(cluster, time.monotonic() + timeout.total_seconds())
    return Server(cluster, lease, door)


def stop(cluster: Cluster, *, timeout: timedelta = STOP_LIMIT) -> bool:
    """Stop the cluster's Postgres now, whoever uses it, and wait for its end. False when nothing ran."""
    deadline = time.monotonic() + timeout.total_seconds()
    if not _begun(cluster):
        return False
    with locked(cluster.lock, deadline=deadline):
        return _stop(cluster.root, deadline)


def reset(cluster: Cluster, *, timeout: timedelta = STOP_LIMIT) -> None:
    """Stop the cluster's Postgres and delete its data, of every major version."""
    deadline = time.monotonic() + timeout.total_seconds()
    if not _begun(cluster):
        return
    with locked(cluster.lock, deadline=deadline):
        _stop(cluster.root, deadline)
        layout.drop(cluster)


def running(cluster: Cluster) -> bool:
    """Whether the cluster's Postgres runs and takes connections."""
    return _look(cluster, time.monotonic() + PATIENCE).state is State.SERVING


def _begun(cluster: Cluster) -> bool:
    try:
        return cluster.lock.exists()
    except PermissionError as error:
        raise not_ours(cluster.lock) from error


def _attach(cluster: Cluster, deadline: float, *, had: Lease | None = None) -> tuple[Lease, Door]:
    """Bring the server up and take a lease on it, keeping the one we had if it is good."""
    layout.make_root(cluster, server=servant(cluster.user, data=cluster.data))
    with locked(cluster.lock, deadline=deadline):
        sight = _bring_up(cluster, deadline)
        lease = had if had and had.in_force else Lease(cluster.users)
        try:
            _furnish(cluster, sight)
        except BaseException:
            if lease is not had:
                lease.close()
            raise
    if had and lease is not had:
        had.close()
    return lease, sight.door


def _look(cluster: Cluster, deadline: float) -> Sight:
    # The keeper first: one that ends between the two looks is then seen beside a dead server, which says WAITING.
    kept = held(cluster.keeper)
    server = postmaster.find(cluster.data)
    door = server.door if server and server.door else cluster.door
    # At least a moment: a caller out of time still learns that all is well.
    patience = min(PATIENCE, max(deadline - time.monotonic(), 0.05))
    reply = ask(door, patience=patience) if server and server.door else Reply(NOBODY)
    if reply.ready:
        state = State.SERVING if kept else State.KEEPERLESS
    else:
        state = State.WAITING if server or kept else State.DOWN
    return Sight(state, server.pid if server else None, door, reply)


def _bring_up(cluster: Cluster, deadline: float) -> Sight:
    """Look, and act on what is seen, until the server serves. The caller holds the lock."""
    launched: int | None = None  # where this start's words begin in the log
    keeperless_since: float | None = None
    while time.monotonic() < deadline:
        sight = _look(cluster, deadline)
        match sight.state:
            case State.SERVING:
                return sight
            case State.DOWN if launched is not None:
                raise _failure(cluster, "did not start", launched)
            case State.DOWN:
                launched = launch(cluster, deadline=deadline)
            case State.KEEPERLESS:
                now = time.monotonic()
                keeperless_since = keeperless_since or now
                if sight.pid and now - keeperless_since > ORPHANED:
                    adopt(cluster, sight.pid)
        time.sleep(LOOK)
    raise _failure(cluster, "was not ready in time", launched)


def _failure(cluster: Cluster, what: str, since: int | None) -> DatabaseTrouble:
    return DatabaseTrouble(
        Trouble.UNREACHABLE,
        f"the Postgres in {cluster.root} {what}; put right what its log says, or call with a longer timeout: "
        f"{last_words(cluster, since)}",
    )


def _furnish(cluster: Cluster, sight: Sight) -> None:
    """Make what a client finds: the database, and the port and its password where they are asked for."""
    if cluster.port is not None and sight.door.port != cluster.port:
        raise ConfigurationError(
            f"the Postgres in {cluster.root} already runs without port {cluster.port}; stop it first: app db stop"
        )
    reply = sight.reply
    if reply.lacks_database:
        reply = ask(sight.door, database="postgres", statement=f"create database {DATABASE}")
    if reply.welcome and cluster.port is not None and not cluster.password.exists():
        word = secrets.token_urlsafe(24)
        reply = ask(sight.door, statement=f"alter role {ROLE} password '{word}'")
        if reply.welcome:
            layout.keep_password(cluster, word)
    if not reply.welcome:
        raise DatabaseTrouble(
            Trouble.DENIED,
            f"the Postgres in {cluster.root} runs, but refused us: {reply.message}; "
            "stop it first (app db stop), or use it as the OS user who started it",
            sqlstate=reply.sqlstate,
        )


def _stop(root: Path, deadline: float) -> bool:
    """Stop what runs in `root`, of any major: through its keeper, or itself where that is dead."""
    found = False
    for _, home in layout.homes(root):
        while time.monotonic() < deadline:
            server = postmaster.find(home / "data")
            keeper = keeper_pid(home / "keeper")
            if keeper:
                os.kill(keeper, signal.SIGTERM)
            elif server:
                server.ask_to_stop()
            else:
                break
            found = True
            _until_gone(home, min(deadline, time.monotonic() + 5))
        else:
            raise DatabaseTrouble(
                Trouble.UNREACHABLE,
                f"the Postgres in {home} did not stop in time; see {home / 'log'}",
            )
    return found


def _until_gone(home: Path, deadline: float) -> None:
    while (held(home / "keeper") or postmaster.find(home / "data")) and time.monotonic() < deadline:
        time.sleep(LOOK)
