"""The warden of a worker's children: a process that kills them once the worker is gone, however it went."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from uuid import UUID

WARDEN = Path(__file__).with_name("warden.py")


class Warden:
    """Started with the first child; one that has ended is started anew with the next, and told of all that live."""

    def __init__(self, worker_id: UUID) -> None:
        self.mark = str(worker_id)
        """In the environment of the children."""
        self._living: set[int] = set()
        self._popen: subprocess.Popen[bytes] | None = None

    def watch(self, pid: int) -> None:
        """Raises `OSError` where no warden can be started: a child that may outlive its worker is none to start."""
        self._living.add(pid)
        if not self._tell(f"+{pid}\n"):
            self._start()
            if not self._tell("".join(f"+{one}\n" for one in self._living)):
                raise OSError("the warden of this worker's children has ended at once")

    def forget(self, pid: int) -> None:
        """Its group is gone."""
        self._living.discard(pid)
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """It kills what lives yet, and ends."""
        if self._popen is not None and self._popen.stdin is not None:
            with suppress(OSError):
                self._popen.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout=1)
            self._popen = None

    def _tell(self, lines: str) -> bool:
        """A few bytes into a pipe that is read at once: it does not block."""
        if self._popen is None or self._popen.stdin is None:
            return False
        try:
            self._popen.stdin.write(lines.encode())
            self._popen.stdin.flush()
        except OSError:
            return False
        return True

    def _start(self) -> None:
        self.close()
        self._popen = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-I", "-S", str(WARDEN), self.mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,
        )
