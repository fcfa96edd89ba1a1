"""What a process has done since it began, counted where the matching log line is written."""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

# Seconds: a job that does nothing takes 5 ms with its writes, an import or a report hours.
BOUNDS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 10_800.0,
)  # fmt: skip
MOST_NAMES = (
    200  # of jobs, or of queues: a name made per customer must not be a time series per customer
)
OTHER = "other"  # all names beyond


@dataclass(slots=True)
class Times:
    """How often something took how long; `counts` has one more for what is longer than every bound."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class Runs:
    """The attempts of one job, by outcome, and how long its code ran."""

    outcomes: Counter[str] = field(default_factory=Counter)
    times: Times = field(default_factory=Times)


@dataclass(slots=True)
class Tally:
    """Counts that only grow. Of the process's loop; `blocked` alone is the heartbeat thread's."""

    began_at: float = field(default_factory=time.time)
    runs: dict[str, Runs] = field(default_factory=dict)
    waits: dict[str, Times] = field(default_factory=dict)
    claims: int = 0
    flushes: int = 0
    locks_lost: int = 0
    blocked: int = 0
    swept: Counter[str] = field(default_factory=Counter)
    ticks: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    slots: Mapping[str, int] = field(default_factory=dict)
    """By kind; `taken` is how many of each are in use now."""
    taken: Mapping[str, int] = field(default_factory=dict)

    def ended(self, job: str, outcome: str, seconds: float) -> None:
        """An attempt's code ran so long, and its outcome is written or, "lost", was not."""
        runs = self.runs.get(job)
        if runs is None:
            runs = self.runs.setdefault(_bounded(job, self.runs), Runs())
        runs.outcomes[outcome] += 1
        runs.times.add(seconds)

    def began(self, queue: str, waited: float) -> None:
        """A job began so long after it was due."""
        times = self.waits.get(queue)
        if times is None:
            times = self.waits.setdefault(_bounded(queue, self.waits), Times())
        times.add(max(waited, 0.0))


def _bounded(name: str, known: Mapping[str, object]) -> str:
    return name if len(known) < MOST_NAMES else OTHER
