"""A wire between a process and Postgres that a test holds in its hands."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

CHUNK = 1 << 16
LONGEST_TRAP = 256
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing drops what is unsent and says so


class Relay:
    """Passes bytes both ways between loopback and a server, until it is told otherwise.

    What a black hole keeps back is passed on when it heals, as TCP does when a network comes back: also what a client asked for
    that has long given up.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._passing = asyncio.Event()
        self._passing.set()
        self._asked: bytes | None = None
        self._answered: bytes | None = None
        self._lines: set[asyncio.Task[None]] = set()
        self._port = 0
        self.accepted = 0
        """How many connections there were."""
        self.asked = 0
        """How many pieces have come from the process: about one a statement, and one for what opens and ends a transaction."""

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        """The server's URL, by way of this relay."""
        parts = urlsplit(self._server)
        user, at, _ = parts.netloc.rpartition("@")
        return f"postgresql://{user}{at}127.0.0.1:{self._port}{parts.path}"

    @property
    def passing(self) -> bool:
        return self._passing.is_set()

    def blackhole(self) -> None:
        """Pass nothing on and close nothing: neither end can tell. New connections are accepted and hear nothing."""
        self._passing.clear()

    def blackhole_at(self, *, asked: bytes | None = None, answered: bytes | None = None) -> None:
        """Become a black hole when these bytes come by, from the process or from the server: they are kept back already."""
        self._asked, self._answered = asked, answered

    def heal(self) -> None:
        """Pass everything on again, what was kept back first."""
        self._asked = self._answered = None
        self._passing.set()

    def lead_to(self, server: str) -> None:
        """Reset every connection, as `cut` does; new ones reach this server, as by an address that has moved."""
        self._server = server
        self.cut()

    def cut(self) -> None:
        """Reset every connection: what was on its way is gone, and both ends can tell. New ones pass."""
        for line in self._lines:
            line.cancel()
        self.heal()

    @asynccontextmanager
    async def opened(self, end: socket.socket | None = None) -> AsyncIterator["Relay"]:
        """Carry for the block, from `end` where it is given: a listening socket, of another network perhaps."""
        if end is None:
            end = socket.create_server(("127.0.0.1", 0))
        server = await asyncio.start_server(self._accept, sock=end)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            lines = set(self._lines)
            self.cut()
            await asyncio.gather(*lines, return_exceptions=True)
            await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        line = asyncio.create_task(self._carry(reader, writer))
        self._lines.add(line)
        line.add_done_callback(self._lines.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, to its end at either side or to a cut."""
        ends = [writer]
        try:
            await self._passing.wait()
            try:
                answers, questions = await _connected(self._server)
            except OSError:
                return  # nobody is there: the client is hung up on
            ends.append(questions)
            pumps = [
                asyncio.create_task(self._pump(reader, questions, asked=True)),
                asyncio.create_task(self._pump(answers, writer, asked=False)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
            await _closed(*ends)
        finally:
            for end in ends:
                _reset(end)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, asked: bool
    ) -> None:
        before = b""
        with suppress(OSError):
            while chunk := await source.read(CHUNK):
                self.asked += asked
                trap = self._asked if asked else self._answered
                # Also where it came in two pieces; but not what has passed already.
                if trap is not None and trap in before[len(before) - len(trap) + 1 :] + chunk:
                    self.blackhole()
                before = chunk[-LONGEST_TRAP:]
                await self._passing.wait()
                sink.write(chunk)
                await sink.drain()
        await self._passing.wait()  # an end of the connection does not pass a black hole either


async def _connected(server: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(server)
    said = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    host, port = said.get("host") or parts.hostname or "localhost", said.get("port") or parts.port
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port or 5432}")
    return await asyncio.open_connection(host, int(port or 5432))


async def _closed(*ends: asyncio.StreamWriter) -> None:
    for end in ends:
        end.close()
    with suppress(OSError):
        await asyncio.gather(*(end.wait_closed() for end in ends))


def _reset(end: asyncio.StreamWriter) -> None:
    held: socket.socket | None = end.get_extra_info("socket")
    if end.is_closing() or held is None:
        return
    if held.family == socket.AF_INET:
        with suppress(OSError):
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    end.transport.abort()


@asynccontextmanager
async def relayed(server: str) -> AsyncIterator[Relay]:
    """A relay to this database for the block."""
    async with Relay(server).opened() as relay:
        yield relay
