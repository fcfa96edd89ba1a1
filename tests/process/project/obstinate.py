"""A web application with a task of its own, and a request that never ends and heeds no cancellation."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def beside() -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        sys.stderr.write("beside.ended\n")


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, object]]:
    yield {"beside": asyncio.create_task(beside())}


async def wait(_request: Request) -> Response:
    sys.stderr.write("request.begun\n")
    while True:
        with contextlib.suppress(BaseException):
            await asyncio.sleep(1)


app = Starlette(routes=[Route("/", wait)], lifespan=lifespan)
