"""What a running job knows of itself."""

from collections.abc import AsyncIterable, Coroutine, Iterable, MutableMapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from pillars.durations import Duration, duration
from pillars.errors import UsageError
from pillars.jobs.acting import acting, acting_now, watched
from pillars.jobs.crossing import running_loop
from pillars.jobs.inbox import Inbox
from pillars.jobs.options import checked_name
from pillars.jobs.saying import MOST_OUTPUT, Progress, Tracked, Voice, encoded
from pillars.store.row_security import Actor, reason_of, user_id_of

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

T = TypeVar("T")

EVERY = 0.1  # seconds: as often as progress is written


class Complete(Protocol):
    """Ends the job that runs, inside a transaction of its own: awaited, or at once."""

    def __call__(self, result: object, connection: Any, /) -> Coroutine[Any, Any, None]: ...

    def now(self, result: object, connection: Any, /) -> None: ...


class Control(Protocol):
    """What others want of the attempt that runs."""

    @property
    def must_end(self) -> bool: ...

    @property
    def exchange(self) -> "Exchange": ...

    async def checkpoint(self) -> None: ...

    def checkpoint_now(self) -> None: ...


class Exchange(Protocol):
    """By which code speaks and is spoken to."""

    @property
    def voice(self) -> Voice: ...

    @property
    def log(self) -> "FilteringBoundLogger": ...

    @property
    def inbox(self) -> Inbox: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a running job knows of itself, injected into its parameter that is annotated with it.

    `attempt` is 1 on the first try, and of the last one it is `max_attempts`. `context` is why the job was enqueued, in its
    enqueuer's words, or None. `deadline` is when this attempt will be cancelled, an aware datetime, or None.
    """

    job_id: str
    name: str
    queue: str
    attempt: int
    max_attempts: int
    context: str | None
    tags: tuple[str, ...]
    deadline: datetime | None
    _complete: Complete
    _control: Control

    @property
    def log(self) -> "FilteringBoundLogger":
        """A structlog logger of the job's name, with `job_id`, `job_name` and `attempt` bound.

        Its lines go to the process's log, and are kept with the job: up to 10,000 of an attempt.
        """
        return self._control.exchange.log

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the job is: `ctx.progress(3, 10, "reading")`, on the loop and in threads alike.

        `done` and `total` are finite and not below 0, in any unit; without a `total` nobody knows how much is left. Costs a
        microsecond: ten times a second the newest is written, the others are nobody's. Raises `UsageError` for what is no number.
        """
        self._control.exchange.voice.watch(Progress(done, total, message))

    def track(
        self,
        items: Iterable[T] | AsyncIterable[T],
        total: float | None = None,
        message: str | None = None,
        *,
        every: Duration = EVERY,
    ) -> Tracked[T]:
        """The items of an iterable, one by one, while the job's progress tells how many of them are done.

        `for row in ctx.track(rows):`, and `async for` over what is asynchronous. `total` is `len(items)` where there is one. `every`
        is the least time between two reports. Raises `UsageError` for a `total` that is no number.
        """
        seconds = duration(every, what="every").total_seconds()
        return Tracked(
            items, self._control.exchange.voice, total=total, message=message, every=seconds
        )

    def emit(self, name: str, data: object = None) -> None:
        """Say an output that others may read while the job runs: `ctx.emit("page", {"number": 3})`, on the loop and in threads alike.

        Kept in its order, and never dropped while the attempt has its lock: up to 10,000 of an attempt, each of at most 64 KiB.
        Raises `UsageError` for a name that is none and for one too many, `PayloadError` where `data` is not JSON, and `LockLost`
        where nothing of this attempt is written any more.
        """
        checked = checked_name(name, "ctx.emit: name")
        written = encoded(data, what=f"ctx.emit({checked!r}): data", most=MOST_OUTPUT)
        self._control.exchange.voice.emit(checked, written)

    @property
    def metadata(self) -> MutableMapping[str, Any]:
        """A few facts beside the job: `ctx.metadata["url"] = url`, plain JSON of at most 16 KiB in all.

        A later attempt begins with what the last one has left. Values come back as copies: what is changed in one is set again to
        be kept. Setting raises `PayloadError` for what does not fit, and any use raises `DatabaseTrouble` where what an earlier attempt has
        left could not be read.
        """
        return self._control.exchange.voice.metadata

    @property
    def inbox(self) -> Inbox:
        """What others say to the job while it runs, and said before: `async for message in ctx.inbox:`, or `await ctx.inbox.get()`.

        In a thread `ctx.inbox.get_now()`. Each is a `Message` with its `data`, `sent_by` and `sent_at`, given once to an attempt, in the
        order in which they were sent. A job that never looks costs nothing.
        """
        return self._control.exchange.inbox

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
