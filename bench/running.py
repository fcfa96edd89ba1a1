"""What a workload is given, and what it gives back."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.marks import Marks
from bench.server import Database, Server

Figures = Mapping[str, float]
"""Figures of one measurement, by names that bear their unit."""


@dataclass(slots=True)
class Bench:
    """A run on one server. `scale` shortens every workload alike, for trying out."""

    server: Server
    folder: Path
    scale: float = 1.0
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def jobs(self, wanted: int) -> int:
        return max(int(wanted * self.scale), 100)

    def seconds(self, wanted: float) -> float:
        return max(wanted * self.scale, 0.5)

    def marks(self, jobs: int) -> Marks:
        """Marks of their own for one measurement."""
        return Marks.create(self.folder / f"marks-{next(self._numbers)}", jobs)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        async with self.server.database() as database:
            yield database


Measure = Callable[[Bench], Awaitable[Figures]]


@dataclass(frozen=True, slots=True)
class Workload:
    """Contenders that do the same, in turn, in every round."""

    name: str
    does: str
    contenders: Mapping[str, Measure]
