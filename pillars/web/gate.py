"""The gate in front of our routes. What is open is listed; so a route that is added is closed."""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from pillars.service.access import refusal
from pillars.settings import Settings
from pillars.web.problems import problem


class Gate:
    """Lets requests through to `app` that may read or operate; answers 401 or 403 for it otherwise."""

    def __init__(self, app: ASGIApp, *, settings: Settings, is_open: Collection[str]) -> None:
        self._app = app
        self._settings = settings
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = None
        if scope["type"] == "http" and scope["path"] not in self._is_open:
            refused = refusal(self._settings, scope, bound=self._settings.host)
        if refused is None:
            await self._app(scope, receive, send)
        else:
            answer = problem(refused.status, refused.detail, headers=refused.headers)
            await answer(scope, receive, send)
