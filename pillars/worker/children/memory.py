"""Whether memory has run out: what the kernel tells of it, and what processes say."""

import re
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


def words(size: int) -> str:
    """Bytes for people: "512 MB"."""
    for unit, name in ((10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} bytes"
