"""One connection to one server: made, told how to be kept alive, and cut where it is not to be had as it must be.

A network that goes away without a word leaves a connection that waits, as LISTEN does, open for ever: nothing is sent, so nothing
fails. So both ends of every connection over TCP ask for a sign of life, and part when none comes.
"""

import asyncio
import socket
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from pillars.errors import DatabaseTrouble, Trouble
from pillars.settings.hosts import Host
from pillars.store.lending import Recodable
from pillars.store.rows import Yes
from pillars.store.statements import Statement
from pillars.store.trouble import told

WRITES = Statement("pooler/writes", Yes)

CONNECT_TIMEOUT = timedelta(seconds=5)
LEAST_TIMEOUT = timedelta(seconds=2)  # for one of many hosts
PROBED_AFTER = 5  # seconds without a word
PROBED_EVERY = 3  # seconds
PROBES = 3
GONE_AFTER = PROBED_AFTER + PROBES * PROBED_EVERY  # seconds: less than half of a usual lock
PROBED_BY_SERVER = {
    "tcp_keepalives_idle": str(PROBED_AFTER),
    "tcp_keepalives_interval": str(PROBED_EVERY),
    "tcp_keepalives_count": str(PROBES),
    "tcp_user_timeout": str(GONE_AFTER * 1000),
}
PROBED_BY_US = {
    "TCP_KEEPIDLE": PROBED_AFTER,
    "TCP_KEEPALIVE": PROBED_AFTER,  # the same on macOS
    "TCP_KEEPINTVL": PROBED_EVERY,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": GONE_AFTER * 1000,
}

Found = TypeVar("Found")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Ours(Recodable):
    """Is kept alive, and can be lent."""

    def __init__(self, protocol: Any, transport: asyncio.Transport, *args: Any) -> None:
        super().__init__(protocol, transport, *args)
        _keep_alive(transport.get_extra_info("socket"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a connection is to be like."""

    settings: Mapping[str, str]
    """Of the server."""
    pooled: bool
    """Fit for a pooler, which refuses all settings but the name."""
    host: Host | None = None
    """Which of the URL's hosts."""
    writes: bool = False
    """Only to a server that takes writes."""
    timeout: timedelta = CONNECT_TIMEOUT


async def dial(url: str, wish: Wish) -> Connection:
    """Connect; raises what asyncpg raises, and `DatabaseTrouble` of a server that takes no writes."""
    named = {"application_name": wish.settings["application_name"]}
    connection: Connection = await asyncpg.connect(
        url,
        host=wish.host.name if wish.host else None,
        port=wish.host.port if wish.host else None,
        timeout=wish.timeout.total_seconds(),
        statement_cache_size=0 if wish.pooled else 100,
        server_settings=named if wish.pooled else {**PROBED_BY_SERVER, **wish.settings},
        # Ours is the question whether it takes writes: asyncpg's would leave a statement behind in a pooler.
        target_session_attrs=SessionAttribute.any,
        connection_class=Ours,
    )
    if wish.writes and not await or_cut(connection, _takes_writes(connection)):
        connection.terminate()
        raise DatabaseTrouble(Trouble.READ_ONLY, "it takes no writes: a standby, or read-only")
    return connection


async def or_cut(connection: Connection, work: Awaitable[Found]) -> Found:
    """Do it; where that fails, nobody has the connection any more."""
    try:
        return await work
    except BaseException:
        connection.terminate()
        raise


async def _takes_writes(connection: Connection) -> bool:
    """What the server said when the connection began; a pooler may not pass that on."""
    said = connection.get_settings()
    signs = [
        getattr(said, name, None) for name in ("in_hot_standby", "default_transaction_read_only")
    ]
    if None not in signs:
        return "on" not in signs
    with told():
        # Unnamed, since a name would stay behind on a server that others use.
        statement = await connection.prepare(WRITES.text, name="", timeout=5)
        [answer] = await statement.fetch(timeout=5)
    return WRITES.fill(answer).yes


def _keep_alive(line: socket.socket) -> None:
    if line.family == socket.AF_UNIX:
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in PROBED_BY_US.items():
        if (option := getattr(socket, name, None)) is not None:
            line.setsockopt(socket.IPPROTO_TCP, option, value)
