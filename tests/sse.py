"""Server-Sent Events as a browser reads them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2

from browsing import serving
from pillars.service.process import Process
from pillars.web.pillar import Web

PATIENCE = 10.0  # seconds for the next event; keep-alives come every 15


@dataclass
class Events:
    """An open stream: its answer, and what it told."""

    response: httpx2.Response
    last_id: str | None = None
    retry: str | None = None
    comments: list[str] = field(default_factory=list)
    _lines: AsyncIterator[str] | None = None

    async def next(self) -> tuple[str, Any] | None:
        """The next event, its name and data; None where the stream has ended."""
        if self._lines is None:
            self._lines = self.response.aiter_lines()
        name, data = "message", list[str]()
        with anyio.fail_after(PATIENCE):
            async for line in self._lines:
                word, _, said = line.partition(": ")
                match word:
                    case "":
                        if line == "" and data:
                            return name, json.loads("\n".join(data))
                        if line != "":
                            self.comments.append(said)
                    case "id":
                        self.last_id = said
                    case "event":
                        name = said
                    case "data":
                        data.append(said)
                    case "retry":
                        self.retry = said
        return None

    async def until(self, *names: str) -> list[tuple[str, Any]]:
        """All events up to the first of one of these names, that one included; up to the end where none is named."""
        found: list[tuple[str, Any]] = []
        while (one := await self.next()) is not None:
            found.append(one)
            if one[0] in names:
                break
        return found

    async def said(self, count: int) -> list[Any]:
        """The bodies of the next so many things that jobs said."""
        bodies: list[Any] = []
        while len(bodies) < count:
            one = await self.next()
            assert one is not None, f"it ended after {bodies}"
            if "body" in one[1]:
                bodies.append(one[1]["body"])
        return bodies


@asynccontextmanager
async def web(process: Process) -> AsyncIterator[str]:
    """A web process on a real socket; its address."""
    async with serving(Web(process, None).asgi) as url:
        yield url


@asynccontextmanager
async def following(
    url: str, *, last_id: str | int | None = None, **options: Any
) -> AsyncIterator[Events]:
    """Follow a stream, as an EventSource does."""
    headers = {"accept": "text/event-stream", **options.pop("headers", {})}
    if last_id is not None:
        headers["last-event-id"] = str(last_id)
    async with (
        httpx2.AsyncClient(timeout=PATIENCE * 2) as client,
        client.stream("GET", url, headers=headers, **options) as response,
    ):
        yield Events(response)
