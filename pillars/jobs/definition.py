"""`@job`: a function that can be enqueued."""

import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from types import EllipsisType
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    get_type_hints,
    overload,
)
from uuid import UUID

from pillars import backoff as waits
from pillars.codec import PayloadCodec, ValueCodec
from pillars.durations import Duration, duration
from pillars.errors import DefinitionError, UsageError
from pillars.jobs import options as checks
from pillars.jobs.children import Child, Command, checked_child
from pillars.jobs.connected import current
from pillars.jobs.context import Context
from pillars.jobs.enqueuing import Call, enqueue_call, enqueue_call_now
from pillars.jobs.handle import Handle, asking, checked_id
from pillars.jobs.options import AS_DEFINED, Options
from pillars.store import names

P = ParamSpec("P")
R = TypeVar("R")

Keep = Literal["full", "slim", "failed", "none"]
Kind = Literal["async", "thread", "process"]
UniqueKey = str | Callable[..., str]

DEFAULT_ATTEMPTS = 4
DEFAULT_CRASHES = 3  # a job that kills its worker three times is the cause of it
DEFAULT_TIMEOUT = "15m"  # a hung job must end some day; longer ones say so
KEEPS = ("full", "slim", "failed", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What `@job(...)` said."""

    queue: str
    priority: int
    max_attempts: int
    max_crashes: int
    timeout: timedelta
    """Zero: none."""
    backoff: waits.Backoff
    unique_key: UniqueKey | None
    keep: Keep
    tags: tuple[str, ...]
    child: Child | None
    """How its own process is set up; None: it runs in the worker's."""


class Job(Generic[P, R]):
    """A job's definition: enqueue it, or configure one enqueue of it first.

    Parameters are those of the function without its `Context`; a type checker refuses others. `name` is what it is stored as,
    `function` the function as it was, `kind` says whether it runs on the loop ("async"), in a thread ("thread") or in a process of its
    own ("process"); `command` is that of a `shell_job`, else None.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        rules: Rules,
        command: Command | None = None,
    ) -> None:
        self.function = function
        self.name = name
        self.rules = rules
        self.command = command
        self.awaited = inspect.iscoroutinefunction(function)
        self.kind: Kind = "async" if self.awaited else "thread"
        if rules.child is not None:
            self.kind = "process"
        self.context_parameter = _context_parameter(function)
        self.payload_codec = PayloadCodec(function, skip=self.context_parameter)

    def __repr__(self) -> str:
        return f"<Job {self.name}>"

    @property
    def setup(self) -> Child:
        """How its process is set up, where it runs in one."""
        return self.rules.child or Child()

    @cached_property
    def result_codec(self) -> ValueCodec:
        """JSON of what the function returns."""
        return ValueCodec(get_type_hints(self.function, include_extras=True).get("return", Any))

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Store a job with these arguments; returns once it is committed.

        Raises `PayloadError` where an argument is not JSON of its declared type, `UsageError` where `unique_key` returned no
        text, `NotConnected` outside `app` and `connect()`, and `DatabaseTrouble`. Where its unique key is held, the handle
        is that of the job which holds it.
        """
        return await enqueue_call(Call(self, args, kwargs, AS_DEFINED))

    def enqueue_now(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Store a job with these arguments from code without a loop: a `def` job, a view in a thread, a script.

        This process's loop does it, on its pool; returns once it is committed. Raises `PayloadError` and `DatabaseTrouble` as
        `enqueue`, `UsageError` on the loop's own thread too, and `NotConnected` outside `app` and `connect()`, where
        `configure(connection=...)` is the way.
        """
        return enqueue_call_now(Call(self, args, kwargs, AS_DEFINED))

    def call(self, *args: P.args, **kwargs: P.kwargs) -> "Call[R]":
        """The job with these arguments as a value, for `enqueue_many` and schedules.

        Raises `PayloadError` where an argument is not JSON of its declared type.
        """
        return Call(self, args, kwargs, AS_DEFINED)

    def configure(
        self,
        *,
        queue: str | None = None,
        priority: int | None = None,
        run_at: datetime | None = None,
        run_in: Duration | None = None,
        expires_in: Duration | None = None,
        max_attempts: int | None = None,
        timeout: Duration | EllipsisType | None = ...,
        unique_key: str | None = None,
        context: str | None = None,
        tags: Iterable[str] | None = None,
        connection: Any = None,
    ) -> "Configured[P, R]":
        """The job with options for one enqueue; what is not given is as defined.

        `run_at` (aware) or `run_in` is not before; `expires_in` counts from then, and a job that was not begun by its end
        is not run any more (once begun, it never expires, however long it waits for its next try); `timeout=None` means no
        limit; `context` is why, for people; `connection` is an open connection or session of asyncpg, psycopg 3, SQLAlchemy or
        Django: the job exists exactly when its transaction commits, at once where it has none, and what its driver raises is left
        as it is. Raises `UsageError` for an option that is out of range, a time without a zone, or both of `run_at` and `run_in`.
        """
        if run_at is not None and run_in is not None:
            raise UsageError("run_at and run_in: expected one of them, got both")
        options = Options(
            queue=None if queue is None else checks.checked_name(queue, "queue"),
            priority=None if priority is None else checks.checked_priority(priority),
            run_at=None if run_at is None else checks.checked_time(run_at),
            run_in=None if run_in is None else duration(run_in, what="run_in"),
            expires_in=None if expires_in is None else _positive(expires_in, "expires_in"),
            max_attempts=None if max_attempts is None else checks.checked_attempts(max_attempts),
            timeout=None if isinstance(timeout, EllipsisType) else checks.checked_timeout(timeout),
            unique_key=None
            if unique_key is None
            else checks.checked_text(unique_key, "unique_key"),
            context=None if context is None else checks.checked_text(context, "context"),
            tags=None if tags is None else checks.checked_tags(tags),
        )
        return Configured(self, options, connection)

    def handle(self, job_id: str | UUID) -> Handle[R]:
        """The handle of a job that was enqueued earlier, or elsewhere; asks nobody whether there is one.

        Raises `UsageError` where `job_id` is no UUID.
        """
        return Handle(self, checked_id(job_id))

    async def pause(self, *, by: str | None = None) -> None:
        """Let no worker begin any job of this name, in whatever queue, until `resume`; what runs goes on, what is enqueued waits.

        `by` says for people who wants it. Paused again, it stays paused since the first time, by whoever that was; a deploy keeps it.
        Raises `UnknownJob` where no process has defined the name yet, `UsageError` where `by` is no text of 1 to 200 bytes,
        `NotConnected` and `DatabaseTrouble`.
        """
        await names.pause(current().pool, self.name, by=asking(by))

    async def resume(self) -> None:
        """Let workers begin jobs of this name again; nothing changes where it was not paused.

        Raises `UnknownJob` where no process has defined the name yet, `NotConnected` and `DatabaseTrouble`.
        """
        await names.resume(current().pool, self.name)

    def prepare(self) -> None:
        """Resolve the annotations now; raises `DefinitionError` for a type that JSON cannot carry."""
        self.payload_codec.prepare()
        self.result_codec  # noqa: B018


@dataclass(frozen=True, slots=True)
class Configured(Generic[P, R]):
    """A job with options for one enqueue."""

    job: Job[P, R]
    options: Options
    connection: Any = None

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Store a job with these arguments and options; as `Job.enqueue`."""
        return await enqueue_call(self.call(*args, **kwargs))

    def enqueue_now(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Store a job from code without a loop; as `Job.enqueue_now`, or in the transaction of a `connection` that blocks."""
        return enqueue_call_now(self.call(*args, **kwargs))

    def call(self, *args: P.args, **kwargs: P.kwargs) -> "Call[R]":
        """The job with these arguments and options as a value."""
        return Call(self.job, args, kwargs, self.options, self.connection)


@overload
def job(function: Callable[Concatenate[Context, P], Awaitable[R]], /) -> Job[P, R]: ...
@overload
def job(function: Callable[P, Awaitable[R]], /) -> Job[P, R]: ...
@overload
def job(function: Callable[Concatenate[Context, P], R], /) -> Job[P, R]: ...
@overload
def job(function: Callable[P, R], /) -> Job[P, R]: ...
@overload
def job(
    *,
    name: str | None = None,
    queue: str = "default",
    priority: int = 0,
    max_attempts: int = DEFAULT_ATTEMPTS,
    max_crashes: int = DEFAULT_CRASHES,
    timeout: Duration | None = DEFAULT_TIMEOUT,
    backoff: waits.Backoff = None,
    unique_key: UniqueKey | None = None,
    keep: Keep = "full",
    tags: Iterable[str] = (),
    process: bool | Child = False,
) -> "Decorator": ...
def job(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    queue: str = "default",
    priority: int = 0,
    max_attempts: int = DEFAULT_ATTEMPTS,
    max_crashes: int = DEFAULT_CRASHES,
    timeout: Duration | None = DEFAULT_TIMEOUT,
    backoff: waits.Backoff = None,
    unique_key: UniqueKey | None = None,
    keep: Keep = "full",
    tags: Iterable[str] = (),
    process: bool | Child = False,
) -> Any:
    """Make a function a job.

    `async def` runs on the worker's loop, `def` in a thread, and either with `process=True`, or a `Child` that says more of it, in a
    process of its own. A parameter annotated `Context` is injected.
    `name` defaults to `module.function`; of `priority`, the higher number runs first; `max_attempts` counts all tries, the
    first too; after `max_crashes` deaths of its worker the job fails; `timeout` is of one attempt (None: no limit);
    `backoff` is a duration, a list of them, or a function of the attempt; `unique_key` is a text, or a function of the
    arguments that returns one: at most one unfinished job holds it; `keep` says what is left of a final job: "full", "slim"
    (completed ones without payload and result), "failed" (only what did not complete), "none"; by `tags` people find jobs.
    Raises `DefinitionError` where something is declared wrongly.
    """
    with checks.declaring():
        rules = checked_rules(
            queue=queue, priority=priority, max_attempts=max_attempts, max_crashes=max_crashes, timeout=timeout, backoff=backoff,
            unique_key=unique_key, keep=keep, tags=tags, process=process,
        )  # fmt: skip
    if function is None:
        return lambda decorated: _define(decorated, name, rules)
    return _define(function, name, rules)


def checked_rules(
    *,
    queue: str,
    priority: int,
    max_attempts: int,
    max_crashes: int,
    timeout: Duration | None,
    backoff: waits.Backoff,
    unique_key: UniqueKey | None,
    keep: Keep,
    tags: Iterable[str],
    process: bool | Child,
) -> Rules:
    """The rules that a declaration states; raises `UsageError` where one is out of range."""
    return Rules(
        queue=checks.checked_name(queue, "queue"),
        priority=checks.checked_priority(priority),
        max_attempts=checks.checked_attempts(max_attempts),
        max_crashes=checks.checked_whole(max_crashes, "max_crashes", 1, checks.MOST_ATTEMPTS),
        timeout=checks.checked_timeout(timeout),
        backoff=_checked_backoff(backoff),
        unique_key=_checked_key(unique_key),
        keep=_checked_keep(keep),
        tags=checks.checked_tags(tags),
        child=checked_child(process),
    )


class Decorator(Protocol):
    """What `@job(...)` returns, as a type checker sees it."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[Context, P], Awaitable[R]], /
    ) -> Job[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Job[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], R], /) -> Job[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Job[P, R]: ...


def _define(function: Callable[..., Any], name: str | None, rules: Rules) -> Job[..., Any]:
    if not inspect.isfunction(function):
        raise DefinitionError(f"@job: expected a function, got {type(function).__name__}")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise DefinitionError(
            f"@job {function.__qualname__}: expected a function that returns, got a generator"
        )
    module = function.__module__.replace("__main__", "main")
    _refuse_second(function)
    with checks.declaring():
        named = checks.checked_name(
            f"{module}.{function.__name__}" if name is None else name, "job name"
        )
    return Job(function, name=named, rules=rules)


def _refuse_second(function: Callable[..., Any]) -> None:
    """A second job of one name in a module would silently replace the first."""
    module = sys.modules.get(function.__module__)
    first = vars(module).get(function.__name__) if module else None
    if isinstance(first, Job) and _line(first.function) < _line(function):
        raise DefinitionError(
            f"two jobs are named {function.__name__} in {function.__module__}: lines {_line(first.function)} and {_line(function)}"
        )


def _line(function: Callable[..., Any]) -> int:
    return function.__code__.co_firstlineno


def _checked_backoff(backoff: waits.Backoff) -> waits.Backoff:
    waits.check(backoff, what="backoff")
    return backoff


def _checked_key(unique_key: UniqueKey | None) -> UniqueKey | None:
    if unique_key is None or callable(unique_key):
        return unique_key
    return checks.checked_text(unique_key, "unique_key")


def _checked_keep(keep: Keep) -> Keep:
    if keep not in KEEPS:
        raise DefinitionError(f"keep: expected one of {', '.join(KEEPS)}, got {keep!r}")
    return keep


def _context_parameter(function: Callable[..., Any]) -> str | None:
    """The parameter that wants the `Context`, found without resolving the other annotations."""
    for parameter in inspect.signature(function).parameters.values():
        annotation = parameter.annotation
        if annotation is Context:
            return parameter.name
        if isinstance(annotation, str) and annotation.strip("\"' ").rpartition(".")[2] == "Context":
            return parameter.name
    return None


def _positive(value: Duration, what: str) -> timedelta:
    length = duration(value, what=what)
    if length <= timedelta(0):
        raise UsageError(f'{what}: expected more than zero, got "{value}"')
    return length
