"""People's own applications beside our routes, on a real server: what they send and hear passes through untouched."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

import anyio
import httpx2
import pytest
from a2wsgi import WSGIMiddleware
from django.core.handlers.asgi import ASGIHandler
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from flask import Flask, Response, request as asked
from websockets.asyncio.client import connect as connected

import callers  # noqa: F401 - it sets Django up
from pillars.service.process import Process
from pillars.service.serving import serve
from pillars.web.pillar import Web
from support import until

Make = Callable[..., Process]


@asynccontextmanager
async def served(process: Process, app: object) -> AsyncIterator[httpx2.AsyncClient]:
    """The web pillar with their application, and a client of it; stopped as by SIGTERM."""
    urls: list[str] = []
    asgi = Web(process, app).asgi
    limits: Any = {"host": "127.0.0.1", "port": 0, "grace": process.settings.drain}

    async def run() -> None:
        await serve(asgi, stopping=process.stopping, started=urls.append, **limits)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await until(lambda: bool(urls))
        async with httpx2.AsyncClient(base_url=urls[0]) as client:
            yield client
        process.stopping.set()


@pytest.mark.parametrize("prefix", ["", "/ops"])
async def test_each_path_is_answered_by_whose_it_is(process_with: Make, prefix: str) -> None:
    fastapi = FastAPI()

    @fastapi.get("/{path:path}")
    async def everything(path: str) -> str:
        return f"theirs /{path}"

    flask = Flask("theirs")
    flask.add_url_rule("/", view_func=lambda: json.dumps("theirs /"))
    flask.add_url_rule("/<path:path>", "else", lambda path: json.dumps(f"theirs /{path}"))

    for app in (fastapi, WSGIMiddleware(flask)):  # type: ignore[arg-type]
        async with served(process_with(prefix=prefix), app) as client:
            for path in ("/", "/api", "/api/jobs/", "/api/healthy", "/docs/x", "/metric"):
                assert (await client.get(path)).json() == f"theirs {path}"
            for path in ("/api/health/live", "/metrics", "/api/jobs/stats", "/api/openapi.json"):
                assert "theirs" not in (await client.get(prefix + path)).text
                if prefix:
                    assert (await client.get(path)).json() == f"theirs {path}"


async def test_a_lifespan_begins_before_the_first_request_and_ends_after_the_last(
    process_with: Make,
) -> None:
    told: list[str] = []
    begun, go_on = anyio.Event(), anyio.Event()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, int]]:
        told.append("up")
        yield {"answer": 42}
        told.append("down")

    app = FastAPI(lifespan=lifespan)

    @app.get("/slow")
    async def slow(request: Request) -> int:
        begun.set()
        await go_on.wait()
        told.append("answered")
        return int(request.state.answer)

    process = process_with()
    async with served(process, app) as client, anyio.create_task_group() as group:

        async def ask() -> None:
            assert (await client.get("/slow")).json() == 42

        group.start_soon(ask)
        await begun.wait()
        process.stopping.set()
        go_on.set()
    assert told == ["up", "answered", "down"]


async def test_websockets_and_mounted_apps_pass_through(process_with: Make) -> None:
    app, inner = FastAPI(), FastAPI()

    @inner.get("/hello")
    async def hello(request: Request) -> str:
        return str(request.scope["root_path"])

    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())

    app.mount("/inner", inner)

    async with served(process_with(), app) as client:
        assert (await client.get("/inner/hello")).json() == "/inner"
        url = str(client.base_url).replace("http://", "ws://")
        async with connected(f"{url}/echo") as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"


@dataclass(slots=True)
class Halves:
    """A body whose second half waits until the first has come."""

    came: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def came_over_there(self) -> None:
        self.loop.call_soon_threadsafe(self.came.set)

    async def sent(self) -> AsyncIterator[bytes]:
        yield b"one "
        await self.came.wait()
        yield b"two"


def fastapi_that_streams(up: Halves, down: Halves) -> FastAPI:
    app = FastAPI()

    @app.post("/")
    async def read(request: Request) -> str:
        whole = b""
        async for chunk in request.stream():
            whole += chunk
            up.came.set()
        return whole.decode()

    @app.get("/")
    async def write() -> StreamingResponse:
        return StreamingResponse(down.sent(), media_type="text/plain")

    return app


def flask_that_streams(up: Halves, down: Halves) -> Any:
    app = Flask("theirs")

    @app.post("/")
    def read() -> str:
        half = asked.stream.read(4)
        up.came_over_there()
        return json.dumps((half + asked.stream.read()).decode())

    @app.get("/")
    def write() -> Response:
        def words() -> Iterator[bytes]:
            yield b"one "
            asyncio.run_coroutine_threadsafe(down.came.wait(), down.loop).result(20)
            yield b"two"

        return Response(words(), mimetype="text/plain")

    def terminated(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input_terminated"] = True
        return app(environ, start_response)

    return WSGIMiddleware(terminated)


@pytest.mark.parametrize("make", [fastapi_that_streams, flask_that_streams])
async def test_bodies_are_streamed_both_ways(
    process_with: Make, make: Callable[[Halves, Halves], Any]
) -> None:
    up, down = Halves(), Halves()
    async with served(process_with(), make(up, down)) as client:
        assert (await client.post("/", content=up.sent())).json() == "one two"
        async with client.stream("GET", "/") as response:
            halves = response.aiter_text()
            assert await anext(halves) == "one "
            down.came.set()
            assert await anext(halves) == "two"


async def test_views_of_flask_run_side_by_side(process_with: Make) -> None:
    flask, together = Flask("theirs"), Barrier(3)

    @flask.get("/")
    def wait_for_the_others() -> str:
        together.wait(20)
        return "met"

    async with served(process_with(), WSGIMiddleware(flask)) as client:  # type: ignore[arg-type]
        answers = await asyncio.gather(*(client.get("/") for _ in range(3)))
        assert [one.text for one in answers] == ["met"] * 3


async def test_an_application_without_a_lifespan_makes_no_noise(
    process_with: Make, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for app in (ASGIHandler(), WSGIMiddleware(Flask("theirs"))):  # type: ignore[arg-type]
        async with served(process_with(), app) as client:
            assert (await client.get("/api/health/live")).status_code == 200
    assert not [one for one in caplog.records if one.name.startswith("uvicorn")]
    assert "lifespan" not in "".join(capsys.readouterr())


async def test_what_fastapi_raises_is_told_once_and_is_a_500(
    process_with: Make, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    app = FastAPI()

    @app.get("/")
    async def broken() -> None:
        raise ValueError("the tea is cold")

    async with served(process_with(), app) as client:
        assert (await client.get("/")).status_code == 500
    told = "".join(capsys.readouterr())
    assert told.count("request.served") == 1
    assert told.count("ValueError: the tea is cold") == 1
    assert "the tea is cold" not in caplog.text
