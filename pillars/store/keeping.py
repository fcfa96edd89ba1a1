"""Connections kept at hand between statements: to take one from asyncpg's pool and give it back costs as much as a statement's own work."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

KEPT = 3  # connections
LONGEST_REST = 1.0  # seconds without use; then the pool has them back, and closes what nobody needs
GiveBack = Callable[[Any], Awaitable[None]]


class Kept:
    """A few connections of one pool that nobody uses just now; whoever waits for one at the pool goes first."""

    def __init__(self, give_back: GiveBack) -> None:
        self.waiting = 0
        """How many wait at the pool."""
        self._give_back = give_back
        self._connections: list[Any] = []
        self._generation = 0
        self._used = False
        self._look: asyncio.TimerHandle | None = None
        self._emptying: asyncio.Task[None] | None = None

    @property
    def generation(self) -> int:
        """Changes when what was taken before is not to be kept any more."""
        return self._generation

    def take(self) -> Any | None:
        """One that is open, if there is any."""
        self._used = True
        while self._connections:
            connection = self._connections.pop()
            if is_open(connection):
                return connection
        return None

    def keep(self, connection: Any, *, generation: int) -> bool:
        """Keep one that was taken in `generation`, unless the pool should have it back."""
        if (
            self.waiting
            or generation != self._generation
            or len(self._connections) >= KEPT
            or not _is_at_rest(connection)
        ):
            return False
        self._connections.append(connection)
        if self._look is None:
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(LONGEST_REST, self._rest)
        return True

    def renounce(self) -> None:
        """From here on keep nothing that was taken before."""
        self._generation += 1

    async def empty(self) -> None:
        """Give all back."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        while self._connections:
            await self._give_back(self._connections.pop())

    def _rest(self) -> None:
        self._look = None
        if self._used:
            self._used = False
            self._look = asyncio.get_running_loop().call_later(LONGEST_REST, self._rest)
        else:
            self._emptying = asyncio.create_task(self.empty(), name="pillars-connections")


def _is_at_rest(connection: Any) -> bool:
    """Whether it can be used, and is in no transaction."""
    return is_open(connection) and not connection.is_in_transaction()


def is_open(connection: Any) -> bool:
    """Whether it can be used. One that was cut has gone back to the pool by itself, and says nothing any more."""
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False
