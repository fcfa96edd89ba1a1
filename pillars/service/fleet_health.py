"""Health and metrics of a fleet, gathered from its processes. Plain ASGI."""

from collections.abc import Mapping
from typing import Any, cast

import anyio

from pillars.service.exposition import CONTENT_TYPE, Blocks, blocks, joined
from pillars.service.farewell import ASGIApp, Receive, Scope, Send
from pillars.service.fleet import PATIENCE, READY, Fleet, Member
from pillars.service.health import (
    METRICS,
    Answer,
    Endpoint,
    HealthApp,
    health,
    is_strict,
    ready,
    serve_apart,
)
from pillars.service.line import Answers
from pillars.service.metrics import UP, Metric, of_database, of_process
from pillars.service.process import Process
from pillars.service.replying import reply
from pillars.service.scraping import Metrics
from pillars.settings import Settings

LOOKING, SCRAPING = (
    3.0,
    6.0,
)  # seconds for an answer that looks at the database: a second more than the look may take

OF_FLEET: tuple[Metric[Fleet], ...] = (
    Metric(
        "pillars_processes", "gauge", (),
        "Processes that this one keeps running.",
        lambda fleet: {(): len(fleet.members)},
    ),
    Metric(
        "pillars_process_restarts_total", "counter", ("process",),
        "Times that a process was started again because it had ended.",
        lambda fleet: {(str(one.number),): one.restarts for one in fleet.members},
    ),
)  # fmt: skip


def answers_of(process: Process, number: int) -> Answers:
    """What one process of a fleet says of itself."""
    metrics = Metrics(process)

    async def say_ready() -> int:
        return (await ready(process, ""))[0]

    async def say_health() -> Answer:
        return await health(process, "")

    async def say_process() -> Blocks:
        return blocks(one.marked("process", str(number)) for one in of_process(process))

    async def say_database() -> Blocks:
        return blocks(of_database(await metrics.fresh()))

    return {
        "ready": say_ready,
        "health": say_health,
        "process": say_process,
        "database": say_database,
    }


async def serve_fleet_health(fleet: Fleet, settings: Settings) -> None:
    """Serve health and metrics of all on `PILLARS_HEALTH_PORT` until cancelled; return at once where it is not set."""
    if settings.health_port is not None:
        asked = _Asked(fleet)
        routes = {
            "/api/health": asked.health,
            "/api/health/live": asked.live,
            "/api/health/ready": asked.ready,
        }
        apps: dict[str, ASGIApp] = {path: Endpoint(ask) for path, ask in routes.items()}
        await serve_apart(HealthApp(settings, {**apps, METRICS: _FleetMetrics(fleet)}), settings)


class _Asked:
    """The health routes' answers for all."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def live(self, _query: str) -> Answer:
        """200 while the fleet is looked after: a process of it that hangs ends itself."""
        return 200, {"status": "ok"}

    async def ready(self, _query: str) -> Answer:
        """200 while every process claims, and nobody has asked for an end."""
        if self._fleet.process.stopping.is_set():
            return 503, {"status": "stopping"}
        count = len(self._fleet.members)
        at_work = await _ready(self._fleet)
        status = "ok" if at_work == count else "starting"
        return 200 if at_work == count else 503, {
            "status": status,
            "processes": _of(at_work, count),
        }

    async def health(self, query: str) -> Answer:
        """The picture that one process has of the system, and how many of them there are."""
        at_work, count = await _ready(self._fleet), len(self._fleet.members)
        seen = await _first(self._fleet, "health", patience=LOOKING)
        picture = cast("Mapping[str, Any]", seen[1]) if isinstance(seen, list) else {"checks": {}}
        well = at_work == count and picture.get("status") == "ok"
        return 503 if is_strict(query) and not well else 200, {
            **picture,
            "status": "ok" if well else "degraded",
            "role": self._fleet.process.role,
            "processes": _of(at_work, count),
        }


class _FleetMetrics:
    """Answers a scrape: the figures of each process with its number, the database's once."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        said = await _all(self._fleet, "process", patience=PATIENCE)
        said.append(await _first(self._fleet, "database", patience=SCRAPING))
        found = [cast("Blocks", one) for one in said if isinstance(one, dict)]
        if not any(UP.name in one for one in found):
            found.append(blocks(of_database(None)))
        await reply(
            send,
            200,
            joined([blocks(one.of(self._fleet) for one in OF_FLEET), *found]),
            media=CONTENT_TYPE,
        )


def _of(at_work: int, count: int) -> Mapping[str, int]:
    return {"ready": at_work, "count": count}


async def _ready(fleet: Fleet) -> int:
    """How many claim."""
    return (await _all(fleet, "ready", patience=PATIENCE)).count(READY)


async def _first(fleet: Fleet, what: str, *, patience: float) -> object:
    """What the first process says that says anything."""
    said = await _all(fleet, what, patience=patience)
    return next((one for one in said if one is not None), None)


async def _all(fleet: Fleet, what: str, *, patience: float) -> list[object]:
    """What each process says, asked at the same time."""
    said: list[object] = [None] * len(fleet.members)

    async def ask(place: int, member: Member) -> None:
        said[place] = await member.ask(what, patience=patience)

    async with anyio.create_task_group() as group:
        for place, member in enumerate(fleet.members):
            group.start_soon(ask, place, member)
    return said
