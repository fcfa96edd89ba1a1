"""What the dashboard's forms do: the effect in the database, and the page that they lead back to. No script takes part."""

import html
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx2
import pytest

from pages import end, enqueue, run, words
from pillars import every, job
from pillars.cron.syncing import sync
from pillars.store.database import Database
from pillars.store.ids import new_id
from support import ask, tell

ODD = ["mail", "a/pause", "shop:eu/daily.v2", "x/../y", "pause"]


@job(name="fetch", unique_key="fetch")
async def fetch() -> None: ...


async def state(db: str, job_id: str) -> str:
    return str(await ask(db, "select state from pillars.all_jobs where job_id = $1", UUID(job_id)))


async def told(client: httpx2.AsyncClient, answer: httpx2.Response) -> str:
    """What the page says to which a form leads."""
    assert answer.status_code == 303, words(answer.text)
    page = await client.get(answer.headers["location"])
    assert page.status_code == 200
    return html.unescape(page.text.partition('id="notice"')[2].partition(">")[2].partition("<")[0])


async def change(
    client: httpx2.AsyncClient, action: str, job_ids: list[str], query: str = ""
) -> httpx2.Response:
    return await client.post(f"/dashboard/jobs{query}", data={"action": action, "job_id": job_ids})


async def test_selected_jobs_run_again_and_the_filters_stay(
    client: httpx2.AsyncClient, db: str
) -> None:
    made = [await enqueue(db, name="a.b", queue="q/1", tags=["x y"]) for _ in range(3)]
    for one in made:
        await end(db, one, "failed")
    query = "?state=failed&name=a.b&queue=q%2F1&tag=x+y"
    answer = await change(client, "retry", made[:2], query)
    assert answer.headers["location"] == f"/dashboard/jobs{query}&said=retried&done=2&left=0"
    assert await told(client, answer) == "2 jobs will run again."
    assert [await state(db, one) for one in made] == ["ready", "ready", "failed"]


async def test_what_cannot_run_again_is_left_and_counted(
    client: httpx2.AsyncClient, db: str
) -> None:
    failed, running, done = [await enqueue(db) for _ in range(3)]
    await end(db, failed, "failed")
    await run(db, running)
    await end(db, done, "completed")
    answer = await change(client, "retry", [failed, running, done, str(uuid4())])
    assert (await told(client, answer)).startswith("1 job will run again, 3 left as they were")
    assert [await state(db, one) for one in (running, done)] == ["running", "completed"]


async def test_scheduled_jobs_are_made_due_with_the_failed_that_run_again(
    client: httpx2.AsyncClient, db: str
) -> None:
    later = datetime.now(UTC) + timedelta(hours=3)
    scheduled, failed = await enqueue(db, run_at=later), await enqueue(db)
    await end(db, failed, "failed")
    answer = await change(client, "retry", [scheduled, failed])
    assert await told(client, answer) == "2 jobs will run again."
    assert [await state(db, one) for one in (scheduled, failed)] == ["ready", "ready"]


async def test_a_retry_that_fails_leaves_all_of_a_batch_as_it_was(
    client: httpx2.AsyncClient, db: str
) -> None:
    made = [await enqueue(db, tags=["bad"] if at == 4 else None) for at in range(5)]
    for one in made:
        await end(db, one, "failed")
    await tell(
        db,
        "alter table pillars.jobs add constraint kept check (tags is null or not tags @> '{bad}')",
    )
    assert (await change(client, "retry", made)).status_code >= 400
    assert [await state(db, one) for one in made] == ["failed"] * 5


async def test_a_schedule_that_was_run_and_left_no_row_leads_back_to_the_schedules(
    client: httpx2.AsyncClient,
) -> None:
    gone = f"/dashboard/jobs/{new_id()}"
    answer = await client.get(f"{gone}?said=schedule-run")
    assert "has ended; no row is kept of it" in await told(client, answer)
    assert (await client.get(gone)).status_code == 404


async def test_selected_jobs_are_cancelled_or_asked_to_stop(
    client: httpx2.AsyncClient, db: str
) -> None:
    ready, running, failed = [await enqueue(db) for _ in range(3)]
    await run(db, running)
    await end(db, failed, "failed")
    answer = await change(client, "cancel", [ready, running, failed])
    said = "1 job cancelled, 1 running asked to stop, 1 had ended before."
    assert await told(client, answer) == said
    assert [await state(db, one) for one in (ready, failed)] == ["cancelled", "failed"]
    asked = "select cancel_requested_by from pillars.jobs where job_id = $1"
    assert await ask(db, asked, UUID(running)) == "loopback"
    why = "select last_error from pillars.finished_jobs where job_id = $1"
    assert await ask(db, why, UUID(ready)) == "cancelled by loopback"


