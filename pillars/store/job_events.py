"""What jobs say while they run: written by their workers, read by whoever watches."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pillars.store.rows import Bounds, Floor, Held, JobEvent, Newest, Position
from pillars.store.session import Executor
from pillars.store.statements import Statement

WRITE = Statement("job_events/write", Held)
AFTER = Statement("job_events/after", JobEvent)
OF_JOBS = Statement("job_events/of_jobs", JobEvent)
FLOORS = Statement("job_events/floors", Floor)
BOUNDS = Statement("job_events/bounds", Bounds)
POSITION = Statement("job_events/position", Position)
NEWEST = Statement("job_events/newest", Newest)
LINES = Statement("job_events/lines", JobEvent)

CHANNEL = "pillars_said"
"""Notified, without a payload, whenever jobs have said something."""


@dataclass(frozen=True, slots=True)
class Said:
    """Something that a running job says, with the claim that it is fenced by."""

    job_id: UUID
    lock_token: int
    attempt: int
    kind: str
    body: str
    """JSON."""


async def write(executor: Executor, worker_id: UUID, said: Sequence[Said]) -> list[Held]:
    """Write it in its order; returns the claims that hold their jobs yet. Of the others nothing was written."""
    return await executor.rows(
        WRITE,
        worker_id,
        [one.job_id for one in said],
        [one.lock_token for one in said],
        [one.attempt for one in said],
        [one.kind for one in said],
        [one.body for one in said],
    )


async def position(executor: Executor) -> Position:
    """How far there is something to read: what is said later has a higher id."""
    [found] = await executor.rows(POSITION)
    return found


async def after(executor: Executor, event_id: int, since: datetime, limit: int) -> list[JobEvent]:
    """What all jobs have said after an event, which was written after `since`."""
    return await executor.rows(AFTER, event_id, since, limit)


async def of_jobs(
    executor: Executor,
    after: Mapping[UUID, int],
    *,
    up_to: int,
    made_since: datetime,
    limit: int,
) -> list[JobEvent]:
    """The first that several jobs have said, each after an event of its own and all up to one, in order."""
    return await executor.rows(OF_JOBS, list(after), list(after.values()), up_to, made_since, limit)


async def floors(
    executor: Executor, job_ids: Collection[UUID], *, made_since: datetime, wanted: int
) -> dict[UUID, int]:
    """After which event the newest `wanted` of a job's begin; jobs that have said no more than that are left out."""
    found = await executor.rows(FLOORS, list(job_ids), made_since, wanted)
    return {one.job_id: one.event_id for one in found}


async def bounds(executor: Executor) -> Bounds:
    """Which events are kept, and which ids there have been."""
    [found] = await executor.rows(BOUNDS)
    return found


async def newest(executor: Executor, job_ids: Collection[UUID], since: datetime) -> list[Newest]:
    """The newest progress and metadata of jobs that were made after `since`."""
    return await executor.rows(NEWEST, list(job_ids), since)


async def lines(executor: Executor, job_id: UUID, since: datetime, limit: int) -> list[JobEvent]:
    """The last lines of the log of a job that was made after `since`, the newest first."""
    return await executor.rows(LINES, job_id, since, limit)
