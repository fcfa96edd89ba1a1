"""`app web`, `app worker`, `app cron`: one process each, wired here."""

import os
import sys
import time
from functools import partial
from typing import Any, cast

import anyio

from pillars import log, registry
from pillars.cli.beginning import lend_dotenv, settings_of
from pillars.cli.ending import code_of
from pillars.cli.postgres import Postgres, make_ready, postgres
from pillars.errors import PillarsError
from pillars.jobs.connected import using
from pillars.registry import Registry
from pillars.service.presence import define, stay
from pillars.service.process import DONE, Process, Role
from pillars.service.running import Run, leave, supervise
from pillars.settings import Settings
from pillars.store.database import Database

HINT = "no jobs yet: write jobs/hello.py with `from pillars import job` and `@job async def hello() -> str: ...`"


def run(role: str, flags: dict[str, Any], *, reload: bool) -> int:
    """Run one pillar until it is told to stop; returns its exit code."""
    began_with = dict(os.environ)
    settings = settings_of(role, flags)
    anyio.run(_require_ports, role, settings)
    lend_dotenv(settings)
    with postgres(settings) as found:
        serve = partial(_serve, cast("Role", role), settings, found, reload=reload)
        options = {"use_uvloop": settings.loop == "uvloop"}
        try:
            code, again = anyio.run(serve, backend_options=options)
        except Exception as raised:  # noqa: BLE001 - told, and no job's thread may outlive the heartbeat
            code, again = code_of(raised), False
    if again:
        _begin_again(began_with)
    leave(code)
    return code


async def _require_ports(role: str, settings: Settings) -> None:
    """Before a database is asked for anything: raise `ConfigurationError` where a port of ours is taken."""
    if role != "web" and settings.health_port is None:
        return
    from pillars.service.serving import require_port

    if role == "web":
        await require_port(settings.host, settings.port)
    elif settings.health_port is not None:
        await require_port(
            settings.health_host, settings.health_port, setting="PILLARS_HEALTH_PORT"
        )


async def _serve(
    role: Role, settings: Settings, found: Postgres, *, reload: bool
) -> tuple[int, bool]:
    """Run the pillar; returns its exit code, and whether to begin again with changed code."""
    began_at = time.time()
    await make_ready(settings, found)
    try:
        defined, app = _defined(role, settings), _web_app(role, settings)
    except PillarsError as error:
        if not reload:
            raise
        await _until_mended(settings, error, began_at)
        return DONE, True
    database = Database(
        found.url, direct_url=found.direct_url, size=settings.pool, role=role, revive=found.revive
    )
    process = Process(role, settings, database)
    async with using(database):
        pillar, companions = await _wire(process, defined, app)
        changes = _Changes(process, began_at)
        if reload:
            companions.append(changes.watch)
        code = await supervise(
            process, pillar.run, *companions, abort=getattr(pillar, "abort", None)
        )
    return code, changes.seen and code == DONE


def _defined(role: Role, settings: Settings) -> Registry:
    web = settings.web.partition(":")[0] if settings.web and role != "web" else None
    found = registry.load(
        project=settings.project, jobs=settings.jobs, crons=settings.crons, leave=web
    )
    if not found.jobs and role == "worker" and settings.env == "dev":
        log.get("pillars.worker").warning(log.Event.DEFINITION_MISSING, hint=HINT)
    return found


def _web_app(role: Role, settings: Settings) -> Any:
    """The user's ASGI app, which only the web pillar imports."""
    if role != "web" or settings.web is None:
        return None
    return registry.web_app(settings.web, project=settings.project)


async def _wire(process: Process, defined: Registry, app: Any) -> tuple[Any, list[Run]]:
    """The pillar of this process, and what runs beside it."""
    if process.role == "worker":
        from pillars.worker.pillar import Worker

        return Worker(process, defined.known), _health(process)
    await define(process, defined.known.values())
    if process.role == "cron":
        from pillars.cron.pillar import Cron

        return Cron(process, list(defined.schedules.values())), _health(process)
    from pillars.web.pillar import Web

    return Web(process, app, jobs=defined.jobs), [partial(stay, process)]


def _health(process: Process) -> list[Run]:
    """Health on a port of its own, for worker and cron; no web library is loaded without one."""
    if process.settings.health_port is None:
        return []
    from pillars.service.health import serve_health

    return [partial(serve_health, process)]


class _Changes:
    """Asks the process to stop when its code changes, so that it begins again."""

    def __init__(self, process: Process, began_at: float) -> None:
        self._process = process
        self._began_at = began_at
        self.seen = False

    async def watch(self) -> None:
        from pillars.dev.reloading import changed

        await changed(self._process.settings.project, since=self._began_at)
        self.seen = True
        self._process.stopping.set()


async def _until_mended(settings: Settings, error: PillarsError, began_at: float) -> None:
    """Broken code ends no process while one works on it: say what is wrong and wait for a change."""
    from pillars.dev.reloading import changed

    print(f"app: {error}; waiting for a change", file=sys.stderr, flush=True)
    await changed(settings.project, since=began_at)


def _begin_again(environ: dict[str, str]) -> None:
    """Become a new process with the changed code, under the same pid: whoever started us notices nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", "pillars", *sys.argv[1:]], environ)  # noqa: S606
