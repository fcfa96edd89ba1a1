"""What a workload is given, and what it gives back."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from .marks import Marks
from .server import Database, Server

Figures = Mapping[str, float | Sequence[float]]
"""Figures of one measurement, by names that bear their unit (`bench/figures.py`). A sequence is a course over time."""

LEAST_JOBS = 100
LEAST_SECONDS = 0.5


@dataclass(slots=True)
class Bench:
    """A run on one server. `scale` shortens every workload alike, for trying out."""

    server: Server
    folder: Path
    scale: float = 1.0
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def jobs(self, wanted: int) -> int:
        return max(int(wanted * self.scale), LEAST_JOBS)

    def seconds(self, wanted: float) -> float:
        return max(wanted * self.scale, LEAST_SECONDS)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        async with self.server.database() as database:
            yield database

    def marks(self, jobs: int) -> Marks:
        """Marks of their own for one measurement."""
        return Marks.create(self.folder / f"marks-{next(self._numbers)}", jobs)


Measure = Callable[[Bench], Awaitable[Figures]]


@dataclass(frozen=True, slots=True)
class Workload:
    """Contenders that do the same, in turn, in every round."""

    name: str
    does: str
    contenders: Mapping[str, Measure]
    compares: str = "jobs_per_s"
    """The figure of which ratios are made."""
    against: Mapping[str, str] = field(default_factory=dict)
    """Whom a contender is compared with; who is not named here, with the first."""
    rounds: int | None = None
    """At most so many, however many the run has."""
    on_request: bool = False
    """Whether it is measured only where it is named: it needs more than Postgres, or tells of something else than the runtime."""

    def rival(self, contender: str) -> str | None:
        """Whom it is compared with; None for one with which others are."""
        first = next(iter(self.contenders), None)
        if contender in self.against:
            return self.against[contender]
        return None if contender in {first, *self.against.values()} else first
