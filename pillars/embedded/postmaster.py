"""The running server, as its pid file tells it, and whether that is still true."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pillars.embedded.wire import Door

__all__ = ["Postmaster", "find"]


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A live postgres process, and where it listens once it has said so."""

    pid: int
    door: Door | None

    def ask_to_stop(self) -> None:
        """Ask for a fast shutdown: sessions are ended, nothing committed is lost."""
        os.kill(self.pid, signal.SIGINT)


def find(data: Path) -> Postmaster | None:
    """The server that runs on the folder `data`, or None.

    A pid file alone proves nothing: its process may be a zombie that nobody reaps, or a stranger who got the number.
    """
    try:
        lines = (data / "postmaster.pid").read_text(errors="replace").splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if pid <= 1 or not _serves(pid, data):
        return None
    # Lines 4 and 5: port and socket folder; the file may be half written.
    told = len(lines) > 4 and lines[3].isdigit() and lines[4].startswith("/")
    return Postmaster(pid, Door(Path(lines[4]), int(lines[3])) if told else None)


def _serves(pid: int, data: Path) -> bool:
    if sys.platform != "linux":
        return _serves_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        command, _, rest = stat.partition("(")[2].rpartition(")")
        # Last: the folder it works in, which a zombie no longer has and a stranger does not share.
        return (
            command == "postgres"
            and not rest.startswith(" Z")
            and Path(f"/proc/{pid}/cwd").samefile(data)
        )
    except OSError:
        return False


def _serves_by_ps(pid: int) -> bool:
    command = ["/bin/ps", "-o", "state=,comm=", "-p", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ps of a number
    state, _, program = done.stdout.strip().partition(" ")
    return not state.startswith("Z") and program.strip().endswith("postgres")
