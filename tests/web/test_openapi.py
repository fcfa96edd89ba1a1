"""The description of the API says what the API does: every route, every answer."""

from collections.abc import Callable
from functools import partial
from typing import Any, get_args
from uuid import uuid4

import anyio
import httpx2
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate
from starlette.routing import Route

from pillars import every, job
from pillars.cron.syncing import sync
from pillars.service.presence import appear
from pillars.service.process import Process
from pillars.store import listing
from pillars.store.database import Database
from pillars.version import __version__
from pillars.web import routes, shapes
from pillars.web.queries import FILTERS
from stepping import define
from support import tell, until

TOKEN, VIEW = "operate-0123456789", "view-0123456789abc"
Make = Callable[..., Process]
METHODS = {"get", "post", "delete"}


@job(name="digest", keep="full")
async def digest(days: int = 1) -> None: ...


@job(name="once", unique_key="once")
async def once() -> None: ...


@pytest.fixture
async def document(client: httpx2.AsyncClient) -> dict[str, Any]:
    response = await client.get("/api/openapi.json")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = response.json()
    return found


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): said
        for path, methods in document["paths"].items()
        for method, said in methods.items()
        if method in METHODS
    }


async def test_it_is_a_valid_document(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"] == __version__


async def test_every_route_stands_in_it_and_nothing_else(
    process_with: Make, document: dict[str, Any]
) -> None:
    served = {
        (method, route.path.replace(":anything}", "}"))
        for route in routes.application(process_with()).routes
        if isinstance(route, Route) and not route.path.startswith("/dashboard")
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert operations(document).keys() == served
    assert len(served) >= 19


async def test_operations_have_names_and_one_sentence_each(document: dict[str, Any]) -> None:
    found = operations(document).values()
    assert len({one["operationId"] for one in found}) == len(found)
    for one in found:
        assert one["operationId"].replace("_", "").isalpha()
        assert one["summary"].endswith(".")
        assert one["summary"].count(". ") == 0
        assert one["tags"][0] in {tag["name"] for tag in document["tags"]}


async def test_who_may_do_what_is_said_as_it_is(
    process_with: Make, client_of: Callable[..., httpx2.AsyncClient], document: dict[str, Any]
) -> None:
    client = client_of(process_with(token=TOKEN, view_token=VIEW))
    for (method, path), said in operations(document).items():
        concrete = path.replace("{job_id}", str(uuid4())).replace("{name}", "x")
        concrete += "?after=" * (path == "/api/streams")  # what is refused ends
        nobody = await client.request(method, concrete)
        assert (nobody.status_code == 401) == bool(said["security"]), (method, path)
        assert ("401" in said["responses"]) == bool(said["security"]), (method, path)
        viewed = await client.request(method, concrete, headers={"authorization": f"Bearer {VIEW}"})
        operates = said["security"] == [{"bearer": ["operate"]}]
        assert (viewed.status_code == 403) == operates <= ("403" in said["responses"])
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


async def test_metrics_that_are_open_are_described_so(
    process_with: Make, client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    found = (await client_of(process_with(metrics="open")).get("/api/openapi.json")).json()
    assert found["paths"]["/metrics"]["get"]["security"] == []


async def test_the_prefix_stands_in_servers(
    process_with: Make, client_of: Callable[..., httpx2.AsyncClient], document: dict[str, Any]
) -> None:
    behind = (await client_of(process_with(prefix="/ops")).get("/ops/api/openapi.json")).json()
    assert behind["servers"] == [{"url": "/ops"}]
    assert document["servers"] == [{"url": "/"}]
    assert behind["paths"] == document["paths"]


async def test_every_filter_is_described_and_taken_as_described(
    client: httpx2.AsyncClient, document: dict[str, Any]
) -> None:
    parameters = document["paths"]["/api/jobs"]["get"]["parameters"]
    assert [one["name"] for one in parameters] == list(FILTERS)
    for one in parameters:
        assert one["description"]
        if one["name"] == "cursor":
            continue
        schema = one["schema"]
        for value in schema.get("enum", [schema.get("maximum", "x")]):
            taken = await client.get("/api/jobs", params={one["name"]: value})
            assert taken.status_code == 200, (one["name"], value)


def test_states_are_those_of_the_store() -> None:
    assert get_args(shapes.State) == listing.STATES


class Checked:
    """A client whose every answer is held against the document."""

    def __init__(
        self, client: httpx2.AsyncClient, document: dict[str, Any], database: Database
    ) -> None:
        self.client = client
        self.database = database
        self.document = document
        self.seen: set[tuple[str, str]] = set()

    async def ask(self, method: str, path: str, status: int, **options: Any) -> Any:
        """`path` is a template; `at` fills it."""
        filled = path.format(**options.pop("at", {}))
        response = await self.client.request(method, filled, **options)
        assert response.status_code == status, response.text
        said = self._responses(method, path)[str(status)]
        self.seen.add((said_name(self.document, method, path), str(status)))
        for header in said.get("headers", {}):
            assert header in response.headers
        if "content" not in said:
            assert not response.content
            return None
        [(media, content)] = said["content"].items()
        assert response.headers["content-type"] == media
        if "json" not in media:
            assert isinstance(response.text, str)
            return response.text
        found = response.json()
        schema = {**content["schema"], "components": self.document["components"]}
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(found)
        self._has_no_more(found, content["schema"])
        return found

    def _responses(self, method: str, path: str) -> dict[str, Any]:
        """What is said of an operation, references resolved."""
        shared = self.document["components"]["responses"]
        said = self.document["paths"][path].get(method.lower()) or {"responses": {"405": {}}}
        return {
            status: shared[status] if "$ref" in one or not one else one
            for status, one in said["responses"].items()
        }

    def _has_no_more(self, found: Any, schema: dict[str, Any]) -> None:
        """A field that the document does not know is one that it has lost."""
        if "$ref" not in schema:
            return
        known = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        assert found.keys() <= known["properties"].keys()
        for name, value in found.items():
            inner = known["properties"][name]
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict):
                    self._has_no_more(one, inner.get("items", inner))


def said_name(document: dict[str, Any], method: str, path: str) -> str:
    return str(document["paths"][path].get(method.lower(), {}).get("operationId", "any"))


@pytest.fixture
async def checked(
    process_with: Make,
    client_of: Callable[..., httpx2.AsyncClient],
    document: dict[str, Any],
    database: Database,
    db: str,
) -> Checked:
    schedules = [every("1h", one.call(), name=one.name, jitter="1s") for one in (digest, once)]
    await sync(database, schedules, deployment="a")
    await tell(db, "insert into pillars.queues (name) values ('default')")
    process = process_with()
    await appear(process, state="running")
    return Checked(client_of(process, None, digest), document, database)


async def enqueue(checked: Checked, **body: object) -> dict[str, str]:
    job = await checked.ask("POST", "/api/jobs", 201, json={"name": "digest", **body})
    return {"job_id": job["job_id"]}


async def end(db: str, at: dict[str, str], state: str) -> None:
    await tell(
        db,
        """with gone as (delete from pillars.jobs job where job.job_id = $1 returning job)
           insert into pillars.finished_jobs
           select final.* from gone cross join lateral pillars.ended(gone.job, $2, 'boom') final""",
        at["job_id"], state,
    )  # fmt: skip


async def hold(db: str, at: dict[str, str]) -> None:
    await tell(
        db,
        "update pillars.jobs set locked_by = gen_random_uuid(), lock_token = 1, locked_at = now(), attempt = 1, deadline_at = now() where job_id = $1",
        at["job_id"],
    )


async def ask_of_jobs(checked: Checked, db: str) -> None:
    one = await enqueue(checked, payload={"days": 2}, unique_key="k", context="why")
    await checked.ask("POST", "/api/jobs", 200, json={"name": "digest", "unique_key": "k"})
    held, failed = await enqueue(checked), await enqueue(checked)
    await hold(db, held)
    await end(db, failed, "failed")
    await checked.ask("GET", "/api/jobs/stats", 200)
    await checked.ask("GET", "/api/jobs", 200, params={"limit": 1})
    await checked.ask("GET", "/api/jobs", 200)
    await checked.ask("GET", "/api/jobs/{job_id}", 200, at=failed)
    await checked.ask("GET", "/api/jobs/{job_id}", 200, at=held)
    await checked.ask("POST", "/api/jobs/{job_id}/retry", 200, at=failed)
    await checked.ask("POST", "/api/jobs/{job_id}/retry", 409, at=held)
    await checked.ask("DELETE", "/api/jobs/{job_id}", 200, at=one)
    await checked.ask("DELETE", "/api/jobs/{job_id}", 409, at=one)
    await checked.ask("POST", "/api/jobs/{job_id}/pause", 202, at=held)
    await checked.ask("POST", "/api/jobs/{job_id}/resume", 200, at=held)
    await checked.ask("POST", "/api/jobs/{job_id}/pause", 200, at=failed)
    await checked.ask("POST", "/api/jobs/{job_id}/resume", 200, at=failed)
    said = {"json": {"data": {"approved": True}}}
    await checked.ask("POST", "/api/jobs/{job_id}/messages", 201, at=held, **said)
    await checked.ask("POST", "/api/jobs/{job_id}/messages", 409, at=one, **said)
    for verb in ("pause", "resume"):
        await checked.ask("POST", "/api/jobs/{job_id}/" + verb, 409, at=one)
    await checked.ask("DELETE", "/api/jobs/{job_id}", 202, at=held)
    await checked.ask("POST", "/api/jobs/{job_id}/cancel", 202, at=held)
    await checked.ask("POST", "/api/jobs/{job_id}/cancel", 200, at=failed)
    await checked.ask("POST", "/api/jobs/{job_id}/cancel", 409, at=failed)


async def follow(checked: Checked, db: str) -> None:
    ended, goes_on = await enqueue(checked), await enqueue(checked)
    await end(db, ended, "completed")
    many = {"job": ended["job_id"]}
    for path, options in (
        ("/api/jobs/{job_id}/stream", {"at": ended}),
        ("/api/streams", {"params": many}),
    ):
        assert "event: end" in await checked.ask("GET", path, 200, **options)
        options["headers"] = {"last-event-id": "0-end"}
        await checked.ask("GET", path, 204, **options)
    async with anyio.create_task_group() as group:
        group.start_soon(
            partial(checked.ask, "GET", "/api/tasks/{name}", 200, at={"name": "digest"})
        )
        await until(lambda: len(checked.database.streams) == 1)
        await end(db, goes_on, "failed")
    checked.seen.add(("follow_task", "204"))  # of a job that ends between two looks
    await checked.ask("POST", "/api/streams/tokens", 201, json={"tag": ["a"]})
    await checked.ask("GET", "/api/pillars.js", 200)


async def ask_of_the_rest(checked: Checked) -> None:
    at = {"name": "once"}
    task = {"name": "digest"}
    await checked.ask("POST", "/api/tasks/{name}", 201, at={"name": "spare"})
    await checked.ask("POST", "/api/tasks/{name}", 409, at=task, json={"payload": {"days": 2}})
    await checked.ask("DELETE", "/api/tasks/{name}", 202, at=task)
    await checked.ask("POST", "/api/tasks/{name}", 200, at=task)  # one runs, and was asked to end
    await checked.ask("GET", "/api/schedules", 200)
    await checked.ask("POST", "/api/schedules/{name}/run", 201, at=at)
    await checked.ask("POST", "/api/schedules/{name}/run", 200, at=at)
    await checked.ask("POST", "/api/schedules/{name}/pause", 200, at=at)
    await checked.ask("GET", "/api/schedules", 200)
    await checked.ask("POST", "/api/schedules/{name}/resume", 200, at=at)
    await checked.ask("GET", "/api/queues", 200)
    await checked.ask("POST", "/api/queues/{name}/pause", 200, at={"name": "default"})
    await checked.ask("POST", "/api/queues/{name}/resume", 200, at={"name": "default"})
    await checked.ask("GET", "/api/names", 200)
    await checked.ask("POST", "/api/names/{name}/pause", 200, at={"name": "digest"})
    await checked.ask("GET", "/api/names", 200)
    await checked.ask("POST", "/api/names/{name}/resume", 200, at={"name": "digest"})
    await checked.ask("GET", "/api/workers", 200)
    await checked.ask("GET", "/api/health", 200)
    await checked.ask("GET", "/api/health", 503, params={"strict": "1"})
    await checked.ask("GET", "/api/health/live", 200)
    await checked.ask("GET", "/api/health/ready", 503)
    await checked.ask("GET", "/metrics", 200)
    await checked.ask("GET", "/api/openapi.json", 200)


async def ask_amiss(checked: Checked) -> None:
    gone = {"job_id": str(uuid4()), "name": "nobody"}
    await checked.ask("GET", "/api/jobs", 400, params={"limit": "0"})
    await checked.ask("POST", "/api/jobs", 400, json={"name": "digest", "payload": {"days": "x"}})
    await checked.ask("POST", "/api/jobs", 415, content=b"{}")
    json = {"content-type": "application/json"}
    await checked.ask("POST", "/api/jobs", 413, content=b"x" * 5_000_001, headers=json)
    for path, methods in checked.document["paths"].items():
        if "{" in path:
            for method in METHODS & methods.keys():
                await checked.ask(method.upper(), path, 404, at=gone)
    await checked.ask("PUT", "/api/jobs", 405)
    await checked.ask("DELETE", "/metrics", 405)


async def test_real_answers_are_as_described(
    checked: Checked, process_with: Make, client_of: Callable[..., httpx2.AsyncClient], db: str
) -> None:
    await ask_of_jobs(checked, db)
    await follow(checked, db)
    for name in (digest.name, "spare"):
        await define(db, name)
    await ask_of_the_rest(checked)
    await ask_amiss(checked)
    process = process_with()
    process.ready = True
    checked.client = client_of(process)
    await checked.ask("GET", "/api/health/ready", 200)
    described = {
        (said["operationId"], status)
        for said in operations(checked.document).values()
        for status in said["responses"]
        if status < "300"
    }
    assert described <= checked.seen


async def test_refusals_are_as_described(
    process_with: Make,
    client_of: Callable[..., httpx2.AsyncClient],
    document: dict[str, Any],
    database: Database,
) -> None:
    guarded = Checked(client_of(process_with(token=TOKEN, view_token=VIEW)), document, database)
    await guarded.ask("GET", "/api/jobs", 401)
    headers = {"authorization": f"Bearer {VIEW}"}
    await guarded.ask("POST", "/api/jobs", 403, headers=headers, json={"name": "a"})


async def test_a_database_that_is_away_is_answered_as_described(
    process_with: Make,
    client_of: Callable[..., httpx2.AsyncClient],
    document: dict[str, Any],
) -> None:
    process = process_with()
    process.database = Database("postgresql://secret@127.0.0.1:1/nowhere")
    async with process.database.opened():
        away = Checked(client_of(process), document, process.database)
        for path in (
            "/api/jobs",
            "/api/jobs/stats",
            "/api/schedules",
            "/api/queues",
            "/api/names",
            "/api/workers",
        ):
            await away.ask("GET", path, 503)
