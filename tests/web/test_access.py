import re
from collections.abc import Callable
from uuid import uuid4

import httpx2
import pytest
from starlette.routing import Route

from pillars.service import health
from pillars.service.access import READING, is_cross_site, is_loopback
from pillars.service.process import Process
from pillars.web import routes

TOKEN, VIEW = "operate-0123456789", "view-0123456789abc"
WAYS_IN = {"/dashboard/login", "/dashboard/logout"}
OPEN = {*health.ROUTES, *WAYS_IN, "/dashboard/assets/{name}", "/api/pillars.js"}
FOR_OPERATORS = {"/dashboard/audit"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")


def paths(process: Process) -> list[str]:
    """Every path of the table that asks who asks: no health route, no file of the dashboard, no way into it; with an id where one belongs."""
    table = [route.path for route in routes.application(process).routes if isinstance(route, Route)]
    closed = [path for path in table if path not in OPEN]
    return [re.sub(r"\{.*?\}", str(uuid4()), path) for path in closed]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def guarded(process_with: Callable[..., Process]) -> Process:
    return process_with(token=TOKEN, view_token=VIEW)


async def test_without_a_token_every_route_but_health_answers_401(
    guarded: Process, client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    client = client_of(guarded)
    assert len(paths(guarded)) >= 5
    for path in paths(guarded):
        for method in METHODS:
            response = await client.request(method, path)
            assert response.status_code == 401, (method, path)
            assert response.headers["www-authenticate"] == "Bearer"
    for path in health.ROUTES:
        assert (await client.get(path)).status_code != 401


async def test_the_view_token_reads_and_the_token_operates(
    guarded: Process, client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    client = client_of(guarded)
    for path in paths(guarded):
        for method in METHODS:
            viewed = await client.request(method, path, headers=bearer(VIEW))
            operated = await client.request(method, path, headers=bearer(TOKEN))
            closed = method not in READING or path in FOR_OPERATORS
            assert (viewed.status_code == 403) == closed, (method, path)
            assert operated.status_code not in {401, 403}, (method, path)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": TOKEN},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Bearer {TOKEN.upper()}"},
        {"cookie": f"token={TOKEN}"},
        {"x-api-key": TOKEN},
    ],
)
async def test_nothing_but_the_exact_bearer_token_lets_through(
    guarded: Process, client_of: Callable[..., httpx2.AsyncClient], headers: dict[str, str]
) -> None:
    assert (await client_of(guarded).get("/api/jobs", headers=headers)).status_code == 401


async def test_two_authorization_headers_let_nobody_through(
    guarded: Process, client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    twice = [("authorization", f"Bearer {TOKEN}")] * 2
    assert (await client_of(guarded).get("/api/jobs", headers=twice)).status_code == 401


async def test_a_token_outside_ascii_is_compared_and_refused(
    guarded: Process, client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    odd = [(b"authorization", "Bearer schlüssel".encode())]
    assert (await client_of(guarded).get("/api/jobs", headers=odd)).status_code == 401


async def test_the_token_is_never_taken_from_the_address(
    guarded: Process, client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    assert (await client_of(guarded).get(f"/api/jobs?token={TOKEN}")).status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200), ("127.0.0.1", 200), ("localhost:8000", 200), ("LOCALHOST", 200), ("[::1]:8000", 200),
        ("127.255.0.9:1", 200),
        ("127.0.0.1.evil", 401), ("127.evil.com", 401), ("localhost.", 401), ("localhost.evil", 401), ("evil.localhost", 401),
        ("evil.example", 401), ("", 401), ("0.0.0.0", 401), ("127.0.0.1:8000:1", 401), ("127.1", 401), ("0x7f.0.0.1", 401),
        ("2130706433", 401), ("127.0.0.01", 401), ("::1", 401), ("[::1", 401), ("[::ffff:127.0.0.1]", 401), ("127.0.0.1 ", 200),
        ("user@127.0.0.1", 401), ("127.0.0.1:", 401), ("127.0.0.1:x", 401), ("127.0.0.1/evil", 401), ("192.168.0.1", 401),
    ],
)  # fmt: skip
async def test_without_tokens_only_a_loopback_host_is_answered(
    client: httpx2.AsyncClient, host: str, status: int
) -> None:
    for method in ("GET", "HEAD"):
        answered = await client.request(method, "/api/jobs", headers={"host": host.strip()})
        assert answered.status_code == status


async def test_without_tokens_a_missing_or_double_host_is_refused(
    client: httpx2.AsyncClient, process_with: Callable[..., Process]
) -> None:
    twice = [("host", "127.0.0.1"), ("host", "127.0.0.1")]
    assert (await client.get("/api/jobs", headers=twice)).status_code == 401
    sent: list[int] = []

    async def send(message):  # type: ignore[no-untyped-def]
        sent.append(message.get("status"))

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/jobs",
        "query_string": b"",
        "headers": [],
    }
    await routes.application(process_with())(scope, None, send)  # type: ignore[arg-type]
    assert sent[0] == 401


@pytest.mark.parametrize(
    "name",
    [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "x-forwarded-anything",
        "Via",
        "X-Real-IP",
    ],
)
async def test_without_tokens_what_came_through_a_proxy_is_refused(
    client: httpx2.AsyncClient, name: str
) -> None:
    assert (await client.get("/api/jobs", headers={name: "for=127.0.0.1"})).status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.com"])
async def test_without_tokens_nothing_is_answered_beyond_loopback(
    process_with: Callable[..., Process], client_of: Callable[..., httpx2.AsyncClient], host: str
) -> None:
    client = client_of(process_with(host=host))
    refused = await client.get("/api/jobs")
    assert refused.status_code == 401
    assert "PILLARS_TOKEN" in refused.json()["detail"]
    assert (await client.get("/api/health/live")).status_code == 200


CROSS = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:8000.evil.example"},
    {"origin": "http://127.0.0.1:9000"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]


async def test_no_page_of_another_site_changes_anything(
    guarded: Process, client: httpx2.AsyncClient, client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    with_token = client_of(guarded)
    for path in [*paths(guarded), *WAYS_IN]:
        for method in set(METHODS) - READING:
            for headers in CROSS:
                assert (await client.request(method, path, headers=headers)).status_code == 403
                borne = {**headers, **bearer(TOKEN)}
                assert (await with_token.request(method, path, headers=borne)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:8000"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_own_pages_and_programs_change_what_they_want(
    client: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await client.post("/api/jobs", json={"name": "a"}, headers=headers)).status_code == 201


def test_two_origins_are_cross_site() -> None:
    raw = [(b"host", b"a"), (b"origin", b"http://a"), (b"origin", b"http://a")]
    assert is_cross_site(raw)


def test_loopback_is_told_by_exact_parse() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"]))
    assert not any(
        map(
            is_loopback,
            ["", "0.0.0.0", "::", "localhost.", "127.0.0.1.evil", "128.0.0.1", "::ffff:127.0.0.1"],
        )
    )


async def test_a_route_added_to_the_table_is_closed(
    guarded: Process, client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    application = routes.application(guarded)

    async def leak(_request):  # type: ignore[no-untyped-def]
        raise AssertionError

    application.router.routes.append(Route("/api/new", leak))
    transport = httpx2.ASGITransport(app=application)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        assert (await client.get("/api/new")).status_code == 401
