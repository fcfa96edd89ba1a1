"""Connections that are lent to code that is not ours, and what of it must be ours again afterwards."""

from typing import TYPE_CHECKING, Any

import asyncpg

from pillars.store.statements import Nothing, Statement

if TYPE_CHECKING:
    Plain = asyncpg.Connection[asyncpg.Record]
else:
    Plain = asyncpg.Connection

# A function, operator or type that another role has put on a search_path is found before Postgres's own where it fits better, or
# stands earlier. Our statements are for no path but Postgres's; code that we lend a connection to has its own.
OWN_PATH = Statement("session/own_path", Nothing)
THEIR_PATH = Statement("session/their_path", Nothing)


class Recodable(Plain):
    """Knows whether somebody's code has changed how values travel on it: for that asyncpg has no general way back.

    Its reset leaves the names of our statements ours: a function or an operator that another role has put on the search_path is not run.
    """

    recoded = False

    def get_reset_query(self) -> str:
        """Also of what Postgres's own RESET ALL leaves: who one is, and temporary tables."""
        theirs = "reset session authorization; reset role; discard temp;"
        return f"{OWN_PATH.text};{theirs}{super().get_reset_query()}\n{OWN_PATH.text}"

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """As asyncpg's; but a COMMIT that Postgres answered with ROLLBACK, since a statement before it had failed, raises."""
        status = await super().execute(query, *args, timeout=timeout)
        if status == "ROLLBACK" and query.startswith("COMMIT"):
            raise asyncpg.InFailedSQLTransactionError(
                "the transaction was rolled back at its commit: a statement in it had failed, and what it raised was not passed on"
            )
        return status

    async def set_type_codec(self, *args: Any, **kwargs: Any) -> None:
        self.recoded = True
        await super().set_type_codec(*args, **kwargs)

    async def set_builtin_type_codec(self, *args: Any, **kwargs: Any) -> None:
        self.recoded = True
        await super().set_builtin_type_codec(*args, **kwargs)
