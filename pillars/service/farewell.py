"""Ending other people's event streams when the process stops.

uvicorn waits for open responses, and a stream of events has no end of its own: one open page would hold the exit for the whole
grace, and the stream would be cut with a traceback. What every framework watches is its client's leaving, so that is what it is told.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import anyio

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Farewell:
    """Passes everything on; once `stopping` is set, a response of `text/event-stream` hears `http.disconnect`."""

    def __init__(self, app: ASGIApp, stopping: anyio.Event) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stream = anyio.Event()
        body_read = False

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_stream(message):
                stream.set()
            await send(message)

        async def heard() -> Message:
            nonlocal body_read
            if body_read:
                return await self._disconnect(receive, stream)
            message = await receive()
            body_read = not message.get("more_body", False)
            return message

        await self._app(scope, heard, told)

    async def _disconnect(self, receive: Receive, stream: anyio.Event) -> Message:
        """The client's leaving, or ours."""
        message: Message = {"type": "http.disconnect"}

        async def stop() -> None:
            await stream.wait()
            await self._stopping.wait()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(stop)
            message = await receive()
            group.cancel_scope.cancel()
        return message


def _is_stream(message: Message) -> bool:
    for name, value in message.get("headers", ()):
        if bytes(name).lower() == b"content-type":
            return bytes(value).lower().startswith(b"text/event-stream")
    return False