async def test_a_job_is_paused_and_resumed_on_its_page(client: httpx2.AsyncClient, db: str) -> None:
    job_id = await enqueue(db)
    page = f"/dashboard/jobs/{job_id}"
    assert f'action="{page}/pause"' in (await client.get(page)).text
    answer = await client.post(f"{page}/pause")
    assert "nothing of it runs until it is resumed" in await told(client, answer)
    assert await state(db, job_id) == "paused"
    shown = (await client.get(page)).text
    assert "Paused by loopback" in shown
    assert (f'action="{page}/pause"' in shown, f'action="{page}/resume"' in shown) == (False, True)
    assert "The job goes on." in await told(client, await client.post(f"{page}/resume"))
    assert "was not paused" in await told(client, await client.post(f"{page}/resume"))
    assert await state(db, job_id) == "ready"


async def test_a_running_job_is_asked_to_pause_on_its_page(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueue(db)
    await run(db, job_id)
    page = f"/dashboard/jobs/{job_id}"
    answer = await client.post(f"{page}/pause")
    assert "rests at its code" in await told(client, answer)
    assert f'action="{page}/resume"' in (await client.get(page)).text
    await tell(
        db,
        "update pillars.jobs set paused_at = pillars.now(), parked = true, pause_requested_at = null",
    )
    assert "has left no word" in (await client.get(page)).text
    await tell(
        db,
        """insert into pillars.workers (worker_id, role, host, pid, version, deployment, state, slots)
           select locked_by, 'worker', 'here', 1, '0', 'shop', 'running', 1 from pillars.jobs""",
    )
    assert "it keeps its slot" in (await client.get(page)).text


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_a_final_job_is_neither_paused_nor_resumed(
    client: httpx2.AsyncClient, db: str, verb: str
) -> None:
    job_id = await enqueue(db)
    await end(db, job_id, "failed")
    answer = await client.post(f"/dashboard/jobs/{job_id}/{verb}")
    assert (answer.status_code, "it is failed" in answer.text) == (409, True)
    answer = await client.post(f"/dashboard/jobs/{uuid4()}/{verb}")
    assert answer.status_code == 404


async def test_a_form_without_a_selection_says_so_and_changes_nothing(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueue(db)
    assert "tick some rows first" in await told(client, await change(client, "cancel", []))
    assert await state(db, job_id) == "ready"


@pytest.mark.parametrize(
    ("data", "query", "status"),
    [
        ({"action": "delete", "job_id": str(uuid4())}, "", 400),
        ({"job_id": str(uuid4())}, "", 400),
        ({"action": ["retry", "cancel"], "job_id": str(uuid4())}, "", 400),
        ({"action": "retry", "job_id": "x"}, "", 404),
        ({"action": "retry", "job_id": str(uuid4())}, "?state=nope", 400),
        ({"action": "retry", "job_id": [str(uuid4()) for _ in range(201)]}, "", 400),
        ({"action": "retry", "job_id": [str(uuid4()) for _ in range(300)]}, "", 400),
        ({"action": "retry", "more": "x" * 70_000}, "", 413),
    ],
)
async def test_a_form_that_is_none_of_ours_is_refused(
    client: httpx2.AsyncClient, data: Any, query: str, status: int
) -> None:
    assert (await client.post(f"/dashboard/jobs{query}", data=data)).status_code == status


async def test_a_body_that_is_no_form_is_a_415(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/dashboard/jobs", json={"action": "retry"})).status_code == 415


@pytest.mark.parametrize("was", ["failed", "cancelled", "expired"])
async def test_one_job_runs_again(client: httpx2.AsyncClient, db: str, was: str) -> None:
    job_id = await enqueue(db)
    await end(db, job_id, was)
    answer = await client.post(f"/dashboard/jobs/{job_id}/retry")
    assert await told(client, answer) == "The job will run again."
    assert await state(db, job_id) == "ready"


async def test_a_job_that_cannot_run_again_is_a_409_that_says_why(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueue(db)
    await end(db, job_id, "completed")
    retried = await client.post(f"/dashboard/jobs/{job_id}/retry")
    cancelled = await client.post(f"/dashboard/jobs/{job_id}/cancel")
    assert (retried.status_code, cancelled.status_code) == (409, 409)
    assert "A completed job cannot be retried." in words(retried.text)
    assert "The job has ended: it is completed." in words(cancelled.text)


async def test_one_job_is_cancelled_or_asked_to_stop(client: httpx2.AsyncClient, db: str) -> None:
    ready, running = await enqueue(db), await enqueue(db)
    await run(db, running)
    at_once = await told(client, await client.post(f"/dashboard/jobs/{ready}/cancel"))
    asked = await told(client, await client.post(f"/dashboard/jobs/{running}/cancel"))
    assert at_once == "The job is cancelled."
    assert asked == "The job runs; its worker was asked to stop it."
    assert await state(db, ready) == "cancelled"


@pytest.mark.parametrize("name", ODD)
async def test_a_queue_of_any_name_is_paused_and_resumed(
    client: httpx2.AsyncClient, db: str, name: str
) -> None:
    for one in ODD:
        await enqueue(db, queue=one)
    path = f"/dashboard/queues/{quote(name, safe='')}"
    assert f'action="{path}/pause"' in (await client.get("/dashboard/queues")).text
    paused = "select array_agg(name::text) from pillars.queues where paused_at is not null"
    answer = await client.post(f"{path}/pause")
    assert await told(client, answer) == "The queue is paused; what runs goes on."
    assert await ask(db, paused) == [name]
    assert f'action="{path}/resume"' in (await client.get("/dashboard/queues")).text
    assert "claim from the queue again" in await told(client, await client.post(f"{path}/resume"))
    assert await ask(db, paused) is None


@pytest.mark.parametrize("name", ODD)
async def test_a_name_of_any_kind_is_paused_and_resumed(
    client: httpx2.AsyncClient, db: str, define: Callable[..., Any], name: str
) -> None:
    for one in ODD:
        await define(one)
    path = f"/dashboard/names/{quote(name, safe='')}"
    assert f'action="{path}/pause"' in (await client.get("/dashboard/names")).text
    paused = "select array_agg(name::text) from pillars.definitions where paused_at is not null"
    answer = await client.post(f"{path}/pause")
    assert await told(client, answer) == "The name is paused; what runs goes on."
    assert await ask(db, paused) == [name]
    assert f'action="{path}/resume"' in (await client.get("/dashboard/names")).text
    assert "claim jobs of the name again" in await told(client, await client.post(f"{path}/resume"))
    assert await ask(db, paused) is None


@pytest.mark.parametrize("name", ODD)
async def test_a_schedule_of_any_name_is_run_paused_and_resumed(
    client: httpx2.AsyncClient, db: str, database: Database, name: str
) -> None:
    made = [every("1h", fetch.call(), name=one) for one in ODD]
    await sync(database, made, deployment="shop")
    path = f"/dashboard/schedules/{quote(name, safe='')}"
    ran = await client.post(f"{path}/run")
    assert (await told(client, ran)).startswith("The schedule's job was made now")
    job_id = await ask(db, "select job_id from pillars.jobs")
    assert ran.headers["location"] == f"/dashboard/jobs/{job_id}?said=schedule-run"
    again = await client.post(f"{path}/run")
    assert again.headers["location"] == f"/dashboard/jobs/{job_id}?said=schedule-held"
    paused = "select array_agg(name::text) from pillars.schedules where paused_at is not null"
    assert "paused" in await told(client, await client.post(f"{path}/pause"))
    assert await ask(db, paused) == [name]
    assert "ticks again" in await told(client, await client.post(f"{path}/resume"))
    assert await ask(db, paused) is None


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/queues/none/pause",
        "/dashboard/queues/none/resume",
        "/dashboard/names/none/pause",
        "/dashboard/names/none/resume",
        "/dashboard/schedules/none/run",
        "/dashboard/schedules/none/pause",
        "/dashboard/schedules/none/resume",
        "/dashboard/jobs/01890a5d-ac96-774b-bcce-b302099a8057/retry",
        "/dashboard/jobs/01890a5d-ac96-774b-bcce-b302099a8057/cancel",
        "/dashboard/queues/%3Cscript%3E/pause",
    ],
)
async def test_what_is_not_there_is_a_404_in_the_frame(
    client: httpx2.AsyncClient, path: str
) -> None:
    answer = await client.post(path)
    assert answer.status_code == 404
    assert 'id="nav-queues"' in answer.text


async def test_an_unknown_queue_is_told_the_nearest(client: httpx2.AsyncClient, db: str) -> None:
    await enqueue(db, queue="reports")
    answer = await client.post("/dashboard/queues/report/pause")
    assert 'did you mean "reports"?' in words(answer.text)


async def test_every_button_is_a_form_that_works_by_itself(
    client: httpx2.AsyncClient, db: str, database: Database
) -> None:
    job_id = await enqueue(db)
    await end(db, await enqueue(db), "failed")
    await tell(db, "insert into pillars.queues (name, paused_at) values ('still', now())")
    await enqueue(db, queue="still")
    await sync(database, [every("1h", fetch.call(), name="hourly")], deployment="shop")
    pages = ["", "/jobs", f"/jobs/{job_id}", "/queues", "/schedules"]
    found = 0
    for path in pages:
        for form in Forms((await client.get(f"/dashboard{path}")).text).forms:
            if form.get("method") != "post":
                continue
            found += 1
            assert form["buttons"], form
            data = {"action": "retry", "job_id": job_id}
            answer = await client.post(form["action"], data=data)
            assert answer.status_code in {303, 409}, form
    assert found >= 6


@pytest.mark.parametrize(
    "query",
    ["said=<script>alert(1)</script>", "said=retried&done=<b>x</b>", "said=nothing", "said="],
)
async def test_a_message_never_comes_from_the_address(
    client: httpx2.AsyncClient, query: str
) -> None:
    page = await client.get(f"/dashboard/jobs?{query}")
    assert page.status_code == 200
    assert "alert(1)" not in page.text
    assert "<b>x</b>" not in page.text


class Forms(HTMLParser):
    """The forms of a page with the buttons that send them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "form":
            self.forms.append({**dict(attrs), "buttons": 0})
        elif tag == "button" and self.forms and dict(attrs).get("type", "submit") == "submit":
            self.forms[-1]["buttons"] += 1
