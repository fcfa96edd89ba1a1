"""The types of what the API answers, made from the rows that it shows."""

import operator
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime, timedelta
from functools import reduce
from types import GenericAlias, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pillars.jobs.options import NAME
from pillars.store import rows

Seconds = Annotated[float, Meta(description="Seconds.")]
Time = Annotated[datetime, Meta(tz=True)]
State = Literal[
    "scheduled", "ready", "running", "waiting", "paused", "completed", "failed", "cancelled", "expired"
]  # fmt: skip
Arguments = dict[str, Any]
NAMED = {"pattern": f"^{NAME.pattern}$"}  # a name, as JSON Schema has it


def shape(name: str, row: type, doc: str, **said: Any) -> type[msgspec.Struct]:
    """A row as JSON carries it, under another name; `said` are the fields of which more is known than the row says."""
    hints = {**get_type_hints(row), **said}
    carried = [(field.name, _carried(hints[field.name])) for field in fields(row)]
    return msgspec.defstruct(name, carried, namespace={"__doc__": doc})


def listing(name: str, item: type, doc: str, more: Iterable[tuple[str, Any]] = ()) -> Any:
    """A page of `item`s."""
    content = [("items", GenericAlias(list, (item,))), *more]
    return msgspec.defstruct(name, content, namespace={"__doc__": doc})


def _carried(hint: Any) -> Any:
    if get_origin(hint) in {Union, UnionType}:
        return reduce(operator.or_, (_carried(one) for one in get_args(hint)))
    return {timedelta: Seconds, datetime: Time}.get(hint, hint)


class Sent(msgspec.Struct):
    """What became of a message."""

    job_id: UUID
    outcome: Literal["sent"]


class Problem(msgspec.Struct):
    """Why a request was refused or failed (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    state: Annotated[State, Meta(description="Of the job, where that is why.")] | UnsetType = UNSET


Job = shape(
    "Job",
    rows.JobRow,
    "A job, all its attempts.",
    state=State,
    payload=Annotated[
        Arguments | None,
        Meta(
            description='Its arguments by name, secret ones as "[redacted]"; null where none are kept.'
        ),
    ],
    result=Annotated[Any, Meta(description="What it returned, redacted alike; null before that.")],
)
Jobs = listing(
    "Jobs",
    Job,
    "A page of jobs, newest first.",
    [
        (
            "next",
            Annotated[str | None, Meta(description="The cursor of the next page, null on the last.")],
        )
    ],
)  # fmt: skip
Schedule = shape(
    "Schedule",
    rows.Listed,
    "A schedule and its last tick; `next_run_at` is null while it is paused.",
)
Schedules = listing("Schedules", Schedule, "Every schedule, by name.")
Queue = shape(
    "Queue",
    rows.Queue,
    "A queue and its unfinished jobs; parked ones wait for something or are paused.",
)
Queues = listing("Queues", Queue, "Every queue that anybody has named, by name.")
Name = shape(
    "Name",
    rows.JobName,
    "A name of jobs, as code defines it, and its unfinished jobs; parked ones wait for something or are paused.",
    kind=Literal["async", "thread", "process"],
)
Names = listing("Names", Name, "Every name that code defines, in order.")
Process = shape(
    "Process",
    rows.ProcessRow,
    "A process as it said of itself; `alive` where it has been seen lately. Queues null: every queue.",
    role=Literal["web", "worker", "cron"],
)
Processes = listing("Processes", Process, "The processes of the application, workers first.")


class Cancelled(msgspec.Struct):
    """What became of the unfinished jobs of a name: cancelled, asked to end, or ended meanwhile."""

    cancelled: int
    requested: int
    left: int


class StreamEvent(msgspec.Struct):
    """One event of a stream, as the HTML standard has them."""

    event: Literal[
        "progress",
        "log",
        "output",
        "metadata",
        "state",
        "result",
        "cut",
        "reset",
        "end",
        "slow",
        "expired",
    ]
    data: Annotated[str, Meta(description="JSON.")]
    id: (
        Annotated[str, Meta(description="Of what a job said: come back with it as Last-Event-ID.")]
        | UnsetType
    ) = UNSET


class StreamToken(msgspec.Struct):
    """A token that opens some streams, and until when."""

    token: str
    expires_at: Time


class QueueCount(msgspec.Struct):
    """The jobs of one queue."""

    ready: int
    running: int
    oldest_ready_seconds: float
    paused: bool


class Stats(msgspec.Struct):
    """How many jobs there are, by state and by queue."""

    pending: int
    processing: int
    completed: int
    failed: int
    states: dict[State, int]
    queues: dict[str, QueueCount]


class DatabaseCheck(msgspec.Struct):
    """Whether the database answers."""

    status: Literal["up", "down"]


class WorkersCheck(msgspec.Struct):
    """Whether there are workers; polling: one does not hear of new jobs at once."""

    status: Literal["up", "polling", "down", "unknown"]
    count: int | None


class CronCheck(msgspec.Struct):
    """Whether somebody ticks; unused: there is nothing to tick."""

    status: Literal["up", "down", "unused", "unknown"]
    leader: UUID | None


class Checks(msgspec.Struct):
    """What health looked at."""

    database: DatabaseCheck
    workers: WorkersCheck
    cron: CronCheck


class Health(msgspec.Struct):
    """How the application is, seen from this process."""

    status: Literal["ok", "degraded"]
    role: Literal["web", "worker", "cron"]
    version: str
    commit: str
    checks: Checks


class Life(msgspec.Struct):
    """How far this process is."""

    status: Literal["ok", "starting", "stopping"]
