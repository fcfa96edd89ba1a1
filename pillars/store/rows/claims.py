"""Claims: what was taken, kept alive, settled, swept."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct


class Claimed(Struct, frozen=True, gc=False):
    """A job that is ours until its lock expires. (A struct: thousands are made in a second.)"""

    job_id: UUID
    lock_token: int
    name: str
    queue: str
    priority: int
    run_at: datetime
    payload: str
    context: str | None
    attempt: int
    max_attempts: int | None
    tags: list[str] | None
    locked_at: datetime
    deadline_at: datetime | None
    again: bool
    """Whether it may have been begun before; false is certain."""


class ClaimRow(Claimed, frozen=True, gc=False):
    """One row of a claim's answer: the first has the counts, and nothing of a job; each other one a job, and no counts.

    Only `store.claiming` sees the first: it is None wherever a job is not.
    """

    picked: int | None
    locked: int | None
    next_run_at: datetime | None
    now: datetime | None
    took: timedelta | None


@dataclass(frozen=True, slots=True)
class Lane:
    """A queue and a priority in it."""

    queue: str
    priority: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a job that a finish did not simply move: "done" (before), "busy" (ask again), "completed" (before, by its own code), "lost"."""

    job_id: UUID
    lock_token: int
    answer: str


@dataclass(frozen=True, slots=True)
class FinishRow:
    """One row of a finish's answer; the job's fields are None where there is nothing but `done` to tell."""

    done: int
    job_id: UUID | None
    lock_token: int | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class Completion:
    answer: str
    """As of a finish."""


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
    pausing: list[UUID]
    known: bool
    proofs: int


@dataclass(frozen=True, slots=True)
class Held:
    """A job that a worker holds."""

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
