"""`app web`: the user's application and our routes beside it."""

import inspect
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from starlette.types import ASGIApp

from pillars import log
from pillars.errors import ConfigurationError
from pillars.jobs.definition import Job
from pillars.service.access import is_loopback
from pillars.service.process import Process
from pillars.service.serving import serve
from pillars.web import routes, welcome
from pillars.web.dispatcher import Dispatcher
from pillars.web.requests import Requests
from pillars.web.routes import NO_JOBS

PAUSE = timedelta(
    seconds=1
)  # what a load balancer needs to see readiness fail, or to be told by the platform


class Web:
    """Serves until the process is asked to stop.

    `app` is the user's ASGI application, or None; `jobs` are the definitions whose payloads an enqueue is checked against.
    """

    def __init__(
        self, process: Process, app: object | None, *, jobs: Mapping[str, Job[..., Any]] = NO_JOBS
    ) -> None:
        self.process = process
        theirs = welcome.application(process.settings) if app is None else checked_app(app)
        ours = routes.application(process, jobs=jobs)
        self.asgi: ASGIApp = Requests(Dispatcher(ours, theirs), process.tally)

    async def run(self) -> None:
        """Serve; from `process.stopping` on readiness fails, then what is under way is finished."""
        settings = self.process.settings
        pause = timedelta(0) if settings.env == "dev" else min(PAUSE, settings.drain / 4)
        try:
            await serve(
                self.asgi,
                host=settings.host,
                port=settings.port,
                stopping=self.process.stopping,
                started=self._started,
                grace=settings.drain - pause,
                pause=pause,
            )
        finally:
            self.process.ready = False

    def _started(self, url: str) -> None:
        self.process.ready = True
        log.get("pillars.web").info(log.Event.WEB_READY, url=url)
        told = self.process.settings
        if not (told.token or told.view_token or is_loopback(told.host)):
            warning = (
                f"no token is set and HOST is {told.host}: but for health, and the dashboard for people who have accounts, "
                "all is answered with 401; set PILLARS_TOKEN"
            )
            log.get("pillars.settings").warning(log.Event.SETTINGS_DOUBTFUL, warning=warning)


def checked_app(app: object) -> ASGIApp:
    """An ASGI application, told by its three parameters."""
    try:
        inspect.signature(app).bind({}, None, None)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ConfigurationError(
            "[tool.pillars] web: expected an ASGI application, called with scope, receive and send, "
            f"got {type(app).__name__}; wrap a WSGI one (Flask) as a2wsgi.WSGIMiddleware(app)"
        ) from None
    return cast("ASGIApp", app)
