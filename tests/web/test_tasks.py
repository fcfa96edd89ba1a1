"""`/api/tasks/{name}`: a job by its name, made where none is unfinished, else paused and resumed; and all of a name cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx2
import pytest

from gates import at_gate, gated_inserts
from pages import end, enqueue, run
from pillars.service.process import Process
from pillars.store import jobs, names
from stepping import hand, put
from support import ask, move_clock, tell, until

TASK = "/api/tasks/mail.send"
JSON = {"content-type": "application/json"}
Define = Callable[..., Awaitable[None]]
Make = Callable[..., Process]


@pytest.fixture(autouse=True)
async def _defined(define: Define) -> None:
    await define("mail.send", queue="mail")


async def state(db: str, job_id: str) -> str:
    return str(await ask(db, "select state from pillars.all_jobs where job_id = $1", UUID(job_id)))


async def count(db: str) -> int:
    return int(await ask(db, "select count(*) from pillars.jobs"))


# POST


async def test_where_none_is_unfinished_one_is_made_and_the_next_pauses_and_resumes_it(
    client: httpx2.AsyncClient, db: str
) -> None:
    made = await client.post(TASK)
    job = made.json()
    assert (made.status_code, made.headers["location"]) == (201, f"/api/jobs/{job['job_id']}")
    assert (job["state"], job["queue"], job["payload"]) == ("ready", "mail", {})
    for said in ("paused", "ready", "paused"):
        turned = await client.post(TASK)
        assert (turned.status_code, turned.json()["state"]) == (200, said)
        assert turned.json()["job_id"] == job["job_id"]
    assert await count(db) == 1


async def test_a_body_says_how_the_job_is_to_be(client: httpx2.AsyncClient) -> None:
    body = {"payload": {"to": "a@b.c"}, "queue": "slow", "priority": 7, "unique_key": "k"}
    made = await client.post(TASK, json=body)
    assert made.status_code == 201
    assert {name: made.json()[name] for name in body} == body


async def test_a_body_that_says_nothing_is_none(client: httpx2.AsyncClient, db: str) -> None:
    assert (await client.post(TASK, json={})).status_code == 201
    assert (await client.post(TASK, json={})).json()["state"] == "paused"


async def test_a_body_is_refused_where_a_job_is_unfinished_and_changes_nothing(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueue(db)
    refused = await client.post(TASK, json={"payload": {"to": "a@b.c"}})
    assert refused.status_code == 409
    assert refused.json()["detail"] == (
        "a job of this name is unfinished: POST without a body pauses or resumes it"
    )
    assert (await count(db), await state(db, job_id)) == (1, "ready")


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {}, 415),
        (b"{", JSON, 400),
        (b'{"name": "mail.send"}', JSON, 400),
        (b'{"payload": []}', JSON, 400),
        (b'{"priority": 1, "priority": 2}', JSON, 400),
        (b"x" * 5_000_001, JSON, 413),
    ],
)
async def test_a_body_that_is_none_of_an_enqueue_is_refused(
    client: httpx2.AsyncClient, db: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    assert (await client.post(TASK, content=content, headers=headers)).status_code == status
    assert await count(db) == 0


async def test_the_newest_unfinished_job_is_meant_whoever_made_it(
    client: httpx2.AsyncClient, db: str
) -> None:
    ended = [await enqueue(db) for _ in range(2)]
    older, newer = await enqueue(db), await enqueue(db)
    await end(db, ended[0], "failed")
    await end(db, ended[1], "cancelled")
    await enqueue(db, name="other")
    await run(db, newer)
    turned = await client.post(TASK)
    assert (turned.status_code, turned.json()["job_id"]) == (200, newer)
    assert turned.json()["state"] == "running"
    asked = (
        "select paused_by from pillars.jobs where job_id = $1 and pause_requested_at is not null"
    )
    assert await ask(db, asked, UUID(newer)) == "loopback"
    assert (await client.post(TASK)).json()["job_id"] == newer
    assert await ask(db, asked, UUID(newer)) is None, "what it was asked is taken back"
    assert await state(db, older) == "ready"


async def test_of_two_posts_at_once_one_makes_the_job_and_the_other_leaves_it(
    client: httpx2.AsyncClient, db: str
) -> None:
    for _ in range(5):
        answers = await asyncio.gather(*(client.post(TASK) for _ in range(4)))
        assert sorted(one.status_code for one in answers) == [200, 200, 200, 201]
        [job_id] = {one.json()["job_id"] for one in answers}
        assert await state(db, job_id) == "ready"
        await end(db, job_id, "completed")


async def test_a_post_that_waits_for_a_rivals_commit_answers_with_its_job(
    client: httpx2.AsyncClient, db: str
) -> None:
    waiting = "select count(*) = 2 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with hand(db) as keeper:
        async with gated_inserts(db, keeper):
            first = asyncio.create_task(client.post(TASK))
            await at_gate(db)
            second = asyncio.create_task(client.post(TASK))
            await until(lambda: ask(db, waiting))
        answers = [await first, await second]
    assert sorted(one.status_code for one in answers) == [200, 201]
    assert {one.json()["state"] for one in answers} == {"ready"}
    assert await count(db) == 1


async def test_what_a_rival_made_since_a_request_came_is_left_as_it_is(
    client: httpx2.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = names.newest

    async def late(*args: Any) -> object:
        monkeypatch.setattr(names, "newest", newest)
        await enqueue(db)
        return await newest(*args)

    monkeypatch.setattr(names, "newest", late)
    turned = await client.post(TASK, json={"payload": {"to": "a@b.c"}})
    assert (turned.status_code, turned.json()["state"]) == (200, "ready")
    assert (await client.post(TASK)).json()["state"] == "paused"


async def test_one_that_ends_while_it_is_asked_to_pause_makes_room_for_a_new_one(
    client: httpx2.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, pause = await enqueue(db), jobs.pause

    async def late(*args: Any, **said: Any) -> str:
        await end(db, before, "completed")
        return await pause(*args, **said)

    monkeypatch.setattr(jobs, "pause", late)
    made = await client.post(TASK)
    assert made.status_code == 201
    assert made.json()["job_id"] != before
    action = "select action || ' ' || target || ' ' || details from pillars.audit"
    said = f'job.enqueue {made.json()["job_id"]} {{"name": "mail.send", "created": true}}'
    assert await ask(db, action) == said


async def test_what_was_paused_and_resumed_by_name_is_written_down(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = (await client.post(TASK)).json()["job_id"]
    for _ in range(2):
        await client.post(TASK)
    rows = "select array_agg(action || ' ' || target || ' ' || details order by audit_id) from pillars.audit"
    assert await ask(db, rows) == [
        f'job.enqueue {job_id} {{"name": "mail.send", "created": true}}',
        f'job.pause {job_id} {{"outcome": "paused"}}',
        f"job.resume {job_id} {{}}",
    ]


async def test_behind_a_prefix_the_location_has_it(
    process_with: Make, client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    client = client_of(process_with(prefix="/ops"))
    made = await client.post("/ops/api/tasks/mail.send")
    assert made.headers["location"] == f"/ops/api/jobs/{made.json()['job_id']}"


@pytest.mark.parametrize("name", ["a/pause", "shop:eu/daily.v2", "x/../y"])
async def test_a_name_may_have_anything_in_it_that_names_have(
    client: httpx2.AsyncClient, define: Define, name: str
) -> None:
    await define(name)
    path = f"/api/tasks/{quote(name, safe='')}"
    assert (await client.post(path)).json()["name"] == name
    assert (await client.delete(path)).json()["cancelled"] == 1


# DELETE


async def test_all_unfinished_jobs_of_a_name_are_cancelled_and_counted(
    client: httpx2.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "IDS_AT_ONCE", 300)
    await put(db, 701, name="mail.send")
    running, other = await enqueue(db), await enqueue(db, name="other")
    await run(db, running)
    await end(db, await enqueue(db), "failed")
    gone = await client.delete(TASK)
    assert (gone.status_code, gone.json()) == (202, {"cancelled": 701, "requested": 1, "left": 0})
    assert [await state(db, one) for one in (running, other)] == ["running", "ready"]
    reason = "select distinct last_error from pillars.finished_jobs where state = 'cancelled'"
    assert await ask(db, reason) == "cancelled by loopback"
    row = "select action || ' ' || target || ' ' || details from pillars.audit"
    assert await ask(db, row) == (
        'job.cancel mail.send {"left": 0, "cancelled": 701, "requested": 1}'
    )


async def test_where_none_is_unfinished_nothing_is_cancelled_and_nothing_written_down(
    client: httpx2.AsyncClient, db: str
) -> None:
    await end(db, await enqueue(db, name="gone"), "failed")
    for name in ("mail.send", "gone"):
        answer = await client.delete(f"/api/tasks/{name}")
        assert (answer.status_code, answer.json()) == (
            202,
            {"cancelled": 0, "requested": 0, "left": 0},
        )
    assert await ask(db, "select count(*) from pillars.audit") == 0


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_name_that_nobody_knows_is_a_404_with_the_nearest(
    client: httpx2.AsyncClient, db: str, method: str
) -> None:
    answer = await client.request(method, "/api/tasks/mail.sned")
    assert answer.status_code == 404
    assert answer.json()["detail"] == 'no job named "mail.sned"; did you mean "mail.send"?'
    assert (await client.request(method, "/api/tasks/%00")).status_code == 404
    assert await count(db) == 0


async def test_jobs_of_a_name_that_no_code_defines_any_more_can_be_cancelled_and_turned(
    client: httpx2.AsyncClient, db: str
) -> None:
    await enqueue(db, name="gone")
    assert (await client.post("/api/tasks/gone")).json()["state"] == "paused"
    assert (await client.delete("/api/tasks/gone")).json()["cancelled"] == 1


async def test_age_is_the_databases_and_not_this_machines(
    client: httpx2.AsyncClient, db: str
) -> None:
    await move_clock(db, -timedelta(hours=3))
    assert (await client.post(TASK)).status_code == 201
    assert (await client.post(TASK)).json()["state"] == "paused"


async def test_the_newest_is_found_among_many_others(client: httpx2.AsyncClient, db: str) -> None:
    job_id = await enqueue(db)
    await put(db, 3000, name="other")
    await tell(db, "analyze pillars.jobs")
    assert (await client.post(TASK)).json()["job_id"] == job_id
