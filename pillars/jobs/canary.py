"""The runtime's own job: it does nothing, so that its coming back says that workers work."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pillars.jobs.definition import Job, job

PRIORITY = 2**31 - 1  # asked is whether workers run anything, not how long a queue is


@dataclass(frozen=True, slots=True)
class Sung:
    """Who ran it."""

    host: str
    pid: int


@job(name="pillars.canary", priority=PRIORITY, max_attempts=1, timeout="10s")
async def canary() -> Sung:
    """Come back at once."""
    return Sung(socket.gethostname(), os.getpid())


BUILT_IN: Mapping[str, Job[..., Any]] = {canary.name: canary}
"""The jobs that every process defines, none of them the app's."""
