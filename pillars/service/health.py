"""Is this process alive, ready, well? Plain ASGI, so that a worker loads no web library for it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import anyio

from pillars.codec import to_json
from pillars.errors import DatabaseTrouble
from pillars.service.access import Refusal, caller, refusal
from pillars.service.farewell import ASGIApp, Receive, Scope, Send
from pillars.service.process import Process
from pillars.service.replying import refuse, reply
from pillars.service.scraping import Metrics
from pillars.settings import Settings
from pillars.store import health as store
from pillars.store.rows import Vitals
from pillars.version import __version__

PATIENCE = 2.0  # seconds for all of a look, a connection included; platforms give up after 2 to 5 s
TRUE = {"1", "true", "yes"}

Answer = tuple[int, Mapping[str, Any]]
Ask = Callable[[Process, str], Awaitable[Answer]]


async def live(_process: Process, _query: str) -> Answer:
    """200 while the loop turns; the database has no say, or its outage would restart every process."""
    return 200, {"status": "ok"}


async def ready(process: Process, _query: str) -> Answer:
    """200 while the process serves or claims, and nobody has asked it to stop."""
    if process.stopping.is_set():
        return 503, {"status": "stopping"}
    return (200, {"status": "ok"}) if process.ready else (503, {"status": "starting"})


async def health(process: Process, query: str) -> Answer:
    """The whole picture: 200 also when degraded, since restarting this process would not help; 503 for `strict=1`."""
    checks = _checks(await _look(process))
    well = all(check["status"] in {"up", "unused"} for check in checks.values())
    return 503 if is_strict(query) and not well else 200, {
        "status": "ok" if well else "degraded",
        "role": process.role,
        "version": __version__,
        "commit": process.commit,
        "checks": checks,
    }


def is_strict(query: str) -> bool:
    """Whether it was asked that all be well."""
    return parse_qs(query).get("strict", [""])[-1].lower() in TRUE


METRICS = "/metrics"
ROUTES: Mapping[str, Ask] = {
    "/api/health": health,
    "/api/health/live": live,
    "/api/health/ready": ready,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One health route as an ASGI application."""

    ask: Callable[[str], Awaitable[Answer]]

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        status, content = await self.ask(scope["query_string"].decode("latin-1"))
        await reply(send, status, to_json(content))


class HealthApp:
    """The health routes and `/metrics`, for a process that serves nothing else; `apps` by path."""

    def __init__(self, settings: Settings, apps: Mapping[str, ASGIApp]) -> None:
        self._settings = settings
        self._apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only http is served here, not {scope['type']}")
        path = scope["path"].removeprefix(self._settings.prefix)
        app = self._apps.get(path)
        if app is None:
            await reply(send, 404, to_json({"status": "unknown"}))
        elif (refused := self._refusal(path, scope)) is not None:
            await refuse(send, refused)
        elif scope["method"] not in {"GET", "HEAD"}:
            await reply(send, 405, to_json({"status": "expected GET"}))
        else:
            await app(scope, receive, send)

    def _refusal(self, path: str, scope: Scope) -> Refusal | None:
        if path in ROUTES or self._settings.metrics == "open":
            return None
        asking = caller(self._settings, scope, bound=self._settings.health_host)
        return refusal(self._settings, scope, asking)


def health_app(process: Process) -> HealthApp:
    """That of one process."""
    apps: dict[str, ASGIApp] = {
        path: Endpoint(partial(ask, process)) for path, ask in ROUTES.items()
    }
    return HealthApp(process.settings, {**apps, METRICS: Metrics(process)})


async def serve_health(process: Process) -> None:
    """Serve health and metrics on `PILLARS_HEALTH_PORT` until cancelled.

    It goes on while the process drains, so that whoever asks is told so.
    """
    await serve_apart(health_app(process), process.settings)


async def serve_apart(app: HealthApp, settings: Settings) -> None:
    """Serve on `PILLARS_HEALTH_PORT` until cancelled; return at once where it is not set."""
    if settings.health_port is None:
        return
    from pillars.service.serving import (
        serve,
    )  # a worker without a health port has no use for uvicorn

    await serve(
        app,
        host=settings.health_host,
        port=settings.health_port,
        stopping=anyio.Event(),
        started=_ignore,
        grace=timedelta(0),
        setting="PILLARS_HEALTH_PORT",
    )


async def _look(process: Process) -> Vitals | None:
    try:
        with anyio.fail_after(PATIENCE):
            return await store.vitals(process.database.runtime)
    except (DatabaseTrouble, TimeoutError):
        return None


def _checks(seen: Vitals | None) -> dict[str, dict[str, Any]]:
    if seen is None:
        return {
            "database": {"status": "down"},
            "workers": {"status": "unknown", "count": None},
            "cron": {"status": "unknown", "leader": None},
        }
    return {
        "database": {"status": "up"},
        "workers": {"status": _of_workers(seen), "count": seen.workers},
        "cron": {"status": _of_cron(seen), "leader": seen.leader},
    }


def _of_workers(seen: Vitals) -> str:
    if seen.workers == 0:
        return "down"
    return (
        "polling" if seen.polling else "up"
    )  # polling: jobs run, but one does not hear of them at once


def _of_cron(seen: Vitals) -> str:
    if seen.leader is not None:
        return "up"
    return "down" if seen.scheduled else "unused"  # an app without schedules need not run app cron


def _ignore(_url: str) -> None:
    pass
