"""A web pillar to ask, in this process."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pillars.jobs.definition import Job
from pillars.service.process import Process
from pillars.settings import load
from pillars.store.database import Database
from pillars.web.pillar import Web
from support import tell

LOCAL = "http://127.0.0.1:8000"


@pytest.fixture
def process_with(database: Database, tmp_path: Path) -> Callable[..., Process]:
    """Makes a web process with these settings; in dev, on loopback, without tokens where they do not say otherwise."""

    def make(**flags: Any) -> Process:
        settings = load(flags={"env": "dev", **flags}, environ={}, project=tmp_path)
        return Process(role="web", settings=settings, database=database)

    return make


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[..., httpx2.AsyncClient]]:
    """Makes a client of a process's application."""
    made: list[httpx2.AsyncClient] = []

    def make(
        process: Process, app: object | None = None, *jobs: Job[..., Any]
    ) -> httpx2.AsyncClient:
        web = Web(process, app, jobs={job.name: job for job in jobs})
        transport = httpx2.ASGITransport(app=web.asgi)
        made.append(httpx2.AsyncClient(transport=transport, base_url=LOCAL))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture
def client(
    process_with: Callable[..., Process], client_of: Callable[..., httpx2.AsyncClient]
) -> httpx2.AsyncClient:
    """A client on the same machine, which needs no token."""
    return client_of(process_with())


@pytest.fixture
def define(db: str) -> Callable[..., Awaitable[None]]:
    """Defines a job name as a process would at boot."""

    async def define(name: str, **columns: object) -> None:
        row = {
            "queue": "default",
            "priority": 0,
            "max_attempts": 4,
            "keep": "full",
            "tags": [],
            **columns,
        }
        await tell(
            db,
            """insert into pillars.definitions (name, kind, queue, priority, max_attempts, max_crashes, timeout, keep, tags, deployment)
               values ($1, 'async', $2, $3, $4, 3, '15m', $5, $6, 'app')""",
            name, *row.values(),
        )  # fmt: skip

    return define
