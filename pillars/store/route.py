"""What stands between us and a server, as the first connection finds it.

A pooler tells each client a backend pid of its own making, and the server behind it answers with another. One question of the first
connection settles it, at the price of a round trip. Where there is a pooler, every connection takes the form that is safe in
transaction mode: no prepared statement outlives its execution, no session state, no session lock. asyncpg without a statement cache
sends Parse again with each Bind and a Sync only after Execute, and a pooler lets go of the server at no earlier moment.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from pillars.errors import ConfigurationError, DatabaseTrouble
from pillars.settings.hosts import Host
from pillars.store.rows import Backend
from pillars.store.statements import Nothing, Statement
from pillars.store.trouble import told

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

ANSWER = Statement("pooler/answer", Backend)
ARRAYS = Statement("pooler/arrays", Nothing)

PATIENCE = timedelta(seconds=5)
REFUSALS = {"08P01", "0A000"}  # what poolers say of a server setting in the startup message
STATEMENT_MODE = "statement pooling mode"  # PgBouncer's words, in every release so far


@dataclass(slots=True)
class Route:
    """What is known of the way to a server; None until a connection has found out. Shared by all who go that way."""

    pooled: bool | None = None
    """A pooler answers: statements of one connection may meet different servers."""
    deaf: bool | None = None
    """Notifications get lost on the way: a pooler in transaction mode."""
    hosts: list[Host] = field(default_factory=list)
    """Where several servers are named, in the order to try them: the last that took writes first, the last that failed last."""

    def prefer(self, host: Host) -> None:
        """Have the next connection begin with this one."""
        self.hosts.remove(host)
        self.hosts.insert(0, host)

    def shun(self, host: Host) -> None:
        """Have the next connection try this one last."""
        self.hosts.remove(host)
        self.hosts.append(host)


async def is_pooled(connection: "Connection") -> bool:
    """Whether another than the server told this connection its pid; safe on a connection of any form."""
    with told():
        # Unnamed, since a name would stay behind on a server that others use.
        statement = await connection.prepare(ANSWER.text, name="", timeout=PATIENCE.total_seconds())
        [answer] = await statement.fetch(timeout=PATIENCE.total_seconds())
    return ANSWER.fill(answer).pid != connection.get_server_pid()


async def settle_in(connection: "Connection", place: str) -> None:
    """Make a new connection through a pooler fit for statements; raises `ConfigurationError` for one in statement mode.

    asyncpg asks the server about array types when it first meets them, with jit set off for the session meanwhile: in one
    transaction, or that would stay on a server that others use.
    """
    try:
        with told():
            async with asyncio.timeout(PATIENCE.total_seconds()), connection.transaction():
                await connection.prepare(ARRAYS.text, name="", timeout=PATIENCE.total_seconds())
    except DatabaseTrouble as trouble:
        if STATEMENT_MODE not in str(trouble):
            raise
        raise ConfigurationError(
            f"{place}: expected a server, or a pooler in transaction or session mode, got a pooler in statement mode, "
            "which allows no transactions; set its pool_mode to transaction"
        ) from trouble
