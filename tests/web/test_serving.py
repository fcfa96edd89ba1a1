import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pillars.errors import ConfigurationError, StartupFailed
from pillars.service.health import serve_health
from pillars.service.process import Process
from pillars.service.serving import serve
from pillars.web.pillar import Web
from support import until

Make = Callable[..., Process]
GRACE = timedelta(seconds=3)


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[tuple[str, anyio.Event, anyio.Event]]:
    """An application on a real socket: its URL, the event that stops it, and the one that it sets when it has stopped."""
    stopping, stopped, urls = anyio.Event(), anyio.Event(), list[str]()
    given = {"host": "127.0.0.1", "port": 0, "grace": GRACE, **options}

    async def run() -> None:
        await serve(app, stopping=stopping, started=urls.append, **given)
        stopped.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await until(lambda: bool(urls))
        yield urls[0], stopping, stopped
        stopping.set()
        await stopped.wait()


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


async def test_it_serves_and_returns_soon_after_it_is_told_to_stop() -> None:
    async with (
        serving(Starlette(routes=[Route("/", hello)])) as (url, stopping, stopped),
        httpx2.AsyncClient() as client,
    ):
        assert (await client.get(url)).text == "hello"
        begun = time.monotonic()
        stopping.set()
        await stopped.wait()
        assert time.monotonic() - begun < 1
        with pytest.raises(httpx2.ConnectError):
            await client.get(url)


async def test_a_request_under_way_is_finished() -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    async def slow(_request: Request) -> Response:
        begun.set()
        await go_on.wait()
        return PlainTextResponse("done")

    answers: list[str] = []

    async def ask(url: str) -> None:
        async with httpx2.AsyncClient() as client:
            answers.append((await client.get(url)).text)

    async with serving(Starlette(routes=[Route("/", slow)])) as (url, stopping, stopped):
        async with anyio.create_task_group() as group:
            group.start_soon(ask, url)
            await begun.wait()
            stopping.set()
            await anyio.sleep(0.2)
            assert not stopped.is_set()
            go_on.set()
        await stopped.wait()
    assert answers == ["done"]


async def test_an_open_event_stream_of_theirs_does_not_hold_the_exit() -> None:
    ended = anyio.Event()

    async def endless(_request: Request) -> Response:
        async def events() -> AsyncIterator[str]:
            try:
                yield "data: 1\n\n"
                await anyio.sleep_forever()
            finally:
                ended.set()

        return StreamingResponse(events(), media_type="text/event-stream")

    app = Starlette(routes=[Route("/", endless)])
    async with (
        serving(app) as (url, stopping, stopped),
        httpx2.AsyncClient() as client,
        client.stream("GET", url) as stream,
    ):
        texts = stream.aiter_text()  # dropped, it would hang up
        assert await anext(texts) == "data: 1\n\n"
        begun = time.monotonic()
        stopping.set()
        await stopped.wait()
        assert time.monotonic() - begun < 1.5
        assert ended.is_set()


async def test_what_never_ends_is_cut_after_the_grace(caplog: pytest.LogCaptureFixture) -> None:
    begun = anyio.Event()

    async def stuck(_request: Request) -> Response:
        begun.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def ask(url: str) -> None:
        async with httpx2.AsyncClient() as client:
            with contextlib.suppress(httpx2.HTTPError):
                await client.get(url, timeout=30)

    app = Starlette(routes=[Route("/", stuck)])
    async with (
        anyio.create_task_group() as group,
        serving(app, grace=timedelta(seconds=1)) as (url, stopping, stopped),
    ):
        group.start_soon(ask, url)
        await begun.wait()
        stopping.set()
        with anyio.fail_after(4):
            await stopped.wait()


async def test_in_the_pause_it_still_answers_and_is_no_longer_ready(process_with: Make) -> None:
    process = process_with()
    process.ready = True
    app = Web(process, None).asgi
    async with (
        serving(app, pause=timedelta(seconds=1)) as (url, stopping, _),
        httpx2.AsyncClient() as client,
    ):
        assert (await client.get(f"{url}/api/health/ready")).status_code == 200
        process.stopping.set()
        stopping.set()
        assert (
            await client.get(f"{url}/api/health/ready", headers={"connection": "close"})
        ).status_code == 503
        assert (
            await client.get(f"{url}/api/health/live", headers={"connection": "close"})
        ).status_code == 200


async def test_a_port_in_use_is_one_clear_line_before_their_lifespan_runs() -> None:
    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError(scope)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=f"^port {port} is in use; set PORT or stop the other process$"
        ):
            await serve(
                app, host="127.0.0.1", port=port, stopping=anyio.Event(), started=print, grace=GRACE
            )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
async def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST: expected an address of this machine"):
        await serve(
            Starlette(), host=host, port=0, stopping=anyio.Event(), started=print, grace=GRACE
        )


async def test_ipv6_is_served_and_shown_in_brackets() -> None:
    async with (
        serving(Starlette(routes=[Route("/", hello)]), host="::1") as (url, *_),
        httpx2.AsyncClient() as client,
    ):
        assert url.startswith("http://[::1]:")
        assert (await client.get(url)).text == "hello"


