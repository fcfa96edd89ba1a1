"""What jobs say, and what is said to them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from msgspec import Struct


class JobEvent(Struct, frozen=True, gc=False):
    """Something that a running job said. (A struct: thousands are read in a second.)"""

    event_id: int
    job_id: UUID
    attempt: int
    kind: str
    """progress, log, output or metadata."""
    body: str
    """JSON."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest progress or metadata of a job."""

    job_id: UUID
    event_id: int
    kind: str
    body: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MessageRow:
    """Something that was said to a job."""

    message_id: int
    job_id: UUID
    body: str
    """JSON."""
    sent_by: str | None
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Removed:
    """A message that is gone."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Position:
    """The id of the newest event, and when that was read."""

    event_id: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Floor:
    """The event of a job's before its newest ones."""

    job_id: UUID
    event_id: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which events there may be: the oldest that is kept, the last id that was drawn; zero where there is none."""

    oldest: int
    drawn: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands."""

    job_id: UUID
    name: str
    tags: list[str] | None
    state: str
    attempt: int
