"""The gate in front of our routes. What is open is listed; so a route that is added is closed."""

from collections.abc import Callable, Collection

from starlette.requests import Request
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pillars.service.access import refusal
from pillars.settings import Settings
from pillars.web.problems import Said, Show


class Gate:
    """Lets requests through to `app` that may read or operate; answers 401 or 403, put into words by `show`, for it otherwise.

    The routes `is_open` need nothing. Of the paths that are `for_browsers`, HTTP Basic opens too.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: Settings,
        is_open: Collection[Route],
        for_browsers: Callable[[str], bool],
        show: Show,
    ) -> None:
        self._app = app
        self._settings = settings
        self._is_open = is_open
        self._for_browsers = for_browsers
        self._show = show

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = None
        if scope["type"] == "http" and not self._is_passed(scope):
            browsers = self._for_browsers(scope["path"])
            refused = refusal(self._settings, scope, bound=self._settings.host, browsers=browsers)
        if refused is None:
            await self._app(scope, receive, send)
        else:
            said = Said(refused.status, refused.detail, refused.headers)
            await self._show(Request(scope), said)(scope, receive, send)

    def _is_passed(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self._is_open)