async def test_their_lifespan_runs_and_its_state_reaches_their_requests(process_with: Make) -> None:
    told: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[dict[str, str]]:
        told.append("up")
        yield {"answer": "42"}
        told.append("down")

    async def show(request: Request) -> Response:
        return PlainTextResponse(request.state.answer)

    app = Web(process_with(), Starlette(routes=[Route("/", show)], lifespan=lifespan)).asgi
    async with serving(app) as (url, *_), httpx2.AsyncClient() as client:
        assert (await client.get(url)).text == "42"
    assert told == ["up", "down"]


async def test_an_application_that_refuses_lifespans_is_served(process_with: Make) -> None:
    async def django(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(f"Django can only handle ASGI/HTTP connections, not {scope['type']}.")
        await PlainTextResponse("django")(scope, receive, send)

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await PlainTextResponse("silent")(scope, receive, send)

    for app, text in ((django, "django"), (silent, "silent")):
        async with (
            serving(Web(process_with(), app).asgi) as (url, *_),
            httpx2.AsyncClient() as client,
        ):
            assert (await client.get(url)).text == text


async def test_a_start_up_that_fails_stops_the_pillar_with_its_message_and_no_other_line(
    process_with: Make, caplog: pytest.LogCaptureFixture
) -> None:
    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        raise RuntimeError("no licence key")
        yield

    process = process_with(port=0)
    with pytest.raises(StartupFailed, match="did not start: RuntimeError: no licence key"):
        await Web(process, Starlette(lifespan=lifespan)).run()
    assert not process.ready
    assert not caplog.records


async def test_what_their_start_up_logs_to_uvicorns_logger_is_said(
    process_with: Make, caplog: pytest.LogCaptureFixture
) -> None:
    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        logging.getLogger("uvicorn.error").warning("no cache is set")
        raise RuntimeError("no licence key")
        yield

    with pytest.raises(StartupFailed):
        await Web(process_with(port=0), Starlette(lifespan=lifespan)).run()
    assert [record.message for record in caplog.records] == ["no cache is set"]


async def test_a_start_up_that_hangs_does_not_outlive_the_grace(process_with: Make) -> None:
    begun = anyio.Event()

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        begun.set()
        await anyio.sleep_forever()
        yield

    process = process_with(port=0, drain="100ms")
    async with anyio.create_task_group() as group:
        group.start_soon(Web(process, Starlette(lifespan=lifespan)).run)
        await begun.wait()
        process.stopping.set()
        with anyio.fail_after(3):
            await until(lambda: not group._tasks)  # type: ignore[attr-defined]


async def test_the_pillar_is_ready_while_it_serves_and_says_so_once(
    process_with: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    process = process_with(port=0)
    async with anyio.create_task_group() as group:
        group.start_soon(Web(process, None).run)
        await until(lambda: process.ready)
        process.stopping.set()
    assert not process.ready
    assert "".join(capsys.readouterr()).count("web.ready") == 1


@pytest.mark.parametrize(
    ("flags", "warned"),
    [
        ({"host": "0.0.0.0"}, True),
        ({"host": "127.0.0.1"}, False),
        ({"host": "0.0.0.0", "token": "0123456789abcdef"}, False),
    ],
)
def test_a_server_that_will_answer_nobody_says_so_when_it_starts(
    process_with: Make, capsys: pytest.CaptureFixture[str], *, flags: dict[str, Any], warned: bool
) -> None:
    Web(process_with(**flags), None)._started("http://somewhere")
    said = "".join(capsys.readouterr())
    assert ("all is answered with 401; set PILLARS_TOKEN" in said) is warned


async def test_the_health_port_answers_until_it_is_cancelled(process_with: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    process = process_with(health_port=port)
    url = f"http://127.0.0.1:{port}/api/health/ready"

    async with httpx2.AsyncClient() as client:

        async def answers() -> bool:
            with contextlib.suppress(httpx2.ConnectError):
                return (await client.get(url)).status_code == 503
            return False

        async with anyio.create_task_group() as group:
            group.start_soon(serve_health, process)
            await until(answers)
            process.ready = True
            assert (await client.get(url)).status_code == 200
            process.stopping.set()
            assert (await client.get(url)).status_code == 503
            group.cancel_scope.cancel()
        with pytest.raises(httpx2.TransportError):  # also on the connection that it kept
            await client.get(url)


async def test_a_taken_health_port_names_its_own_setting(process_with: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = process_with(health_port=taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match="set PILLARS_HEALTH_PORT"):
            await serve_health(process)


async def test_200_slow_clients_do_not_slow_the_others_down(process_with: Make) -> None:
    async with serving(Web(process_with(), None).asgi) as (url, *_), httpx2.AsyncClient() as client:
        host, _, port = url.removeprefix("http://").partition(":")
        with contextlib.ExitStack() as stack:
            for _ in range(200):
                slow = stack.enter_context(socket.create_connection((host, int(port))))
                slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: ")
            begun = time.monotonic()
            assert (await client.get(f"{url}/api/health/live")).status_code == 200
            assert time.monotonic() - begun < 1
