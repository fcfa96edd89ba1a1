"""Whatever is changed over HTTP leaves a row: who, what, to what, from where."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from pages import end, enqueue, run
from pillars import every, job
from pillars.cron.syncing import sync
from pillars.errors import DatabaseTrouble, Trouble
from pillars.service import passwords
from pillars.service.access import READING
from pillars.service.process import Process
from pillars.service.pruning import Pruner
from pillars.store import accounts, audit, listing, queues
from pillars.store.audit import Deed
from pillars.store.database import Database
from pillars.web import routes
from pillars.web.dashboard.entrance import Entrance
from stepping import define
from support import ask, asking, move_clock, tell

TOKEN, VIEW = "operate-0123456789", "view-0123456789abc"
PASSWORD = "correct horse battery"
BEARER = {"authorization": f"Bearer {TOKEN}"}
Make = Callable[..., Process]
Clients = Callable[..., httpx2.AsyncClient]
Rows = Callable[[], Awaitable[list[dict[str, Any]]]]


@job(name="fetch")
async def fetch() -> None: ...


@dataclass(frozen=True, slots=True)
class Change:
    """What a route is asked for, and what its row says then. JOB stands for the id of a job, of which `job` says the state."""

    action: str
    target: str | None = "JOB"
    job: str = "ready"
    said: dict[str, Any] = field(default_factory=dict)
    """What the client is given beside the path."""
    named: str | None = None
    """What stands in the path where it is not the target."""
    details: dict[str, Any] = field(default_factory=dict)


FORM = {"data": {"action": "cancel", "job_id": "JOB"}}
RAN = {"job_id": "?", "created": True}
CHANGES = {
    "POST /api/jobs": Change("job.enqueue", "?", said={"json": {"name": "fetch"}}, details={"name": "fetch", "created": True}),
    "POST /api/tasks/{name}": Change("job.pause", "?", named="mail.send", details={"outcome": "paused"}),
    "DELETE /api/tasks/{name}": Change("job.cancel", "mail.send", details={"cancelled": 2, "requested": 0, "left": 0}),
    "DELETE /api/jobs/{job_id}": Change("job.cancel", details={"outcome": "cancelled"}),
    "POST /api/jobs/{job_id}/cancel": Change("job.cancel", job="running", details={"outcome": "requested"}),
    "POST /api/jobs/{job_id}/pause": Change("job.pause", job="running", details={"outcome": "requested"}),
    "POST /api/jobs/{job_id}/resume": Change("job.resume", job="paused"),
    "POST /api/jobs/{job_id}/messages": Change("job.send", said={"json": {"data": 1}}, details={"outcome": "sent"}),
    "POST /api/jobs/{job_id}/retry": Change("job.retry", job="failed"),
    "POST /api/streams/tokens": Change(
        "stream.grant", None, said={"json": {"job": ["JOB"], "tag": ["red"]}},
        details={"job": ["JOB"], "tag": ["red"], "expires_at": "?"},
    ),
    "POST /api/schedules/{name}/run": Change("schedule.run", "hourly", details=RAN),
    "POST /api/schedules/{name}/pause": Change("schedule.pause", "hourly"),
    "POST /api/schedules/{name}/resume": Change("schedule.resume", "hourly"),
    "POST /api/queues/{name}/pause": Change("queue.pause", "default"),
    "POST /api/queues/{name}/resume": Change("queue.resume", "default"),
    "POST /api/names/{name}/pause": Change("name.pause", "fetch"),
    "POST /api/names/{name}/resume": Change("name.resume", "fetch"),
    "POST /dashboard/jobs": Change("job.cancel", None, said=FORM, details={"job_ids": ["JOB"], "done": 1}),
    "POST /dashboard/jobs/{job_id}/retry": Change("job.retry", job="failed"),
    "POST /dashboard/jobs/{job_id}/cancel": Change("job.cancel", job="running", details={"outcome": "requested"}),
    "POST /dashboard/jobs/{job_id}/pause": Change("job.pause", details={"outcome": "paused"}),
    "POST /dashboard/jobs/{job_id}/resume": Change("job.resume", job="paused"),
    "POST /dashboard/schedules/{name}/run": Change("schedule.run", "hourly", details=RAN),
    "POST /dashboard/schedules/{name}/pause": Change("schedule.pause", "hourly"),
    "POST /dashboard/schedules/{name}/resume": Change("schedule.resume", "hourly"),
    "POST /dashboard/queues/{name}/pause": Change("queue.pause", "default"),
    "POST /dashboard/queues/{name}/resume": Change("queue.resume", "default"),
    "POST /dashboard/names/{name}/pause": Change("name.pause", "fetch"),
    "POST /dashboard/names/{name}/resume": Change("name.resume", "fetch"),
    "POST /dashboard/login": Change("login", None, said={"data": {"password": TOKEN}}),
    "POST /dashboard/logout": Change("logout", None),
}  # fmt: skip


@pytest.fixture
def guarded(process_with: Make, client_of: Clients) -> httpx2.AsyncClient:
    return client_of(process_with(token=TOKEN, view_token=VIEW))


@pytest.fixture
def rows(db: str) -> Rows:
    """Reads the audit trail, oldest first."""

    async def rows() -> list[dict[str, Any]]:
        async with asking(db) as connection:
            found = await connection.fetch(
                "select actor, action, target, address, details from pillars.audit order by audit_id"
            )
        return [{**row, "details": json.loads(row["details"])} for row in found]

    return rows


async def made(db: str, state: str) -> str:
    """A job in a state, in a queue that so has a name."""
    job_id = await enqueue(db)
    await enqueue(db)
    if state == "running":
        await run(db, job_id)
    elif state == "paused":
        await ask(db, "select pillars.pause($1)", UUID(job_id))
    elif state == "failed":
        await end(db, job_id, state)
    return job_id


def test_every_route_that_changes_anything_stands_here(process_with: Make) -> None:
    process = process_with()
    table = routes.table(process, entrance=Entrance(process))
    changing = {
        f"{method} {resource.template}"
        for resource in table
        for method in resource.operations
        if method not in READING
    }
    assert changing == set(CHANGES)


@pytest.mark.parametrize("route", CHANGES)
async def test_a_request_that_changes_something_leaves_one_row(
    guarded: httpx2.AsyncClient, database: Database, db: str, rows: Rows, route: str
) -> None:
    change = CHANGES[route]
    job_id = await made(db, change.job)
    await define(db, fetch.name)
    await sync(database, [every("1h", fetch.call(), name="hourly")], deployment="shop")
    method, _, template = route.partition(" ")
    path = template.format(job_id=job_id, name=change.named or change.target)
    said = json.loads(json.dumps(change.said).replace("JOB", job_id))
    headers = dict(BEARER)
    if route.endswith("logout"):
        entered = await guarded.post("/dashboard/login", data={"password": TOKEN})
        headers = {"cookie": entered.headers["set-cookie"].partition(";")[0]}
        await tell(db, "delete from pillars.audit")
    answer = await guarded.request(method, path, headers=headers, **said)
    assert answer.status_code < 400, answer.text
    [row] = await rows()
    assert (row["actor"], row["action"], row["address"]) == (
        "PILLARS_TOKEN", change.action, "127.0.0.1",
    )  # fmt: skip
    if change.target != "?":
        assert row["target"] == (job_id if change.target == "JOB" else change.target)
    else:
        assert row["target"] == answer.json()["job_id"]
    meant = json.loads(json.dumps(change.details).replace("JOB", job_id))
    assert row["details"].keys() == meant.keys()
    assert {name: row["details"][name] for name, value in meant.items() if value != "?"} == {
        name: value for name, value in meant.items() if value != "?"
    }


@pytest.mark.parametrize("route", [one for one in CHANGES if "log" not in one])
async def test_a_request_that_is_refused_leaves_none(
    guarded: httpx2.AsyncClient, db: str, rows: Rows, route: str
) -> None:
    method, _, template = route.partition(" ")
    await define(db, fetch.name)
    job_id = await made(db, "ready")
    path = template.format(job_id=job_id, name="default")
    for headers in ({}, {"authorization": f"Bearer {VIEW}"}, {**BEARER, "origin": "null"}):
        assert (await guarded.request(method, path, headers=headers)).status_code in {401, 403}
    unknown = template.format(job_id="0" * 8 + "-0000" * 3 + "-" + "0" * 12, name="no/such")
    assert (await guarded.request(method, unknown, headers=BEARER)).status_code in {404, 415}
    assert await rows() == []


async def test_a_job_that_had_ended_leaves_no_row(
    guarded: httpx2.AsyncClient, db: str, rows: Rows
) -> None:
    job_id = await made(db, "failed")
    for root in ("api", "dashboard"):
        answer = await guarded.post(f"/{root}/jobs/{job_id}/cancel", headers=BEARER)
        assert answer.status_code == 409
    assert await rows() == []


async def test_who_did_it_is_the_account_the_token_or_this_machine(
    process_with: Make, client_of: Clients, database: Database, db: str, rows: Rows
) -> None:
    await enqueue(db)
    hashed = passwords.hashed(PASSWORD)
    await accounts.add(database.pool, "ada", scope="operate", password_hash=hashed)
    client = client_of(process_with())
    form = {"name": "ada", "password": PASSWORD}
    entered = await client.post("/dashboard/login", data=form)
    ada = {"cookie": entered.headers["set-cookie"].partition(";")[0]}
    await client.post("/dashboard/queues/default/pause", headers=ada)
    await client.post("/dashboard/queues/default/pause")
    await client.post("/api/queues/default/pause", headers=ada)
    found = [(row["actor"], row["action"]) for row in await rows()]
    assert found == [
        ("ada", "login"), ("ada", "queue.pause"), ("loopback", "queue.pause"), ("loopback", "queue.pause"),
    ]  # fmt: skip


async def test_a_login_that_failed_is_written_down_without_what_was_typed(
    guarded: httpx2.AsyncClient, database: Database, rows: Rows
) -> None:
    await accounts.add(database.pool, "ada", scope="view", password_hash=passwords.hashed(PASSWORD))
    for name, password in (("ada", "my own secret"), ("my own secret", "ada")):
        form = {"name": name, "password": password}
        await guarded.post("/dashboard/login", data=form)
    found = await rows()
    assert [(row["actor"], row["action"], row["target"]) for row in found] == [
        ("nobody", "login.failed", "ada"), ("nobody", "login.failed", None),
    ]  # fmt: skip
    assert "secret" not in str(found)


async def test_nothing_selected_is_nothing_done(guarded: httpx2.AsyncClient, rows: Rows) -> None:
    form = {"action": "cancel"}
    answer = await guarded.post("/dashboard/jobs", data=form, headers=BEARER)
    assert (answer.status_code, await rows()) == (303, [])


async def test_a_row_that_cannot_be_written_is_logged_and_the_answer_stands(
    guarded: httpx2.AsyncClient, db: str, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = await enqueue(db)
    await tell(db, "alter table pillars.audit rename to gone")
    answer = await guarded.delete(f"/api/jobs/{job_id}", headers=BEARER)
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    said = "".join(capsys.readouterr())
    assert "audit.unwritten" in said
    assert job_id in said.partition("audit.unwritten")[2]


async def test_a_change_of_which_no_answer_came_is_written_down_as_unknown(
    guarded: httpx2.AsyncClient, db: str, rows: Rows
) -> None:
    await enqueue(db)
    await tell(
        db,
        "create function public.slow() returns trigger language plpgsql as"
        " $$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$",
    )
    await tell(
        db,
        "create trigger slow before insert on pillars.queues for each row execute function public.slow()",
    )
    answer = await guarded.post("/api/queues/default/pause", headers=BEARER)
    assert answer.status_code == 503
    [row] = await rows()
    assert (row["action"], row["target"], row["details"]) == (
        "queue.pause", "default", {"outcome": "unknown"},
    )  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    ["POST /api/queues/default/pause", "POST /api/queues/default/resume", "DELETE /api/jobs/JOB"],
)
async def test_a_change_of_which_the_answer_could_not_be_read_is_written_down(
    guarded: httpx2.AsyncClient, db: str, rows: Rows, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    method, path = asked.replace("JOB", await enqueue(db)).split()
    find, looks = listing.find, iter([True])

    async def unread(*args: Any) -> Any:
        if method == "DELETE" and next(looks, False):  # before the change
            return await find(*args)
        raise DatabaseTrouble(Trouble.BUSY, "there is no connection to be had")

    monkeypatch.setattr(queues, "find", unread)
    monkeypatch.setattr(listing, "find", unread)
    answer = await guarded.request(method, path, headers=BEARER)
    assert answer.status_code == 503
    [row] = await rows()
    assert row["details"].get("outcome") != "unknown"


async def test_the_page_lists_the_newest_first_and_goes_on(
    guarded: httpx2.AsyncClient, database: Database, db: str
) -> None:
    for number in range(60):
        await audit.write(
            database.pool, Deed(actor=f"user{number}", action="queue.pause", target="default")
        )
    page = (await guarded.get("/dashboard/audit", headers=BEARER)).text
    assert page.index("user59") < page.index("user10")
    assert "user9<" not in page
    [older] = [one.partition('"')[0] for one in page.split('rel="next" href="')[1:]]
    page = (await guarded.get(older, headers=BEARER)).text
    assert page.index("user9<") < page.index("user0<")
    assert "user10<" not in page
    assert 'rel="next"' not in page
    past = await guarded.get("/dashboard/audit?before=1", headers=BEARER)
    assert "No more" in past.text
    for wrong in ("before=x", "before=-1", "before=1&before=2", "before=" + "9" * 30, "after=1"):
        refused = await guarded.get(f"/dashboard/audit?{wrong}", headers=BEARER)
        assert refused.status_code == 400


async def test_only_operators_see_who_did_what(guarded: httpx2.AsyncClient) -> None:
    viewer = {"authorization": f"Bearer {VIEW}"}
    assert (await guarded.get("/dashboard/audit", headers=viewer)).status_code == 403
    overview = await guarded.get("/dashboard", headers=viewer)
    assert "/dashboard/audit" not in overview.text
    assert "/dashboard/audit" in (await guarded.get("/dashboard", headers=BEARER)).text


async def test_what_is_old_is_pruned(
    guarded: httpx2.AsyncClient, process_with: Make, db: str, rows: Rows
) -> None:
    pruner = Pruner(process_with())
    await guarded.post("/dashboard/login", data={"password": TOKEN})
    await move_clock(db, timedelta(days=399))
    await guarded.post("/dashboard/login", data={"password": TOKEN})
    await pruner.prune_once()
    assert len(await rows()) == 2
    assert await ask(db, "select count(*) from pillars.sessions") == 1
    await move_clock(db, timedelta(days=2))
    await pruner.prune_once()
    assert len(await rows()) == 1
    assert await ask(db, "select count(*) from pillars.sessions") == 0
    assert await ask(db, "select count(*) from pillars.login_attempts") == 0
