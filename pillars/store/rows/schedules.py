"""Schedules and their ticks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID


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
