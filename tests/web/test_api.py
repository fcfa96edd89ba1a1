from collections.abc import Awaitable, Callable
from uuid import uuid4

import httpx2
import pytest

from pillars.service.process import Process
from pillars.store.database import Database
from pillars.store.rows import JobRow
from support import ask, tell

ENQUEUE = "/api/jobs"
Define = Callable[..., Awaitable[None]]


async def enqueued(client: httpx2.AsyncClient, **body: object) -> str:
    response = await client.post(ENQUEUE, json={"name": "mail.send", **body})
    assert response.status_code in {200, 201}, response.text
    return str(response.json()["job_id"])


async def run(db: str, job_id: str) -> None:
    """Hold a job as a worker would."""
    await tell(
        db,
        "update pillars.jobs set locked_by = gen_random_uuid(), lock_token = 1, locked_at = now(), attempt = 1 where job_id = $1",
        job_id,
    )


async def end(db: str, job_id: str, state: str) -> None:
    """End a job as a worker would."""
    await tell(
        db,
        """with gone as (delete from pillars.jobs job where job.job_id = $1 returning job)
           insert into pillars.finished_jobs
           select final.* from gone cross join lateral pillars.ended(gone.job, $2, 'boom') final""",
        job_id,
        state,
    )


async def test_job_json_has_the_columns_of_the_view_in_their_order(db: str) -> None:
    columns = await ask(
        db,
        """select array_agg(column_name::text order by ordinal_position) from information_schema.columns
           where table_schema = 'pillars' and table_name = 'all_jobs'""",
    )
    assert list(JobRow.__dataclass_fields__) == columns


async def test_an_unknown_id_is_a_404(client: httpx2.AsyncClient) -> None:
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        *(("POST", f"/{verb}") for verb in ("retry", "cancel", "pause", "resume")),
    ]:
        response = await client.request(method, f"/api/jobs/{uuid4()}{path}")
        assert (response.status_code, response.headers["content-type"]) == (
            404,
            "application/problem+json",
        )


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "0189-bad",
        "a" * 32,
        "<script>x",
        "{01890a5d-ac96-774b-bcce-b302099a8057}",
        "11890a5d-ac96-774b-bcce-b302099a805",
    ],
)
async def test_a_malformed_id_is_a_404_that_does_not_repeat_it(
    client: httpx2.AsyncClient, text: str
) -> None:
    response = await client.get(f"/api/jobs/{text}")
    assert (response.status_code, response.headers["content-type"]) == (
        404,
        "application/problem+json",
    )
    assert text not in response.text


async def test_a_job_that_is_not_running_is_cancelled_with_200(
    client: httpx2.AsyncClient, db: str
) -> None:
    for method, path in [("DELETE", ""), ("POST", "/cancel")]:
        job_id = await enqueued(client)
        response = await client.request(method, f"/api/jobs/{job_id}{path}")
        assert (response.status_code, response.json()["state"]) == (200, "cancelled")


