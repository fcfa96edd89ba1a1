"""What a running job knows of itself."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pillars.jobs.connected import connection

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

Complete = Callable[[object, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Injected into a job's parameter that is annotated with it.

    `attempt` is 1 on the first try. `deadline` is when this attempt will be cancelled, or None. `context` is why the job was
    enqueued, in its enqueuer's words.
    """

    job_id: str
    name: str
    queue: str
    attempt: int
    max_attempts: int
    context: str | None
    tags: tuple[str, ...]
    deadline: datetime | None
    log: "FilteringBoundLogger"
    _complete: Complete

    def connection(self) -> AbstractAsyncContextManager[Any]:
        """A transaction on the jobs' own pool, as an asyncpg connection: `async with ctx.connection() as connection:`."""
        return connection()

    async def complete(self, result: object = None, *, connection: Any) -> None:
        """Complete the job inside the transaction of `connection`, so that its effects and its end commit together.

        Raises `LockLost` where the job was given to another worker: let it travel, and the transaction rolls back.
        """
        await self._complete(result, connection)
