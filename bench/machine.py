"""Where and when a run was made, and of which code."""

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pillars.version import __version__

from .server import processors

HERE = Path(__file__).parent
GIGABYTE = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The facts that every measurement of a run bears."""

    id: str
    """When it began, to the second, and by which process."""
    sha: str
    """Of the checkout, with a + where files were changed; the version where it was installed."""
    python: str
    postgres: str
    system: str
    processor: str
    cores: int
    memory_gb: float
    load: float
    """How many processes wanted to run, on average over the minute before."""
    scale: float

    @classmethod
    def begin(cls, *, postgres: str, scale: float) -> Self:
        now = datetime.now(UTC)
        return cls(
            id=f"{now:%Y-%m-%dT%H:%M:%SZ}-{os.getpid()}",
            sha=_sha(),
            python=platform.python_version(),
            postgres=postgres,
            system=f"{platform.system()} {platform.release()}",
            processor=_processor(),
            cores=processors(),
            memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE, 1),
            load=round(os.getloadavg()[0], 2),
            scale=scale,
        )


def _sha() -> str:
    if not (HERE.parent / ".git").exists():
        return f"v{__version__}"
    sha = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return f"{sha}+" if changed else sha


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", HERE, *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = (text.partition(":")[2].strip() for text in lines if text.startswith("model name"))
    return next(names, platform.machine() or sys.platform)
