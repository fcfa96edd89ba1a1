"""Whether jobs are found as fast among a million as alone."""

from ..drains import JOBS, Drain
from ..running import Workload

MANY = 1_000_000
ALONE = Drain(of=JOBS)
AMONG = Drain(of=MANY)

BACKLOG = Workload(
    "backlog",
    f"the first {JOBS:,} no-op jobs, alone and of {MANY:,}, until they were run",
    {
        "raw, alone": ALONE.raw,
        "raw, of a million": AMONG.raw,
        "pillars, alone": ALONE.pillars,
        "pillars, of a million": AMONG.pillars,
    },
    against={
        "raw, of a million": "raw, alone",
        "pillars, alone": "raw, alone",
        "pillars, of a million": "pillars, alone",
    },
)
