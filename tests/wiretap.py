"""A relay before Postgres that keeps what a client sends, message by message."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

WORDS = {b"P": 2, b"B": 2, b"Q": 1}


@dataclass(frozen=True)
class Sent:
    """One message of the frontend: its type's letter, and the names or the SQL in it."""

    kind: str
    words: tuple[str, ...]


@asynccontextmanager
async def wiretap(url: str) -> AsyncIterator[tuple[str, list[list[Sent]]]]:
    """The URL of a relay before `url` (TCP), and a list for each connection of what was sent on it."""
    place = urlsplit(url)
    conversations: list[list[Sent]] = []
    serving: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            serving.append(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            from_server, to_server = await asyncio.open_connection(place.hostname, place.port)
            back = asyncio.create_task(_pass_on(from_server, writer))
            try:
                conversations.append([])
                await _listen(reader, to_server, conversations[-1])
            finally:
                to_server.close()
                await back

    relay = await asyncio.start_server(serve, "127.0.0.1")
    port = relay.sockets[0].getsockname()[1]
    async with relay:
        yield (
            f"postgresql://{place.username}@127.0.0.1:{port}{place.path}?sslmode=disable",
            conversations,
        )
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)


async def _listen(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[Sent]
) -> None:
    kind = b""  # the startup message has none
    while True:
        length = await reader.readexactly(4)
        body = await reader.readexactly(int.from_bytes(length) - 4)
        writer.write(kind + length + body)
        words = body.split(b"\0")[: WORDS.get(kind, 0)]
        heard.append(Sent(kind.decode(), tuple(word.decode("utf-8", "replace") for word in words)))
        kind = await reader.readexactly(1)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
