"""Counts that all open pages share: counting a backlog of millions takes long, and every page asks again each few seconds."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

import anyio

from pillars.errors import DatabaseTrouble, Trouble

Figures = TypeVar("Figures")

CHEAP = 0.25  # seconds: what takes no longer is counted each time
REST = 20  # times as long as a count took it is good for: counting costs at most a twentieth of one connection's time
DEFEATED = 30.0  # seconds until a count that did not end in time is tried again


@dataclass(frozen=True, slots=True)
class Counted(Generic[Figures]):
    """Figures and how old they are; None where counting takes too long."""

    figures: Figures | None
    age: timedelta


class Count(Generic[Figures]):
    """One count at a time, by `count`; who comes meanwhile gets its answer too."""

    def __init__(self, count: Callable[[], Awaitable[Figures]]) -> None:
        self._count = count
        self._turn = anyio.Lock()
        self._figures: Figures | None = None
        self._counted_at = self._good_until = float("-inf")

    async def look(self) -> Counted[Figures]:
        """The figures as they are, or as they were a short while ago where they are dear. Raises `DatabaseTrouble`."""
        async with self._turn:
            if time.monotonic() >= self._good_until:
                await self._look_once()
            return Counted(self._figures, timedelta(seconds=time.monotonic() - self._counted_at))

    def forget(self) -> None:
        """Count anew next time: somebody changed something here, and wants to see it."""
        self._good_until = float("-inf")

    async def _look_once(self) -> None:
        begun = time.monotonic()
        try:
            self._figures = await self._count()
        except DatabaseTrouble as trouble:
            if trouble.kind is not Trouble.LOST:
                raise
            self._figures = None
        self._counted_at = time.monotonic()
        took = self._counted_at - begun
        rest = DEFEATED if self._figures is None else took * REST
        self._good_until = self._counted_at + (rest if took > CHEAP else 0)
