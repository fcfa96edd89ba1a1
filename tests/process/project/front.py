"""A web application whose lifespan can be made to fail, and which says what it has done."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, str]]:
    fails_at = os.environ.get("FAILS_AT")
    while fails_at:
        if Path(fails_at).exists():
            raise RuntimeError("no licence key")
        await anyio.sleep(0.02)
    yield {"greeting": "hello"}


async def home(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.state.greeting)


app = Starlette(routes=[Route("/", home)], lifespan=lifespan)