async def test_the_end_of_a_running_job_is_asked_for_with_202(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueued(client)
    await run(db, job_id)
    response = await client.delete(f"/api/jobs/{job_id}")
    assert (response.status_code, response.json()["state"]) == (202, "running")
    asked = "select cancel_requested_by from pillars.jobs where job_id = $1"
    assert await ask(db, asked, job_id) == "loopback"


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled", "expired"])
async def test_a_final_job_cannot_be_cancelled_and_says_its_state(
    client: httpx2.AsyncClient, db: str, state: str
) -> None:
    job_id = await enqueued(client)
    await end(db, job_id, state)
    response = await client.delete(f"/api/jobs/{job_id}")
    assert (response.status_code, response.json()["state"]) == (409, state)


async def test_a_job_is_paused_and_resumed(client: httpx2.AsyncClient, db: str) -> None:
    job_id = await enqueued(client)
    said = [
        await client.post(f"/api/jobs/{job_id}/{verb}")
        for verb in ("pause", "pause", "resume", "resume")
    ]
    assert [(one.status_code, one.json()["state"]) for one in said] == [
        (200, "paused"), (200, "paused"), (200, "ready"), (200, "ready"),
    ]  # fmt: skip
    assert await ask(db, "select array_agg(action order by audit_id) from pillars.audit") == [
        "job.enqueue", "job.pause", "job.pause", "job.resume",
    ]  # fmt: skip


async def test_the_pause_of_a_running_job_is_asked_for_with_202(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueued(client)
    await run(db, job_id)
    response = await client.post(f"/api/jobs/{job_id}/pause")
    assert (response.status_code, response.json()["state"]) == (202, "running")
    asked = (
        "select paused_by from pillars.jobs where pause_requested_at is not null and job_id = $1"
    )
    assert await ask(db, asked, job_id) == "loopback"
    assert (await client.post(f"/api/jobs/{job_id}/resume")).status_code == 200
    assert await ask(db, asked, job_id) is None


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_a_final_job_can_be_neither_paused_nor_resumed(
    client: httpx2.AsyncClient, db: str, verb: str
) -> None:
    job_id = await enqueued(client)
    await end(db, job_id, "failed")
    response = await client.post(f"/api/jobs/{job_id}/{verb}")
    assert (response.status_code, response.json()["state"]) == (409, "failed")


async def test_a_cancelled_job_that_keeps_no_row_is_answered_all_the_same(
    client: httpx2.AsyncClient, db: str, define: Define
) -> None:
    await define("mail.send", keep="none")
    job_id = await enqueued(client)
    response = await client.delete(f"/api/jobs/{job_id}")
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired"])
async def test_a_retry_makes_a_final_job_ready_under_the_same_id(
    client: httpx2.AsyncClient, db: str, state: str
) -> None:
    job_id = await enqueued(
        client, payload={"i": 1}, unique_key="k", context="why", priority=5, max_attempts=2
    )
    await run(db, job_id)
    await end(db, job_id, state)
    response = await client.post(f"/api/jobs/{job_id}/retry")
    job = response.json()
    assert (response.status_code, job["job_id"], job["state"]) == (200, job_id, "ready")
    assert (job["attempt"], job["crashes"], job["lock_token"]) == (0, 0, None)
    assert (
        job["payload"],
        job["unique_key"],
        job["context"],
        job["priority"],
        job["max_attempts"],
    ) == ({"i": 1}, "k", "why", 5, 2)
    assert await ask(db, "select count(*) from pillars.finished_jobs") == 0
    again = await client.post(f"/api/jobs/{job_id}/retry")
    assert (again.status_code, again.json()["state"]) == (200, "ready")


async def test_a_retry_makes_a_scheduled_job_due_now(client: httpx2.AsyncClient, db: str) -> None:
    job_id = await enqueued(client, run_at="2199-01-01T00:00:00Z")
    response = await client.post(f"/api/jobs/{job_id}/retry")
    assert (response.status_code, response.json()["state"]) == (200, "ready")
    assert await ask(db, "select run_at <= now() from pillars.jobs where job_id = $1", job_id)


async def test_a_running_or_completed_job_cannot_be_retried(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueued(client)
    await run(db, job_id)
    running = await client.post(f"/api/jobs/{job_id}/retry")
    await end(db, job_id, "completed")
    completed = await client.post(f"/api/jobs/{job_id}/retry")
    assert (running.status_code, running.json()["state"]) == (409, "running")
    assert (completed.status_code, completed.json()["state"]) == (409, "completed")


async def test_a_retry_whose_unique_key_is_held_is_a_409_and_changes_nothing(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueued(client, unique_key="k")
    await end(db, job_id, "failed")
    await enqueued(client, unique_key="k")
    response = await client.post(f"/api/jobs/{job_id}/retry")
    assert (response.status_code, response.json()["state"]) == (409, "failed")
    assert "unique_key" in response.json()["detail"]
    assert (
        await ask(db, "select state from pillars.finished_jobs where job_id = $1", job_id)
        == "failed"
    )


async def test_pages_show_every_job_once_newest_first(client: httpx2.AsyncClient, db: str) -> None:
    made = [await enqueued(client) for _ in range(7)]
    await end(db, made[2], "completed")
    await end(db, made[5], "failed")
    seen: list[str] = []
    query: dict[str, str] = {"limit": "3"}
    while True:
        page = (await client.get(ENQUEUE, params=query)).json()
        assert page.keys() == {"items", "next"}
        seen += [job["job_id"] for job in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == made[::-1]


async def test_each_filter_narrows_a_listing(
    client: httpx2.AsyncClient, db: str, define: Define
) -> None:
    await define("a.one", queue="q1", tags=["red", "blue"])
    await define("a.two", queue="q2")
    ready, scheduled = (
        await enqueued(client, name="a.one"),
        await enqueued(client, name="a.two", run_at="2199-01-01T00:00:00Z"),
    )
    failed, running = await enqueued(client, name="a.one"), await enqueued(client, name="a.two")
    await end(db, failed, "failed")
    await run(db, running)

    async def listed(**query: str) -> set[str]:
        return {job["job_id"] for job in (await client.get(ENQUEUE, params=query)).json()["items"]}

    assert await listed(state="ready") == {ready}
    assert await listed(state="scheduled") == {scheduled}
    assert await listed(state="running") == {running}
    assert await listed(state="failed") == {failed}
    assert (
        await listed(state="waiting")
        == await listed(state="paused")
        == await listed(state="expired")
        == set()
    )
    assert await listed(name="a.one") == {ready, failed}
    assert await listed(queue="q2") == {scheduled, running}
    assert await listed(tag="blue") == {ready, failed}
    assert await listed(tag="blue", state="failed", name="a.one", queue="q1") == {failed}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=201", "limit=1000000000", "limit=x", "limit=", "limit=1&limit=2", "limit=%D9%A3",
        "state=done", "state=", "name=a%20b", "queue=", "tag=", "tag=%00", "page=2", "cursor=", "cursor=abc", "cursor=%F0%9F%A6%8A",
        "cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAA", "cursor=AZCoXayWd0u8zrMCCZqAVw",
    ],
)  # fmt: skip
async def test_a_wrong_query_is_a_400(client: httpx2.AsyncClient, query: str) -> None:
    response = await client.get(f"{ENQUEUE}?{query}")
    assert (response.status_code, response.headers["content-type"]) == (
        400,
        "application/problem+json",
    )


async def test_a_cursor_with_any_character_changed_is_a_400(client: httpx2.AsyncClient) -> None:
    for _ in range(2):
        await enqueued(client)
    cursor = (await client.get(ENQUEUE, params={"limit": "1"})).json()["next"]
    for place, character in enumerate(cursor):
        changed = cursor[:place] + ("A" if character != "A" else "B") + cursor[place + 1 :]
        assert (await client.get(ENQUEUE, params={"cursor": changed})).status_code == 400


async def test_stats_count_states_and_queues(
    client: httpx2.AsyncClient, db: str, define: Define
) -> None:
    await define("a.idle", queue="idle")
    await define("mail.send")
    await tell(db, "insert into pillars.queues values ('stopped', now())")
    jobs = [await enqueued(client) for _ in range(6)]
    await enqueued(client, run_at="2199-01-01T00:00:00Z", queue="other")
    await run(db, jobs[0])
    for job_id, state in zip(
        jobs[1:5], ["completed", "failed", "cancelled", "expired"], strict=True
    ):
        await end(db, job_id, state)
    await tell(
        db,
        "update pillars.jobs set run_at = now() - interval '1 minute' where job_id = $1",
        jobs[5],
    )
    stats = (await client.get("/api/jobs/stats")).json()
    assert stats.keys() == {"pending", "processing", "completed", "failed", "states", "queues"}
    assert (stats["pending"], stats["processing"], stats["completed"], stats["failed"]) == (
        2,
        1,
        1,
        1,
    )
    assert stats["states"] == {
        "scheduled": 1, "ready": 1, "running": 1, "waiting": 0, "paused": 0,
        "completed": 1, "failed": 1, "cancelled": 1, "expired": 1,
    }  # fmt: skip
    queues = stats["queues"]
    assert 60 <= queues["default"].pop("oldest_ready_seconds") < 90
    assert queues == {
        "default": {"ready": 1, "running": 1, "paused": False},
        "other": {"ready": 0, "running": 0, "oldest_ready_seconds": 0, "paused": False},
        "idle": {"ready": 0, "running": 0, "oldest_ready_seconds": 0, "paused": False},
        "stopped": {"ready": 0, "running": 0, "oldest_ready_seconds": 0, "paused": True},
    }


async def test_a_wrong_method_is_a_405_that_names_the_right_ones(
    client: httpx2.AsyncClient,
) -> None:
    response = await client.put(ENQUEUE)
    assert (response.status_code, response.headers["content-type"]) == (
        405,
        "application/problem+json",
    )
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


async def test_a_database_that_is_away_is_a_503_that_tells_nothing_of_it(
    process_with: Callable[..., Process], client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    process = process_with()
    process.database = Database("postgresql://secret@127.0.0.1:1/nowhere")
    async with process.database.opened():
        client = client_of(process)
        for response in (await client.get(ENQUEUE), await client.post(ENQUEUE, json={"name": "a"})):
            assert (response.status_code, response.headers["content-type"]) == (
                503,
                "application/problem+json",
            )
            assert response.headers["retry-after"] == "1"
            assert "secret" not in response.text
