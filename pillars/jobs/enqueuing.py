"""Calls of jobs, and how they are stored."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from pillars import log
from pillars.codec import WARN_PAYLOAD
from pillars.errors import NotConnected, UsageError
from pillars.jobs import options as checks
from pillars.jobs.connected import current
from pillars.jobs.crossing import done_by
from pillars.jobs.handle import Handle
from pillars.jobs.options import Options
from pillars.store import enqueueing as store
from pillars.store.borrowed import borrow, borrow_now
from pillars.store.ids import new_id, new_ids
from pillars.store.rows import Enqueued, NewJob

if TYPE_CHECKING:
    from pillars.jobs.definition import Job

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Call(Generic[R]):
    """A job with its arguments and options, checked when it is made, not yet enqueued.

    Made by `job.call(...)` and `job.configure(...).call(...)`. `payload` is the arguments as they will be stored: a JSON object
    of parameter names.
    """

    job: "Job[..., R]"
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    options: Options
    connection: Any = None
    payload: str = field(init=False)

    def __post_init__(self) -> None:
        encoded = self.job.payload_codec.encode(self.args, self.kwargs)
        if len(encoded) > WARN_PAYLOAD:
            log.get("pillars.jobs").warning(
                log.Event.PAYLOAD_LARGE, job_name=self.job.name, bytes=len(encoded)
            )
        object.__setattr__(self, "payload", encoded.decode())

    def new_job(self) -> NewJob:
        """The row to store, under an id of its own."""
        return _row(self, new_id())


def _row(call: Call[Any], job_id: UUID) -> NewJob:
    rules, options = call.job.rules, call.options
    return NewJob(
        job_id=job_id,
        name=call.job.name,
        queue=options.queue or rules.queue,
        payload=call.payload,
        context=options.context,
        priority=rules.priority if options.priority is None else options.priority,
        run_at=options.run_at,
        run_in=options.run_in,
        expires_in=options.expires_in,
        max_attempts=options.max_attempts or rules.max_attempts,
        timeout=options.timeout,
        unique_key=options.unique_key or _unique_key(call),
        tags=list(rules.tags if options.tags is None else options.tags) or None,
        trace=None,
    )


def _unique_key(call: Call[Any]) -> str | None:
    key = call.job.rules.unique_key
    return (
        checks.checked_text(key(*call.args, **call.kwargs), "unique_key") if callable(key) else key
    )


async def enqueue_call(call: Call[R]) -> Handle[R]:
    """Store one call, in the transaction of its connection where it has one."""
    if call.connection is None:
        stored = await store.enqueue(current(), call.new_job())
    else:
        borrowed = borrow(call.connection, otherwise="call enqueue_now(...), without await")
        [stored] = await store.enqueue_borrowed(borrowed, [call.new_job()])
    return Handle(call.job, stored.job_id)


def enqueue_call_now(call: Call[R]) -> Handle[R]:
    """Store one call from code without a loop: on its connection, or by this process's loop."""
    if call.connection is None:
        stored = _by_the_loop(call.job.name, call.new_job())
    else:
        borrowed = borrow_now(call.connection, otherwise="write await ….enqueue(…)")
        [stored] = store.enqueue_borrowed_now(borrowed, [call.new_job()])
    return Handle(call.job, stored.job_id)


def _by_the_loop(name: str, job: NewJob) -> Enqueued:
    try:
        database = current()
    except NotConnected:
        raise NotConnected(
            "no database: pass configure(connection=...), or run this in a thread of `app`, or of a program inside `async with pillars.connect():`"
        ) from None
    return done_by(
        database.loop,
        lambda: store.enqueue(database, job),
        what=f"enqueue_now of {name}",
        instead="write await ….enqueue(…)",
    )


async def enqueue_many(calls: Iterable[Call[R]], *, connection: Any = None) -> list[Handle[R]]:
    """Store jobs in one statement, or by COPY from a thousand on: all of them or none.

    Returns their handles in order; where a unique key is held already, or comes twice, the handle is the first's.
    `connection` is an open connection or session in whose transaction they are stored, as for `configure`. Raises `PayloadError`
    for arguments that do not fit, where `calls` makes them as it goes, `UsageError` for a call that has a connection of its own,
    `NotConnected` outside `app` and `connect()`, and `DatabaseTrouble`; then none is stored, but where `may_have_happened` is true of the
    trouble: then all are, or none.
    """
    listed = list(calls)
    if not listed:
        return []
    if any(call.connection is not None for call in listed):
        raise UsageError("enqueue_many: pass connection= to enqueue_many, not to configure()")
    jobs = [_row(call, job_id) for call, job_id in zip(listed, new_ids(len(listed)), strict=True)]
    if connection is None:
        stored = await store.enqueue_many(current(), jobs)
    else:
        borrowed = borrow(connection, otherwise="call enqueue_now(...) of each job with it")
        stored = await store.enqueue_borrowed(borrowed, jobs)
    return [Handle(call.job, row.job_id) for call, row in zip(listed, stored, strict=True)]
