"""Our routes and the user's application behind one door."""

from starlette.applications import Starlette
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from pillars.service.access import without_password
from pillars.settings import Settings


class Dispatcher:
    """Requests for exactly our routes go to `ours`; all else, websockets and the lifespan too, to `theirs`, untouched but for our tokens.

    A browser that was asked for a token sends it to the whole origin: the password of HTTP Basic is taken out of what is theirs.

    Not a Mount: it would neither run the lifespan of a mounted application nor leave its scope alone.
    """

    def __init__(self, ours: Starlette, theirs: ASGIApp, *, settings: Settings) -> None:
        self._ours = ours
        self._theirs = theirs
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.is_ours(scope):
            await self._ours(scope, receive, send)
        else:
            await self._theirs(self._without_token(scope), receive, send)

    def _without_token(self, scope: Scope) -> Scope:
        if "headers" not in scope:
            return scope
        kept = without_password(self._settings, scope["headers"])
        return scope if len(kept) == len(scope["headers"]) else {**scope, "headers": kept}

    def is_ours(self, scope: Scope) -> bool:
        """Whether a route of ours has this path, with whatever method."""
        return any(route.matches(scope)[0] is not Match.NONE for route in self._ours.routes)
