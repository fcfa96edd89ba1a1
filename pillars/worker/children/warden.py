"""Outlives a worker that was killed, for as long as it takes to kill its children and all that they have started.

A script of its own, without the runtime or site-packages. It is told on its standard input which children live: a line "+ID" or "-ID" each,
where ID is that of the child's process, which leads a session and a group of its own. The end of that input is the end of the worker.
A process that has left its session is known by the worker's mark in its environment.
"""

import os
import signal
import sys
import time
from contextlib import suppress

PAUSE = 0.02  # seconds between two looks: a process may have started others meanwhile
PATIENCE = 10.0  # seconds for what the kernel holds up
MARK = b"PILLARS_CHILD_OF="
STATE, GROUP, SESSION = 0, 2, 3  # fields of /proc/PID/stat behind the name


def main(mark: str) -> None:
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
    ):  # which may be meant for all of the worker's
        signal.signal(number, signal.SIG_IGN)
    living: set[int] = set()
    for line in sys.stdin:
        (living.add if line[0] == "+" else living.discard)(int(line[1:]))
    latest = time.monotonic() + PATIENCE
    while _kill(living, MARK + mark.encode()) and time.monotonic() < latest:
        time.sleep(PAUSE)


def _kill(leaders: set[int], mark: bytes) -> bool:
    """Kill what lives of them; returns whether there was any."""
    found = False
    for leader in leaders:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
            found = True
    for pid in _processes():
        if _belongs(pid, leaders, mark):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                found = True
    return found


def _processes() -> list[int]:
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - as below
    except OSError:  # no such system: the groups must do
        return []
    return [int(name) for name in names if name.isdigit() and int(name) != os.getpid()]


def _belongs(pid: int, leaders: set[int], mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib takes longer to import than all of this
            fields = file.read().rpartition(b")")[2].split()
        if fields[STATE] in {b"Z", b"X"}:
            return False
        if int(fields[GROUP]) in leaders or int(fields[SESSION]) in leaders:
            return True
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - pathlib takes longer to import than all of this
            return mark in file.read().split(b"\0")
    except (OSError, IndexError, ValueError):  # it has ended, or is not ours
        return False


if __name__ == "__main__":
    main(sys.argv[1])
