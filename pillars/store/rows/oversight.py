"""What people look after: queues, processes, definitions, counts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID


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
class JobName:
    """A job's name, as its definition has it, and its unfinished jobs in whatever queue; `kind` is "async", "thread" or "process"."""

    name: str
    kind: str
    queue: str
    ready: int
    running: int
    scheduled: int
    parked: int
    paused_at: datetime | None
    paused_by: str | None


@dataclass(frozen=True, slots=True)
class NewestJob:
    """The newest unfinished job of a name."""

    job_id: UUID
    paused: bool
    """Or asked to be."""
    age: timedelta


@dataclass(frozen=True, slots=True)
class PausedName:
    """Whether a job's name is paused."""

    name: str
    paused: bool


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


@dataclass(frozen=True, slots=True)
class Defined:
    """How many definitions were written, and how many parked jobs they let run."""

    written: int
    freed: int
