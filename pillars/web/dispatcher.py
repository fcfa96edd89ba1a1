"""Our routes and the user's application behind one door."""

from starlette.applications import Starlette
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send


class Dispatcher:
    """Requests for exactly our routes go to `ours`; all else, websockets and the lifespan too, to `theirs`, untouched.

    Not a Mount: it would neither run the lifespan of a mounted application nor leave its scope alone.
    """

    def __init__(self, ours: Starlette, theirs: ASGIApp) -> None:
        self._ours = ours
        self._theirs = theirs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.is_ours(scope):
            await self._ours(scope, receive, send)
        else:
            await self._theirs(scope, receive, send)

    def is_ours(self, scope: Scope) -> bool:
        """Whether a route of ours has this path, with whatever method."""
        return any(route.matches(scope)[0] is not Match.NONE for route in self._ours.routes)
