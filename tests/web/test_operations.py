"""Schedules, queues and workers, looked at and changed over HTTP."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from pillars import every, job
from pillars.cron.syncing import sync
from pillars.jobs.definition import Job
from pillars.schedules import Schedule
from pillars.service.presence import appear
from pillars.service.process import Process
from pillars.store import schedules as store
from pillars.store.database import Database
from support import ask, tell

Make = Callable[..., Process]
ODD = ["crons.hourly", "a/run", "a/pause/resume", "shop:eu/daily.v2", "x/../y", "run", "a-b_c"]


@job(name="digest", queue="reports")
async def digest(days: int = 1) -> None: ...


@job(name="fetch", unique_key="fetch")
async def fetch() -> None: ...


@pytest.fixture
def bring(database: Database) -> Callable[..., Any]:
    """Brings schedules as a deploy would."""

    async def bring(*names: str, of: Job[..., Any] = digest, **options: Any) -> None:
        schedules: list[Schedule] = [every("1h", of.call(), name=name, **options) for name in names]
        await sync(database, schedules, deployment="shop")

    return bring


async def test_schedules_are_listed_by_name_with_lengths_of_time_in_seconds(
    client: httpx2.AsyncClient, bring: Callable[..., Any]
) -> None:
    await bring("b", "a", jitter="30s")
    content = (await client.get("/api/schedules")).json()
    assert content.keys() == {"items"}
    one, two = content["items"]
    assert (one["name"], two["name"]) == ("a", "b")
    assert (one["every"], one["jitter"], one["job"]) == (3600.0, 30.0, "digest")
    assert one["last_tick"] is one["paused_at"] is None
    assert datetime.fromisoformat(one["next_run_at"]).tzinfo is not None


@pytest.mark.parametrize("name", ODD)
async def test_a_schedule_of_any_name_is_run_paused_and_resumed(
    client: httpx2.AsyncClient, bring: Callable[..., Any], db: str, name: str
) -> None:
    await bring(*ODD)
    path = f"/api/schedules/{quote(name, safe='')}"
    ran = await client.post(f"{path}/run")
    made = ran.json()
    assert (ran.status_code, made["name"], made["queue"]) == (201, "digest", "reports")
    assert made["context"] == f"schedule {name} run by hand"
    assert (await client.get(ran.headers["location"])).json()["job_id"] == made["job_id"]
    paused = await client.post(f"{path}/pause")
    assert (paused.status_code, paused.json()["name"]) == (200, name)
    assert paused.json()["paused_at"] is not None
    assert paused.json()["next_run_at"] is None
    again = await client.post(f"{path}/pause")
    assert (again.status_code, again.json()) == (200, paused.json())
    assert await ask(db, "select count(*) from pillars.schedules where paused_at is not null") == 1
    for _ in range(2):
        resumed = await client.post(f"{path}/resume")
        assert (resumed.status_code, resumed.json()["paused_at"]) == (200, None)


async def test_a_slash_in_a_name_needs_no_encoding(
    client: httpx2.AsyncClient, bring: Callable[..., Any]
) -> None:
    await bring("a/run", "a")
    assert (await client.post("/api/schedules/a/run/pause")).json()["name"] == "a/run"
    ran = await client.post("/api/schedules/a/run/run")
    assert ran.json()["context"] == "schedule a/run run by hand"
    assert (
        await client.post("/api/schedules/a/run")
    ).json()["context"] == "schedule a run by hand"  # fmt: skip


async def test_a_run_whose_unique_key_is_held_answers_200_with_the_job_that_holds_it(
    client: httpx2.AsyncClient, bring: Callable[..., Any], db: str
) -> None:
    await bring("s", of=fetch)
    first, second = [await client.post("/api/schedules/s/run") for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert first.headers["location"] == second.headers["location"]
    assert await ask(db, "select count(*) from pillars.jobs") == 1
    assert await ask(db, "select count(*) from pillars.ticks") == 0


async def test_a_run_whose_holder_ends_meanwhile_and_leaves_no_row_is_a_409(
    client: httpx2.AsyncClient,
    bring: Callable[..., Any],
    db: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await bring("s", of=fetch)
    await client.post("/api/schedules/s/run")
    run_now = store.run_now

    async def ran(*args: Any) -> Any:
        made = await run_now(*args)
        await tell(db, "delete from pillars.jobs")
        return made

    monkeypatch.setattr(store, "run_now", ran)
    response = await client.post("/api/schedules/s/run")
    assert (response.status_code, response.headers["content-type"]) == (
        409,
        "application/problem+json",
    )


async def test_a_job_that_was_run_is_shown_although_a_worker_may_end_it_at_once_and_keep_no_row(
    client: httpx2.AsyncClient,
    bring: Callable[..., Any],
    db: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await bring("s")
    run_now = store.run_now

    async def ran(*args: Any) -> Any:
        made = await run_now(*args)
        await tell(db, "delete from pillars.jobs")  # sees only what is committed
        return made

    monkeypatch.setattr(store, "run_now", ran)
    assert (await client.post("/api/schedules/s/run")).status_code == 201


async def test_behind_a_prefix_the_location_has_it(
    process_with: Make, client_of: Callable[..., httpx2.AsyncClient], bring: Callable[..., Any]
) -> None:
    await bring("s")
    client = client_of(process_with(prefix="/ops"))
    ran = await client.post("/ops/api/schedules/s/run")
    assert ran.headers["location"] == f"/ops/api/jobs/{ran.json()['job_id']}"
    assert (await client.get(ran.headers["location"])).status_code == 200


async def test_queues_are_listed_with_what_they_hold(client: httpx2.AsyncClient, db: str) -> None:
    await tell(db, "select pillars.enqueue('a', queue => 'mail'), pillars.enqueue('a')")
    content = (await client.get("/api/queues")).json()
    assert content.keys() == {"items"}
    assert [(one["name"], one["ready"], one["paused_at"]) for one in content["items"]] == [
        ("default", 1, None),
        ("mail", 1, None),
    ]


@pytest.mark.parametrize("name", ODD)
async def test_a_queue_of_any_name_is_paused_and_resumed(
    client: httpx2.AsyncClient, db: str, name: str
) -> None:
    for one in ODD:
        await tell(db, "select pillars.enqueue('a', queue => $1)", one)
    path = f"/api/queues/{quote(name, safe='')}"
    paused = await client.post(f"{path}/pause")
    assert (paused.status_code, paused.json()["name"], paused.json()["ready"]) == (200, name, 1)
    assert paused.json()["paused_at"] is not None
    assert (await client.post(f"{path}/pause")).json()["paused_at"] == paused.json()["paused_at"]
    stopped = "select array_agg(name) from pillars.queues where paused_at is not null"
    assert await ask(db, stopped) == [name]
    for _ in range(2):
        resumed = await client.post(f"{path}/resume")
        assert (resumed.status_code, resumed.json()["paused_at"]) == (200, None)


async def test_names_are_listed_with_what_they_hold(
    client: httpx2.AsyncClient, define: Callable[..., Any], db: str
) -> None:
    for name in ("a", "b"):
        await define(name)
    await tell(db, "select pillars.enqueue('a', queue => 'mail'), pillars.enqueue('stranger')")
    content = (await client.get("/api/names")).json()
    assert content.keys() == {"items"}
    assert [(one["name"], one["ready"], one["paused_at"]) for one in content["items"]] == [
        ("a", 1, None),
        ("b", 0, None),
    ]


@pytest.mark.parametrize("name", ODD)
async def test_a_name_of_any_kind_is_paused_and_resumed(
    client: httpx2.AsyncClient, define: Callable[..., Any], db: str, name: str
) -> None:
    for one in ODD:
        await define(one)
    await tell(db, "select pillars.enqueue($1)", name)
    path = f"/api/names/{quote(name, safe='')}"
    paused = await client.post(f"{path}/pause")
    assert (paused.status_code, paused.json()["name"], paused.json()["ready"]) == (200, name, 1)
    assert (paused.json()["paused_at"] is None, paused.json()["paused_by"]) == (False, "loopback")
    assert (await client.post(f"{path}/pause")).json() == paused.json()
    stopped = "select array_agg(name) from pillars.definitions where paused_at is not null"
    assert await ask(db, stopped) == [name]
    for _ in range(2):
        resumed = await client.post(f"{path}/resume")
        assert (resumed.status_code, resumed.json()["paused_at"]) == (200, None)


async def test_workers_are_the_processes_that_have_a_row(
    client: httpx2.AsyncClient, process_with: Make
) -> None:
    process = process_with()
    await appear(process, state="running")
    [item] = (await client.get("/api/workers")).json()["items"]
    assert (item["worker_id"], item["role"], item["alive"]) == (str(process.worker_id), "web", True)


@pytest.mark.parametrize("verb", ["run", "pause", "resume"])
async def test_an_unknown_schedule_is_a_404_with_the_nearest_name(
    client: httpx2.AsyncClient, bring: Callable[..., Any], verb: str
) -> None:
    await bring("crons.hourly")
    response = await client.post(f"/api/schedules/crons.hurly/{verb}")
    assert (response.status_code, response.headers["content-type"]) == (
        404,
        "application/problem+json",
    )
    assert 'did you mean "crons.hourly"?' in response.json()["detail"]


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_an_unknown_queue_is_a_404_with_the_nearest_name(
    client: httpx2.AsyncClient, db: str, verb: str
) -> None:
    await tell(db, "select pillars.enqueue('a', queue => 'mail')")
    response = await client.post(f"/api/queues/mial/{verb}")
    assert response.status_code == 404
    assert 'did you mean "mail"?' in response.json()["detail"]
    assert await ask(db, "select count(*) from pillars.queues") == 0


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_a_name_that_nobody_defined_is_a_404_with_the_nearest(
    client: httpx2.AsyncClient, define: Callable[..., Any], verb: str
) -> None:
    await define("mail.send")
    response = await client.post(f"/api/names/mail.sned/{verb}")
    assert response.status_code == 404
    assert 'did you mean "mail.send"?' in response.json()["detail"]


@pytest.mark.parametrize("name", ["%00", "a%20b", "<script>", "a" * 101, "%ff", "", "-a"])
@pytest.mark.parametrize("noun", ["schedules", "queues", "names"])
async def test_what_can_be_nobodys_name_is_a_404_that_does_not_repeat_it(
    client: httpx2.AsyncClient, noun: str, name: str
) -> None:
    response = await client.post(f"/api/{noun}/{name}/pause")
    assert (response.status_code, response.headers["content-type"]) == (
        404,
        "application/problem+json",
    )
    assert "has this name: expected 1 to 100 of" in response.json()["detail"]
    assert "<script>" not in response.text
