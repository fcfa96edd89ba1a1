"""Jobs that lie there already: how fast they go, and what each costs."""

from ..drains import Drain
from ..running import Workload

AT_ONCE = {1: 1_000, 16: 10_000, 64: 20_000, 256: 30_000}  # jobs, for a few seconds each


DRAIN = Workload(
    "drain",
    "no-op jobs that lie there: claimed, run, moved to the history",
    {
        "raw": Drain().raw,
        "pillars": Drain().pillars,
        "raw, 2 processes": Drain(workers=2).raw,
        "pillars, 2 processes": Drain(workers=2).pillars,
    },
    against={"pillars, 2 processes": "raw, 2 processes"},
)


def brief(at_once: int) -> Drain:
    """The raw loop claims as many as the worker has slots, awaits them together, and then claims again."""
    return Drain(
        jobs=AT_ONCE[at_once],
        function="brief",
        of_raw={"batch": at_once, "connections": 1},
        of_worker={"PILLARS_CONCURRENCY": str(at_once)},
    )


BRIEF = Workload(
    "brief",
    "jobs that await a millisecond, so many at once",
    {
        name: measure
        for at_once in AT_ONCE
        for name, measure in (
            (f"raw, {at_once} at once", brief(at_once).raw),
            (f"pillars, {at_once} at once", brief(at_once).pillars),
        )
    },
    against={f"pillars, {at_once} at once": f"raw, {at_once} at once" for at_once in AT_ONCE},
)
