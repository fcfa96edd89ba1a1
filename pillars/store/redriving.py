"""Jobs that are to run again, or now."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from pillars.errors import DatabaseTrouble, UnknownJob
from pillars.store.listing import find
from pillars.store.results import not_ended_before
from pillars.store.rows import JobRow, Stored
from pillars.store.session import Executor
from pillars.store.statements import Statement
from pillars.store.states import REDRIVABLE

REDRIVE = Statement("jobs/redrive", Stored)
REDRIVE_MANY = Statement("jobs/redrive_many", Stored)
HASTEN = Statement("jobs/hasten", Stored)
HASTEN_MANY = Statement("jobs/hasten_many", Stored)

LOOKS = 5  # a job that changes its state under as many looks is being worked on by others
UNIQUE_VIOLATION = "23505"
MOVABLE = (*REDRIVABLE, "scheduled")


@dataclass(frozen=True, slots=True)
class Retried:
    """The job afterwards; `refused` says why nothing was done."""

    job: JobRow
    refused: str | None = None


async def retry(executor: Executor, job_id: UUID) -> Retried:
    """Run a failed, cancelled or expired job again; make a scheduled one due now; leave a ready one be.

    Refuses what runs, is parked or completed. Raises `UnknownJob` where no row is left of it.
    """
    for _ in range(LOOKS):
        job = await _found(executor, job_id)
        try:
            if job.state == "ready" or await _again(executor, job):
                return Retried(await find(executor, job_id) or job)
        except DatabaseTrouble as trouble:
            if trouble.sqlstate != UNIQUE_VIOLATION:
                raise
            return Retried(job, "its unique_key is held by an unfinished job")
        if job.state not in MOVABLE:
            return Retried(job, f"a {job.state} job cannot be retried")
    return Retried(job, "its state keeps changing; try again")


async def retry_many(executor: Executor, job_ids: Sequence[UUID]) -> int:
    """Retry those of the jobs that can be, final ones in one statement and scheduled ones in another; return how many. Some hundreds at a time."""
    redriven = await redrive_many(executor, job_ids)
    return redriven + len(await executor.rows(HASTEN_MANY, list(job_ids)))


async def redrive(executor: Executor, job_id: UUID) -> bool:
    """Move a failed, cancelled or expired job back under its id; False where it is none (any more).

    A unique key that another job holds is `DatabaseTrouble` with sqlstate 23505; nothing is changed then.
    """
    return bool(await executor.rows(REDRIVE, job_id, not_ended_before(job_id)))


async def redrive_many(executor: Executor, job_ids: Sequence[UUID]) -> int:
    """Redrive those of the jobs that are final, and return how many; the others are left as they are. Some hundreds at a time.

    In one statement, or one by one where some unique key is held: by an unfinished job, or by two of these.
    """
    since = min(map(not_ended_before, job_ids), default=None)
    if since is None:
        return 0
    try:
        return len(await executor.rows(REDRIVE_MANY, list(job_ids), since))
    except DatabaseTrouble as trouble:
        if trouble.sqlstate != UNIQUE_VIOLATION:
            raise
    return sum([await _redriven(executor, job_id) for job_id in job_ids])


async def hasten(executor: Executor, job_id: UUID) -> bool:
    """Make a scheduled job due now; False where it is not scheduled (any more)."""
    return bool(await executor.rows(HASTEN, job_id))


async def _redriven(executor: Executor, job_id: UUID) -> bool:
    try:
        return await redrive(executor, job_id)
    except DatabaseTrouble as trouble:
        if trouble.sqlstate != UNIQUE_VIOLATION:
            raise
        return False


async def _again(executor: Executor, job: JobRow) -> bool:
    match job.state:
        case state if state in REDRIVABLE:
            return await redrive(executor, job.job_id)
        case "scheduled":
            return await hasten(executor, job.job_id)
    return False


async def _found(executor: Executor, job_id: UUID) -> JobRow:
    job = await find(executor, job_id)
    if job is None:
        raise UnknownJob.gone(job_id)
    return job
