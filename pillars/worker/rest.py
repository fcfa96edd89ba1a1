"""The rest of a job's code: asked for by a pause, begun at a checkpoint or, of a process, at once, ended by a resume."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from pillars.worker.holdings import counted_clock


class Outside(Protocol):
    """Code that runs in a process of its own."""

    def stop(self) -> None: ...
    def go_on(self) -> None: ...
    def kill(self) -> None: ...


class Rest:
    """Of one attempt. Several of its tasks may wait at checkpoints: it begins with the first, and is over with the last."""

    __slots__ = (
        "_began_at", "_on_begun", "_on_over", "_outside", "_over", "_rested", "_stopped", "_waiting", "told_at",
    )  # fmt: skip

    def __init__(self, *, on_begun: Callable[[], None], on_over: Callable[[], None]) -> None:
        self._on_begun = on_begun
        self._on_over = on_over
        self._over: asyncio.Event | None = None
        """Set when its code may go on; None while it is not to rest."""
        self._outside: Outside | None = None
        self._stopped = False
        """Whether the process rests."""
        self._waiting = 0
        self._began_at = 0.0
        self._rested = 0.0
        """Seconds, up to `_began_at` while it rests."""
        self.told_at = counted_clock()
        """When it was last told to pause or to go on, by the clock of trust."""

    @property
    def wanted(self) -> bool:
        """Whether its code is to rest at its next checkpoint."""
        return self._over is not None

    @property
    def begun(self) -> bool:
        """Whether its code waits to go on."""
        return self._waiting > 0

    def seconds(self) -> float:
        """How long it has rested so far."""
        return self._rested + (time.monotonic() - self._began_at if self._waiting else 0.0)

    def pause(self) -> None:
        self.told_at = counted_clock()
        if self._over is None:
            self._over = asyncio.Event()
            self._stop()

    def resume(self) -> None:
        self.told_at = counted_clock()
        self.end()

    def end(self) -> None:
        """Nobody waits any longer; its code goes on, or ends."""
        over, self._over = self._over, None
        if over is not None:
            over.set()
        self._go_on()

    def hold(self, outside: Outside) -> None:
        """From now on its code runs there, and rests as soon as that is wanted."""
        self._outside = outside
        if self.wanted:
            self._stop()

    def let_go(self) -> None:
        """It runs there no more."""
        self._go_on()
        self._outside = None

    def kill(self) -> None:
        """End what runs there, whatever it does."""
        if self._outside is not None:
            self._outside.kill()

    async def taken(self) -> None:
        """Wait for as long as it is wanted."""
        while (over := self._over) is not None:
            self._begin()
            try:
                await over.wait()
            finally:
                self._leave()

    def _stop(self) -> None:
        if self._outside is not None and not self._stopped:
            self._stopped = True
            self._outside.stop()
            self._begin()

    def _go_on(self) -> None:
        if self._outside is not None and self._stopped:
            self._stopped = False
            self._outside.go_on()
            self._leave()

    def _begin(self) -> None:
        self._waiting += 1
        if self._waiting == 1:
            self._began_at = time.monotonic()
            self._on_begun()

    def _leave(self) -> None:
        if self._waiting == 1:
            self._rested = self.seconds()
        self._waiting -= 1
        if not self._waiting:
            self._on_over()
