import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from pillars.service.health import health_app
from pillars.service.process import Process
from pillars.store.database import Database
from support import move_clock, tell

Make = Callable[..., Process]


def asking(process: Process) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=health_app(process)), base_url="http://any.example"
    )


async def appear(db: str, role: str, *, leads: bool = False, listening: bool | None = None) -> str:
    worker_id = str(uuid4())
    await tell(
        db,
        """insert into pillars.workers (worker_id, role, host, pid, version, deployment, state, slots, leads, listening)
           values ($1, $2, 'h', 1, '1', 'app', 'running', 1, $3, $4)""",
        worker_id, role, leads, listening,
    )  # fmt: skip
    return worker_id


async def schedule(db: str) -> None:
    await tell(
        db,
        """insert into pillars.schedules (name, job, queue, max_attempts, every, deployment)
           values ('s', 'j', 'default', 1, '1 minute', 'app')""",
    )


async def test_health_is_ok_with_a_worker_and_a_leader(process_with: Make, db: str) -> None:
    await appear(db, "worker")
    await appear(db, "web")
    leader = await appear(db, "cron", leads=True)
    process = process_with(git_commit_sha="0123456789abcdef")
    async with asking(process) as client:
        response = await client.get("/api/health?strict=1")
    assert response.status_code == 200
    body = response.json()
    assert body.pop("version")
    assert body == {
        "status": "ok",
        "role": "web",
        "commit": "0123456",
        "checks": {
            "database": {"status": "up"},
            "workers": {"status": "up", "count": 1},
            "cron": {"status": "up", "leader": leader},
        },
    }


async def test_health_degrades_without_workers_and_strict_makes_it_a_503(
    process_with: Make, db: str
) -> None:
    await appear(db, "worker")
    await move_clock(db, timedelta(seconds=31))
    async with asking(process_with()) as client:
        usual, strict = await client.get("/api/health"), await client.get("/api/health?strict=1")
    assert (usual.status_code, usual.json()["status"]) == (200, "degraded")
    assert usual.json()["checks"]["workers"] == {"status": "down", "count": 0}
    assert usual.json()["commit"] == "local"
    assert (strict.status_code, strict.json()["status"]) == (503, "degraded")


async def test_cron_is_missed_only_where_there_are_schedules(process_with: Make, db: str) -> None:
    await appear(db, "worker")
    async with asking(process_with()) as client:
        unused = (await client.get("/api/health")).json()
        await schedule(db)
        missed = (await client.get("/api/health")).json()
        await appear(db, "cron")
        standby = (await client.get("/api/health")).json()
    assert (unused["status"], unused["checks"]["cron"]) == (
        "ok",
        {"status": "unused", "leader": None},
    )
    assert (missed["status"], missed["checks"]["cron"]) == (
        "degraded",
        {"status": "down", "leader": None},
    )
    assert standby["checks"]["cron"]["status"] == "down"


async def test_a_worker_that_hears_no_notifications_degrades_health(
    process_with: Make, db: str
) -> None:
    await appear(db, "worker", listening=False)
    await appear(db, "worker", listening=True)
    async with asking(process_with()) as client:
        body = (await client.get("/api/health")).json()
    assert (body["status"], body["checks"]["workers"]) == (
        "degraded",
        {"status": "polling", "count": 2},
    )


@pytest.mark.parametrize(
    "url", ["postgresql://app@127.0.0.1:1/nowhere", "postgresql://app@192.0.2.1/nowhere"]
)
async def test_health_says_that_the_database_is_down_within_three_seconds(
    process_with: Make, url: str
) -> None:
    process = process_with()
    process.database = Database(url)
    async with process.database.opened(), asking(process) as client:
        usual = await client.get("/api/health", timeout=3)
        strict = await client.get("/api/health?strict=1", timeout=3)
    assert (usual.status_code, usual.json()["status"]) == (200, "degraded")
    assert usual.json()["checks"]["database"] == {"status": "down"}
    assert strict.status_code == 503


async def test_live_and_ready_never_ask_the_database(process_with: Make) -> None:
    process = process_with()
    process.database = None  # type: ignore[assignment]
    async with asking(process) as client:
        assert (await client.get("/api/health/live")).status_code == 200
        assert (await client.get("/api/health/ready")).status_code == 503
        process.ready = True
        assert (await client.get("/api/health/ready")).status_code == 200
        process.stopping.set()
        assert (await client.get("/api/health/ready")).status_code == 503
        assert (await client.get("/api/health/live")).status_code == 200


async def test_the_health_port_serves_nothing_else(process_with: Make) -> None:
    async with asking(process_with(prefix="/ops")) as client:
        assert (await client.get("/ops/api/health/live")).status_code == 200
        assert (await client.get("/api/health/live")).status_code == 200
        assert (await client.get("/api/jobs")).status_code == 404
        assert (await client.post("/api/health/live")).status_code == 405


def test_a_worker_without_a_health_port_loads_no_web_library() -> None:
    code = "import sys, pillars.service.health; print({'uvicorn', 'starlette', 'h11'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


async def test_health_answers_alike_on_the_web_pillar(
    process_with: Make, client_of: Callable[..., Any], db: str
) -> None:
    process = process_with()
    async with asking(process) as alone:
        assert (await client_of(process).get("/api/health")).json() == (
            await alone.get("/api/health")
        ).json()
