"""Secrets among arguments and results: hidden in every answer and page, and handed to the job as they are."""

from collections.abc import Callable

import httpx2

from pages import words
from pillars import job
from pillars.service.process import Process
from pillars.store.database import Database
from support import ask, running, until, worker_for

SECRET = "hunter2hunter2"
seen: list[str] = []


@job(name="login", backoff="0s", max_attempts=3)
async def login(password: str, options: dict[str, str]) -> dict[str, str]:
    seen.append(password + options["apiKey"])
    if len(seen) == 1:
        raise ValueError(f"{password} was refused")
    return {"token": password, "user": "me"}


async def test_a_secret_argument_is_shown_to_nobody_and_reaches_its_job(
    client_of: Callable[..., httpx2.AsyncClient],
    process_with: Callable[..., Process],
    database: Database,
    db: str,
) -> None:
    seen.clear()
    client = client_of(process_with(), None, login)
    body = {
        "name": "login",
        "payload": {"password": SECRET, "options": {"apiKey": SECRET, "n": "1"}},
    }
    made = await client.post("/api/jobs", json=body)
    shown = {"password": "[redacted]", "options": {"apiKey": "[redacted]", "n": "1"}}
    assert made.json()["payload"] == shown
    job_id = made.json()["job_id"]
    async with running(worker_for(database, login)):
        await until(lambda: ask(db, "select count(*) = 1 from pillars.finished_jobs"))
    assert seen == [SECRET * 2] * 2, "also at its second attempt"
    assert await login.handle(job_id).result(timeout="5s") == {"token": SECRET, "user": "me"}
    one = (await client.get(f"/api/jobs/{job_id}")).json()
    assert (one["payload"], one["result"]) == (shown, {"token": "[redacted]", "user": "me"})
    assert one["last_error"] == "ValueError: *** was refused"
    [listed] = (await client.get("/api/jobs")).json()["items"]
    assert listed == one
    page = await client.get(f"/dashboard/jobs/{job_id}")
    assert "Put in yourself what is redacted." in words(page.text)
    for path in (
        f"/dashboard/jobs/{job_id}",
        "/dashboard/jobs",
        "/api/jobs",
        f"/api/jobs/{job_id}",
    ):
        text = (await client.get(path)).text
        assert "[redacted]" in text, path
        assert SECRET not in text, path
    assert SECRET in await ask(db, "select payload::text from pillars.finished_jobs")
    again = await client.post(f"/api/jobs/{job_id}/retry")
    assert SECRET not in again.text


async def test_a_long_payload_whose_secret_is_longer_than_its_mark_is_shown(
    client: httpx2.AsyncClient, db: str
) -> None:
    payload = "jsonb_build_object('token', repeat('s', 5000), 'z', repeat('y', 96000))"
    job_id = await ask(db, f"select pillars.enqueue('login', {payload})")
    page = await client.get(f"/dashboard/jobs/{job_id}")
    assert page.status_code == 200
    assert "Cut: it is longer." in words(page.text)
    assert "ssss" not in page.text
