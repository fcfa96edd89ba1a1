"""Our routes and the user's application behind one door."""

from starlette.applications import Starlette
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from pillars.web.dashboard import cookie


class Dispatcher:
    """Requests for exactly our routes go to `ours`; all else, websockets and the lifespan too, to `theirs`, untouched but for our cookie.

    A browser that has logged in to the dashboard sends its cookie to the whole origin: it is taken out of what is theirs.

    Not a Mount: it would neither run the lifespan of a mounted application nor leave its scope alone.
    """

    def __init__(self, ours: Starlette, theirs: ASGIApp) -> None:
        self._ours = ours
        self._theirs = theirs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.is_ours(scope):
            await self._ours(scope, receive, send)
        else:
            await self._theirs(_without_cookie(scope), receive, send)

    def is_ours(self, scope: Scope) -> bool:
        """Whether a route of ours has this path, with whatever method."""
        return any(route.matches(scope)[0] is not Match.NONE for route in self._ours.routes)


def _without_cookie(scope: Scope) -> Scope:
    if "headers" not in scope:
        return scope
    kept = cookie.taken_out(scope["headers"])
    return scope if kept is scope["headers"] else {**scope, "headers": kept}
