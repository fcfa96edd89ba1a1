"""Few pages are made at once: those that are open ask again and again, and the application needs its connections for itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pillars.web.operations import Handler

AT_ONCE = 2  # of the ten connections of a pool
PATIENCE = timedelta(seconds=5)  # as long as one statement may take
FULL = "other pages of the dashboard are being read, slowly; try again"


class Turns:
    """Lets pages be made, so many at once; who waits too long for a turn is told so with 503, in the words `full`."""

    def __init__(
        self, at_once: int = AT_ONCE, *, patience: timedelta = PATIENCE, full: str = FULL
    ) -> None:
        self._free = anyio.Semaphore(at_once)
        self._patience = patience
        self._full = full

    def taken(self, show: Handler) -> Handler:
        """The page `show`, made in its turn."""

        async def shown(request: Request) -> Response:
            async with self.turn():
                return await show(request)

        return shown

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Have a turn for the block; raises 503 as `HTTPException` where none comes."""
        with anyio.move_on_after(self._patience.total_seconds()) as waited:
            await self._free.acquire()
        if waited.cancelled_caught:
            raise HTTPException(503, self._full, {"retry-after": "5"})
        try:
            yield
        finally:
            self._free.release()
