"""Single jobs: how they are put in, looked at and cancelled."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct


class NewJob(Struct, frozen=True):
    """A job as it is enqueued. (A struct: thousands are made at once.)"""

    job_id: UUID
    name: str
    queue: str
    payload: str
    context: str | None
    priority: int
    run_at: datetime | None
    run_in: timedelta | None
    expires_in: timedelta | None
    max_attempts: int | None
    timeout: timedelta | None
    """None: the definition's. Zero: none."""
    unique_key: str | None
    tags: list[str] | None
    trace: str | None


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of an enqueue: the job's id, or that of the unfinished job with its unique key."""

    job_id: UUID
    created: bool


@dataclass(frozen=True, slots=True)
class Inserted:
    """As `Enqueued`, from a connection that may read a uuid as anything."""

    job_id: str
    created: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """A row that was written."""

    job_id: UUID


@dataclass(frozen=True, slots=True)
class Defaults:
    """What an enqueue takes from a definition."""

    queue: str
    priority: int
    max_attempts: int | None
    tags: list[str]


@dataclass(frozen=True, slots=True)
class DefinedName:
    name: str


@dataclass(frozen=True, slots=True)
class State:
    state: str


@dataclass(frozen=True, slots=True)
class Final:
    """How a job ended; `state` is "unfinished" or "unknown" where it has not, or is no more."""

    job_id: UUID
    state: str
    result: str | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a wish; see pillars.cancel, pillars.pause and pillars.resume."""

    answer: str


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as `pillars.all_jobs` shows it; payload and result are JSON."""

    job_id: UUID
    name: str
    queue: str
    priority: int
    state: str
    payload: str | None
    context: str | None
    result: str | None
    last_error: str | None
    attempt: int
    max_attempts: int | None
    crashes: int
    lock_token: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    parent_id: UUID | None
    tags: list[str] | None
    trace: str | None
    unique_key: str | None
    timeout: timedelta | None
    run_at: datetime | None
    locked_at: datetime | None
    locked_by: UUID | None
    deadline_at: datetime | None


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What a list shows of a job; payload (JSON) and error are only how they begin."""

    job_id: UUID
    name: str
    queue: str
    state: str
    payload: str | None
    last_error: str | None
    attempt: int
    max_attempts: int | None
    crashes: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    run_at: datetime | None
    tags: list[str] | None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt that did not simply complete."""

    attempt: int
    outcome: str
    """"failed", "cancelled", or back in its queue: "retried", "snoozed", "crashed"."""
    error: str | None
    traceback: str | None
    locked_by: UUID | None
    started_at: datetime | None
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Why an unfinished job stands where it stands; `host`, `pid` and `worker_seen_at` are of the worker that runs it."""

    waiting_for: str | None
    expires_at: datetime | None
    pause_requested_at: datetime | None
    paused_at: datetime | None
    paused_by: str | None
    cancel_requested_at: datetime | None
    cancel_requested_by: str | None
    queue_paused_at: datetime | None
    name_paused_at: datetime | None
    name_paused_by: str | None
    defined: bool
    host: str | None
    pid: int | None
    worker_seen_at: datetime | None
