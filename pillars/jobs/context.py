"""What a running job knows of itself."""

from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from pillars.errors import UsageError
from pillars.jobs.acting import acting, acting_now, watched
from pillars.jobs.crossing import running_loop
from pillars.store.row_security import Actor, reason_of, user_id_of

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class Complete(Protocol):
    """Ends the job that runs, inside a transaction of its own: awaited, or at once."""

    def __call__(self, result: object, connection: Any, /) -> Coroutine[Any, Any, None]: ...

    def now(self, result: object, connection: Any, /) -> None: ...


class Control(Protocol):
    """What others want of the attempt that runs."""

    @property
    def must_end(self) -> bool: ...

    async def checkpoint(self) -> None: ...

    def checkpoint_now(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a running job knows of itself, injected into its parameter that is annotated with it.

    `attempt` is 1 on the first try, and of the last one it is `max_attempts`. `context` is why the job was enqueued, in its
    enqueuer's words, or None. `deadline` is when this attempt will be cancelled, an aware datetime, or None. `log` is a structlog
    logger of the job's name, with `job_id`, `job_name` and `attempt` bound.
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
    _control: Control

    @property
    def cancelled(self) -> bool:
        """Whether this attempt is to end: somebody asked for it, its deadline has passed, its lock is lost, or its worker stops.

        For a loop in a thread, which nothing can interrupt. Code on the loop is cancelled besides.
        """
        return self._control.must_end

    def checkpoint(self) -> Coroutine[Any, Any, None]:
        """A good moment for others: `await ctx.checkpoint()` between two pieces of work.

        The loop turns; code that is to end (see `cancelled`) ends here, by `asyncio.CancelledError`, which `except Exception` lets pass;
        and that of a paused job rests here until it is resumed. Raises `UsageError` in a thread, where `checkpoint_now` is the way.
        """
        if running_loop() is None:
            raise UsageError(
                "ctx.checkpoint: expected a loop that awaits it, got none; in a `def` job call ctx.checkpoint_now()"
            )
        return self._control.checkpoint()

    def checkpoint_now(self) -> None:
        """As `checkpoint`, for a `def` job: the thread rests here, or ends by `asyncio.CancelledError`.

        Raises `UsageError` on the loop's own thread, where `await ctx.checkpoint()` is the way.
        """
        if running_loop() is not None:
            raise UsageError(
                "ctx.checkpoint_now: expected a thread of its own, got the loop's; write await ctx.checkpoint()"
            )
        self._control.checkpoint_now()

    def connection(self) -> AbstractAsyncContextManager[Any]:
        """A transaction on the jobs' own pool, as an asyncpg connection: `async with ctx.connection() as connection:`.

        Commits at the end of the block, rolls back where it raises. It acts for nobody: where row-level security hides rows from it,
        use `as_user` or `system`. Raises `NotConnected` and `DatabaseTrouble`.
        """
        return watched(self._actor())

    def as_user(
        self, user_id: str | int | UUID, *, connection: Any = None
    ) -> AbstractAsyncContextManager[Any]:
        """A transaction as `connection()`, in which policies see this user: `async with ctx.as_user(user_id) as connection:`.

        With `connection`, of any kind that `configure(connection=...)` takes, the block stands in its transaction instead. What the id
        names is not looked up. Raises `UsageError` for what is no id, or a connection outside a transaction, `NotConnected` and
        `DatabaseTrouble`.
        """
        return acting(self._actor(user_id=user_id_of(user_id)), connection)

    def system(self, reason: str, *, connection: Any = None) -> AbstractAsyncContextManager[Any]:
        """As `as_user`, for work across users: policies see `pillars.system`, and the audit trail has a row with the job and the reason.

        That row commits and rolls back with what was done. Raises `UsageError`, `NotConnected` and `DatabaseTrouble`.
        """
        return acting(self._actor(reason=reason_of(reason)), connection)

    def as_user_now(
        self, user_id: str | int | UUID, *, connection: Any
    ) -> AbstractContextManager[Any]:
        """As `as_user`, for a `def` job, in the transaction of a connection or session that blocks.

        Raises `UsageError`, `NotConnected` and `DatabaseTrouble` as that.
        """
        return acting_now(self._actor(user_id=user_id_of(user_id)), connection)

    def system_now(self, reason: str, *, connection: Any) -> AbstractContextManager[Any]:
        """As `system`, for a `def` job, in the transaction of a connection or session that blocks.

        Raises `UsageError`, `NotConnected` and `DatabaseTrouble` as that.
        """
        return acting_now(self._actor(reason=reason_of(reason)), connection)

    def _actor(self, *, user_id: str = "", reason: str = "") -> Actor:
        return Actor(
            job_id=self.job_id,
            job_name=self.name,
            attempt=self.attempt,
            user_id=user_id,
            reason=reason,
        )

    def complete(self, result: object = None, *, connection: Any) -> Coroutine[Any, Any, None]:
        """Complete the job inside the transaction of `connection`, so that its effects and its end commit together.

        `connection` is of any kind that `configure(connection=...)` takes. Raises `LockLost` where the job was given to another
        worker, and `DatabaseTrouble` where another transaction holds its row for seconds (an open `pillars.cancel`): let them travel,
        and the transaction rolls back. `PayloadError` where the result is not of the return annotation, and `UsageError` for what is
        no open connection that is awaited. What the driver raises is left as it is.
        """
        return self._complete(result, connection)

    def complete_now(self, result: object = None, *, connection: Any) -> None:
        """As `complete`, for a `def` job and a connection or session that blocks.

        Raises `LockLost`, `DatabaseTrouble`, `PayloadError` and `UsageError` as that.
        """
        self._complete.now(result, connection)
