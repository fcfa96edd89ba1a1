"""Counts that all open pages share: counting a backlog of millions takes long, and every page asks again each few seconds."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

import anyio

from pillars.errors import DatabaseTrouble, Trouble

Figures = TypeVar("Figures")

CHEAP = 0.25  # seconds: what takes no longer is counted for whoever asks
REST = 20  # times as long as a count took it is good for: counting costs at most a twentieth of one connection's time
DEFEATED = 30.0  # seconds until a count that did not end in time is tried again
NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Counted(Generic[Figures]):
    """Figures and how old they are; None where counting takes too long."""

    figures: Figures | None
    age: timedelta


class Count(Generic[Figures]):
    """One count at a time, by `count`, for all who asked before it began.

    While a dear one is made anew, who comes sees the figures before it, unless they were forgotten.
    """

    def __init__(self, count: Callable[[], Awaitable[Figures]]) -> None:
        self._count = count
        self._turn = anyio.Lock()
        self._figures: Figures | None = None
        self._begun_at = self._counted_at = self._good_until = NEVER
        self._is_dear = False
        self._forgotten = 0

    async def look(self) -> Counted[Figures]:
        """The figures as they are, or as they were a short while ago where they are dear. Raises `DatabaseTrouble`."""
        asked_at = time.monotonic()
        if self._is_dear and self._turn.locked():
            return self._said()
        async with self._turn:
            if self._begun_at < asked_at and time.monotonic() >= self._good_until:
                await self._look_once()
            return self._said()

    def forget(self) -> None:
        """Count anew next time: somebody changed something here, and wants to see it."""
        self._forgotten += 1
        self._good_until = NEVER
        self._is_dear = False

    def _said(self) -> Counted[Figures]:
        return Counted(self._figures, timedelta(seconds=time.monotonic() - self._counted_at))

    async def _look_once(self) -> None:
        begun, forgotten = time.monotonic(), self._forgotten
        try:
            self._figures = await self._count()
        except DatabaseTrouble as trouble:
            if trouble.kind is not Trouble.LOST:
                raise
            self._figures = None
        self._begun_at, self._counted_at = begun, time.monotonic()
        took = self._counted_at - begun
        if (
            forgotten == self._forgotten and took > CHEAP
        ):  # else it may not have seen what was changed
            rest = DEFEATED if self._figures is None else took * REST
            self._is_dear, self._good_until = True, self._counted_at + rest
        else:
            self._is_dear, self._good_until = False, NEVER
