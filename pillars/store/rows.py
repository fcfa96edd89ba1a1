"""The shapes that cross from the store to the rest: one frozen dataclass per kind of row."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as it is enqueued."""

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
class Backend:
    """A process of the server."""

    pid: int


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
class Final:
    """How a job ended; `state` is "unfinished" or "unknown" where it has not, or is no more."""

    job_id: UUID
    state: str
    result: str | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class State:
    state: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    answer: str
    """"cancelled", "requested", "final" or "unknown"."""


@dataclass(frozen=True, slots=True)
class Completion:
    answer: str
    """"done", "busy" or "lost"."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A row that was written."""

    job_id: UUID


@dataclass(frozen=True, slots=True)
class Now:
    now: datetime


@dataclass(frozen=True, slots=True)
class Yes:
    yes: bool


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that a database has."""

    track: str
    version: int
    name: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Made:
    made: int


@dataclass(frozen=True, slots=True)
class Prune:
    """One step towards the history's retention; `statement` runs outside a transaction, and `removes` says whether a day is gone then."""

    history: str
    removes: bool
    statement: str


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One row of a claim's answer; the job's fields are None where nothing was taken."""

    picked: int
    locked: int
    next_run_at: datetime | None
    now: datetime
    took: timedelta
    job_id: UUID | None
    name: str | None
    queue: str | None
    priority: int | None
    run_at: datetime | None
    payload: str | None
    context: str | None
    attempt: int | None
    max_attempts: int | None
    tags: list[str] | None
    locked_at: datetime | None
    deadline_at: datetime | None
    lock_token: int | None


@dataclass(frozen=True, slots=True)
class Lane:
    """A queue and a priority in it."""

    queue: str
    priority: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a finish: "done", "busy" (ask again) or "lost"."""

    job_id: UUID
    lock_token: int
    answer: str


@dataclass(frozen=True, slots=True)
class PutBack:
    """What became of a give-back, and how long until the job may run again."""

    job_id: UUID
    lock_token: int
    answer: str
    run_in: timedelta | None
    woken: int


@dataclass(frozen=True, slots=True)
class Beat:
    """The reply to a sign of life."""

    extended: list[int]
    lost: list[int]
    unnamed: list[int]
    ending: list[UUID]
    known: bool
    proofs: int


@dataclass(frozen=True, slots=True)
class Held:
    """A job that the locks table says a worker holds."""

    lock_token: int
    job_id: UUID


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did; `swept` is false, and the rest None, where another was at it."""

    swept: bool
    rescued: int | None
    failed: int | None
    cancelled: int | None
    expired: int | None
    parked: int | None


@dataclass(frozen=True, slots=True)
class Defined:
    """How many definitions were written, and how many parked jobs they let run."""

    written: int
    freed: int


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
    """Why an unfinished job stands where it stands; `host` and `pid` are of the worker that runs it."""

    waiting_for: str | None
    expires_at: datetime | None
    paused_at: datetime | None
    cancel_requested_at: datetime | None
    queue_paused_at: datetime | None
    defined: bool
    host: str | None
    pid: int | None


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
class Stats:
    """Jobs by state, and a JSON object of queues."""

    scheduled: int
    ready: int
    running: int
    waiting: int
    paused: int
    completed: int
    failed: int
    cancelled: int
    expired: int
    queues: str


@dataclass(frozen=True, slots=True)
class Vitals:
    """The live processes: workers, whether one cannot hear, who leads, whether there are schedules."""

    workers: int
    polling: bool
    leader: UUID | None
    scheduled: bool


@dataclass(frozen=True, slots=True)
class TurnRow:
    """One row of what a leader reads each turn; the schedule's fields are None where nothing is due."""

    now: datetime
    next_due_at: datetime | None
    queued: bool
    swept: bool | None
    rescued: int | None
    failed: int | None
    cancelled: int | None
    expired: int | None
    parked: int | None
    name: str | None
    every: timedelta | None
    crontab: str | None
    timezone: str | None
    catchup: str | None
    catchup_window: timedelta | None
    next_run_at: datetime | None


@dataclass(frozen=True, slots=True)
class Due:
    """A schedule with ticks to decide, from `next_run_at` on."""

    name: str
    every: timedelta | None
    crontab: str | None
    timezone: str
    catchup: str
    catchup_window: timedelta | None
    next_run_at: datetime


@dataclass(frozen=True, slots=True)
class Ticked:
    """What became of a tick: "enqueued", "overlapped" or "late"; "advanced", "repeated", "locked" or "moved" (see pillars.tick)."""

    outcome: str
    job_id: UUID | None


@dataclass(frozen=True, slots=True)
class Named:
    """A schedule, or a tick of it, that was written."""

    name: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A schedule as people see it; `next_run_at` is None while it is paused."""

    name: str
    job: str
    every: timedelta | None
    crontab: str | None
    timezone: str
    catchup: str
    overlap: str
    jitter: timedelta
    catchup_window: timedelta | None
    next_run_at: datetime | None
    paused_at: datetime | None
    deployment: str
    last_error: str | None
    last_tick: datetime | None
    last_outcome: str | None
    last_job_id: UUID | None
    last_missed: int | None


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue and its unfinished jobs; parked ones wait for something or are paused."""

    name: str
    ready: int
    running: int
    scheduled: int
    parked: int
    oldest_ready_seconds: float
    paused_at: datetime | None


@dataclass(frozen=True, slots=True)
class Resumed:
    """A queue that was paused and is no more."""

    name: str
    woken: bool


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A process as it said of itself; `alive` where it has been seen lately. Slots and running are a worker's."""

    worker_id: UUID
    role: str
    host: str
    pid: int
    version: str
    commit: str | None
    deployment: str
    state: str
    queues: list[str] | None
    """None: every queue."""
    slots: int
    running: int
    listening: bool | None
    """Whether it is woken by notifications; None where it needs none."""
    leads: bool
    started_at: datetime
    seen_at: datetime
    alive: bool
