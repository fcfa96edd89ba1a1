"""Something between a client and the server, which may change what the server says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from pillars.settings.hosts import hosts_of

Change = Callable[[bytes], bytes]
NOBODY = "127.0.0.1:1"
"""A place where nobody listens."""


def standby(said: bytes) -> bytes:
    """What a primary says, as a standby says it."""
    return said.replace(b"S\0\0\0\x17in_hot_standby\0off\0", b"S\0\0\0\x16in_hot_standby\0on\0")


def place(url: str) -> str:
    """The one host of a URL, with its port."""
    [host] = hosts_of(url)
    return str(host)


def several(db: str, *places: str) -> str:
    """The URL of a database that may be at any of these places."""
    return f"postgresql://app@{','.join(places)}{urlsplit(db).path}"


@asynccontextmanager
async def relay(db: str, change: Change) -> AsyncIterator[str]:
    """The URL of a way to `db` on which what the server sends is changed, a chunk at a time."""
    ways: set[asyncio.Task[None]] = set()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await _server(db)
        for one, other, changed in ((reader, to_server, bytes), (from_server, writer, change)):
            ways.add(asyncio.create_task(_carry(one, other, changed)))

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    parts = urlsplit(db)
    try:
        yield f"postgresql://{parts.username or 'postgres'}@127.0.0.1:{port}{parts.path}?sslmode=disable"
    finally:
        server.close()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _server(db: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(db)
    query = parse_qs(parts.query)
    host = (query.get("host") or [parts.hostname or "127.0.0.1"])[-1]
    port = (query.get("port") or [str(parts.port or 5432)])[-1]
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, int(port))


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: Change
) -> None:
    try:
        while content := await reader.read(65_536):
            writer.write(change(content))
            await writer.drain()
    finally:
        writer.close()
