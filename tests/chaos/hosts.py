"""Hosts, each with a network of its own: a process there reaches nobody but by the wires that it was given."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

KEEPER = Path(__file__).with_name("host.py")
PATIENCE = 10.0  # seconds; a hang limit


@dataclass(frozen=True, slots=True)
class Host:
    """Where a process is started, and the ends there of the wires that lead away."""

    words: tuple[str, ...]
    """What stands before the words of a command that is to run there; none where we may make no networks."""
    ends: tuple[socket.socket, ...]
    """Listening on the host's loopback, held by us."""

    @property
    def is_apart(self) -> bool:
        """Whether it has a network of its own."""
        return bool(self.words)


@contextmanager
def hosts(count: int, *, wires: int) -> Iterator[list[Host]]:
    """So many for the block, each with so many wires."""
    with ExitStack() as stack:
        host = _apart if may_part() else _beside
        yield [stack.enter_context(host(wires)) for _ in range(count)]


def may_part() -> bool:
    """Whether we may make networks: root may, where its container lets it."""
    words = ["unshare", "--net", "true"]
    try:
        return subprocess.run(words, check=False, stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def _apart(wires: int) -> Iterator[Host]:
    ours, theirs = socket.socketpair()
    with ours, ExitStack() as stack:
        with theirs:
            words = [
                "unshare",
                "--net",
                sys.executable,
                str(KEEPER),
                str(theirs.fileno()),
                str(wires),
            ]
            keeper = subprocess.Popen(words, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        stack.callback(keeper.wait)
        stack.callback(keeper.kill)
        ours.settimeout(PATIENCE)
        _, descriptors, _, _ = socket.recv_fds(ours, 2, wires)
        ends = tuple(stack.enter_context(socket.socket(fileno=one)) for one in descriptors)
        yield Host(("nsenter", f"--net=/proc/{keeper.pid}/ns/net"), ends)


@contextmanager
def _beside(wires: int) -> Iterator[Host]:
    with ExitStack() as stack:
        ends = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(wires)]
        yield Host((), tuple(ends))
