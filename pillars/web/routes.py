"""Our routes, all of them: the table from which the application is made."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pillars.service import health
from pillars.service.process import Process
from pillars.web.access import Gate
from pillars.web.api import Api
from pillars.web.problems import HANDLERS

Handler = Callable[[Request], Awaitable[Response]]


def application(process: Process) -> Starlette:
    """Our side of the web pillar: the routes behind the gate, all errors as problems."""
    prefix = process.settings.prefix
    is_open = {prefix + path for path in health.ROUTES}
    return Starlette(
        routes=[*_health(process, prefix), *_api(Api(process.database), prefix)],
        middleware=[Middleware(Gate, settings=process.settings, is_open=is_open)],
        exception_handlers=HANDLERS,
    )


def _health(process: Process, prefix: str) -> list[Route]:
    return [
        Route(prefix + path, health.Endpoint(process, ask), methods=["GET"])
        for path, ask in health.ROUTES.items()
    ]


def _api(api: Api, prefix: str) -> list[Route]:
    return [
        _resource(prefix + "/api/jobs/stats", GET=api.stats),
        _resource(prefix + "/api/jobs", GET=api.list, POST=api.enqueue),
        _resource(prefix + "/api/jobs/{job_id}", GET=api.inspect, DELETE=api.cancel),
        _resource(prefix + "/api/jobs/{job_id}/retry", POST=api.retry),
        _resource(prefix + "/api/jobs/{job_id}/cancel", POST=api.cancel),
    ]


def _resource(path: str, **handlers: Handler) -> Route:
    """One path with a handler a method, so that a wrong method is told all the right ones."""

    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, handle, methods=list(handlers), name=path)
