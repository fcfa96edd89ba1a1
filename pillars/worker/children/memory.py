"""What a process has of memory, and whether it has run out: what the kernel tells of it, and what processes say."""

import re
import resource
import sys
from contextlib import suppress
from pathlib import Path

_SAID = re.compile(
    r"out of memory|cannot allocate memory|memory ?error|bad_alloc|not enough memory|allocation failed",
    re.IGNORECASE,
)
_CGROUP = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


def kills() -> int:
    """How many processes the kernel has killed for memory in this worker's control group; 0 where it does not tell."""
    with suppress(OSError, ValueError):
        for line in _CGROUP.read_text().splitlines():
            number, _, path = line.split(":", 2)
            if number == "0":
                told = (_MOUNT / path.lstrip("/") / "memory.events").read_text().split()
                return int(dict(zip(told[::2], told[1::2], strict=False)).get("oom_kill", 0))
    return 0


def said(text: str) -> bool:
    """Whether a text tells that memory could not be had."""
    return _SAID.search(text) is not None


def resident() -> int:
    """Bytes that this process has in memory, or has had at most where the system tells no more."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
