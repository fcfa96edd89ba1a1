"""`app web`, `app worker`, `app cron`, one process each, and `app all`, one for the three: wired here."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from types import MappingProxyType
from typing import Any

import anyio

from pillars import log, registry
from pillars.cli.beginning import lend_dotenv, settings_of
from pillars.cli.ending import code_of
from pillars.cli.postgres import Postgres, make_ready, postgres
from pillars.errors import PillarsError
from pillars.jobs.connected import using
from pillars.registry import Registry
from pillars.service.line import Inherited
from pillars.service.presence import define, stay
from pillars.service.process import DONE, Process, Role, together
from pillars.service.running import Pillar, Run, leave, supervise
from pillars.settings import Settings
from pillars.store.database import Database
from pillars.store.row_security import Convention

ROLES: Mapping[str, tuple[Role, ...]] = MappingProxyType(
    {"web": ("web",), "worker": ("worker",), "cron": ("cron",), "all": ("web", "worker", "cron")}
)
LAST_CALL = 0.5  # seconds for the app's own tasks to end once they are cancelled
HINT = "no jobs yet: write jobs/hello.py with `from pillars import job` and `@job async def hello() -> str: ...`"


def run(command: str, flags: dict[str, Any], *, reload: bool) -> int:
    """Run the pillars of a command until they are told to stop; returns the exit code."""
    began_with = dict(os.environ)
    line = Inherited.found(os.environ)
    settings = settings_of(command, flags, number=None if line is None else line.number)
    if line is None:
        anyio.run(_require_ports, command, settings)
        if command == "worker" and settings.processes > 1:
            return _run_fleet(command, settings)
    lend_dotenv(settings)
    with ExitStack() as held:
        found = held.enter_context(postgres(settings))
        serve = partial(_serve, command, settings, found, line, reload=reload)
        ending = partial(_to_the_end, serve, held, began_with, line)
        return anyio.run(ending, backend_options={"use_uvloop": settings.loop == "uvloop"})


def _run_fleet(command: str, settings: Settings) -> int:
    """Run several processes of this command; returns the exit code."""
    from pillars.service.fleet import Fleet
    from pillars.service.fleet_health import serve_fleet_health

    fleet = Fleet(command, settings.processes, _same_command())
    health = partial(serve_fleet_health, fleet, settings)
    watch = partial(supervise, [fleet], health, name=command, code_of=code_of)
    code = anyio.run(watch, backend_options={"use_uvloop": settings.loop == "uvloop"})
    return code or fleet.code


async def _to_the_end(
    serve: Callable[[], Awaitable[tuple[int, bool]]],
    held: ExitStack,
    began_with: dict[str, str],
    line: Inherited | None,
) -> int:
    """Serve, then leave from within the loop, which would wait for ever for the app's code that swallows its cancellation."""
    try:
        code, again = await serve()
    except Exception as raised:  # noqa: BLE001 - told, and no job's thread may outlive the heartbeat
        code, again = code_of(raised), False
    await _end_others()
    held.close()
    if again:
        _begin_again(began_with | (line.hand_on() if line else {}))
    leave(code)
    return code


async def _end_others() -> None:
    """Cancel what the app has left behind, as the end of a loop does, but wait for it only so long."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=LAST_CALL)


async def _require_ports(command: str, settings: Settings) -> None:
    """Before a database is asked for anything: raise `ConfigurationError` where a port of ours is taken."""
    health_port = _health_port(command, settings)
    if "web" not in ROLES[command] and health_port is None:
        return
    from pillars.service.serving import require_port  # not for a worker that serves nothing

    if "web" in ROLES[command]:
        await require_port(settings.host, settings.port)
    if health_port is not None:
        await require_port(settings.health_host, health_port, setting="PILLARS_HEALTH_PORT")


def _health_port(command: str, settings: Settings) -> int | None:
    """Where health is served by itself: `app web` has it among its routes, `app all` may have both."""
    return None if command == "web" else settings.health_port


async def _serve(
    command: str, settings: Settings, found: Postgres, line: Inherited | None, *, reload: bool
) -> tuple[int, bool]:
    """Run the pillars; returns the exit code, and whether to begin again: with changed code, or with less memory."""
    began_at = time.time()
    await make_ready(settings, found)
    try:
        defined, app = _defined(ROLES[command], settings), _web_app(ROLES[command], settings)
    except PillarsError as error:
        if not reload:
            raise
        await _until_mended(settings, error, began_at)
        return DONE, True
    database = Database(
        found.url,
        direct_url=found.direct_url,
        size=settings.pool,
        role=command,
        revive=found.revive,
        convention=Convention.of(settings),
    )
    processes = together(ROLES[command], settings, database)
    async with using(database):
        await define(processes[0], defined.known.values())
        pillars = [_pillar(process, defined, app) for process in processes]
        changes = _Changes(processes[0], began_at)
        companions = _companions(command, processes, line) + ([changes.watch] if reload else [])
        code = await supervise(pillars, *companions, name=command, code_of=code_of)
    return code, (changes.seen or any(one.again for one in processes)) and code == DONE


def _defined(roles: Sequence[Role], settings: Settings) -> Registry:
    web = settings.web.partition(":")[0] if settings.web and "web" not in roles else None
    found = registry.load(
        project=settings.project, jobs=settings.jobs, crons=settings.crons, leave=web
    )
    if not found.jobs and "worker" in roles and settings.env == "dev":
        log.get("pillars.worker").warning(log.Event.DEFINITION_MISSING, hint=HINT)
    return found


def _web_app(roles: Sequence[Role], settings: Settings) -> Any:
    """The user's ASGI app, which only the web pillar imports."""
    if "web" not in roles or settings.web is None:
        return None
    return registry.web_app(settings.web, project=settings.project)


def _pillar(process: Process, defined: Registry, app: Any) -> Pillar:
    """The pillar of a process; what the others need is not imported."""
    match process.role:
        case "worker":
            from pillars.worker.pillar import Worker

            return Worker(process, defined.known)
        case "cron":
            from pillars.cron.pillar import Cron

            return Cron(process, list(defined.schedules.values()))
        case "web":
            from pillars.web.pillar import Web

            return Web(process, app, jobs=defined.jobs)


def _companions(command: str, processes: Sequence[Process], line: Inherited | None) -> list[Run]:
    """What runs beside the pillars: the web's row, and health on a port of its own, without which a worker loads no web library."""
    companions: list[Run] = [partial(stay, one) for one in processes if one.role == "web"]
    if line is not None:
        companions.append(partial(_heed_fleet, line, processes[0]))
    elif _health_port(command, processes[0].settings) is not None:
        from pillars.service.health import serve_health

        companions.append(partial(serve_health, processes[0]))
    return companions


async def _heed_fleet(line: Inherited, process: Process) -> None:
    """Tell the fleet how this process is; without a fleet, drain."""
    from pillars.service.fleet_health import answers_of

    await line.serve(answers_of(process, line.number))
    if not process.stopping.is_set():
        log.get("pillars.service").warning(
            log.Event.SERVICE_DRAINING, role=process.role, reason="its fleet is gone"
        )
        process.stopping.set()


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
    """Become a new process, under the same pid: whoever started us notices nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    command = _same_command()
    os.execve(command[0], command, environ)  # noqa: S606


def _same_command() -> list[str]:
    return [sys.executable, "-m", "pillars", *sys.argv[1:]]
