from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pillars.errors import ConfigurationError
from pillars.service.process import Process
from pillars.web.pillar import Web

Make = Callable[..., Process]
Clients = Callable[..., httpx2.AsyncClient]


async def theirs(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse(f"theirs {scope['path']}")(scope, receive, send)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/jobs/",
        "/api/healthy",
        "/api/jobs/1/2/3",
        "/api/jobs/1/stop",
        "/dashboards",
        "/API/JOBS",
    ],
)
async def test_every_path_that_is_not_ours_is_theirs(
    process_with: Make, client_of: Clients, path: str
) -> None:
    client = client_of(process_with(), theirs)
    assert (await client.get(path)).text == f"theirs {path}"


async def test_a_path_of_ours_is_never_theirs_whatever_the_method(
    process_with: Make, client_of: Clients
) -> None:
    client = client_of(process_with(), theirs)
    for method in ("GET", "PUT", "OPTIONS", "BREW"):
        for path in (
            "/api/jobs",
            "/api/jobs/stats",
            "/api/jobs/abc",
            "/api/health",
            "/api/health/live",
            "/dashboard/",
            "/dashboard/errors",
            "/dashboard/%0A",
            "/dashboard/a%0D%0Ab/c",
            "/dashboard/queues/a%0Ab/pause",
            "/api/queues/a%0Ab/resume",
            "/api/schedules/%0A/run",
        ):
            assert "theirs" not in (await client.request(method, path)).text


async def test_behind_a_prefix_the_bare_paths_are_theirs(
    process_with: Make, client_of: Clients
) -> None:
    client = client_of(process_with(prefix="/ops"), theirs)
    assert (await client.get("/api/jobs")).text == "theirs /api/jobs"
    assert (await client.get("/api/health/live")).text == "theirs /api/health/live"
    assert (await client.get("/ops/api/health/live")).json() == {"status": "ok"}
    made = await client.post("/ops/api/jobs", json={"name": "a"})
    assert made.headers["location"] == f"/ops/api/jobs/{made.json()['job_id']}"
    assert (await client.get(made.headers["location"])).status_code == 200


async def test_their_scope_is_untouched(process_with: Make) -> None:
    seen: list[dict[str, Any]] = []

    async def record(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope)

    for kind in ("http", "websocket", "lifespan"):
        scope: dict[str, Any] = {
            "type": kind,
            "method": "GET",
            "path": "/api/else",
            "headers": [],
            "query_string": b"",
        }
        before = dict(scope)
        await Web(process_with(), record).asgi(scope, None, None)  # type: ignore[arg-type]
        assert seen[-1] is scope
        assert scope == before


async def test_a_websocket_on_a_path_of_ours_is_theirs(process_with: Make) -> None:
    seen: list[str] = []

    async def record(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    await Web(process_with(), record).asgi({"type": "websocket", "path": "/api/jobs"}, None, None)  # type: ignore[arg-type]
    assert seen == ["websocket"]


async def test_what_their_application_raises_is_a_500_and_a_line_with_the_exception(
    process_with: Make, client_of: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(_request: Request) -> Response:
        raise ValueError("the tea is cold")

    async def bare(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ValueError("the tea is cold")

    for app in (Starlette(routes=[Route("/", broken)]), bare):
        response = await client_of(process_with(), app).get("/")
        assert (response.status_code, response.text) == (500, "Internal Server Error")
        told = "".join(capsys.readouterr())
        assert "the tea is cold" in told
        assert "request.served" in told


async def test_without_an_application_dev_shows_what_to_do_and_prod_nothing(
    process_with: Make, client_of: Clients
) -> None:
    page = await client_of(process_with(prefix="/ops")).get("/")
    assert page.status_code == 200
    assert "[tool.pillars]" in page.text
    assert "/ops/api/health" in page.text
    assert (await client_of(process_with()).get("/else")).status_code == 404
    prod = process_with(env="prod", database_url="postgresql://localhost/x")
    assert (await client_of(prod).get("/")).status_code == 404


def test_a_wsgi_application_is_refused_with_what_to_do(process_with: Make) -> None:
    def wsgi(environ: Any, start_response: Any) -> Any: ...

    with pytest.raises(ConfigurationError, match=r"a2wsgi\.WSGIMiddleware\(app\)"):
        Web(process_with(), wsgi)
    with pytest.raises(ConfigurationError, match="got str"):
        Web(process_with(), "module:app")
