"""Jobs that are to run again, or now."""

from dataclasses import dataclass
from uuid import UUID

from pillars.errors import DatabaseTrouble, UnknownJob
from pillars.store.listing import find
from pillars.store.pool import Executor
from pillars.store.results import not_ended_before
from pillars.store.rows import JobRow, Stored
from pillars.store.statements import Statement

REDRIVE = Statement("jobs/redrive", Stored)
HASTEN = Statement("jobs/hasten", Stored)

LOOKS = 5  # a job that changes its state under as many looks is being worked on by others
UNIQUE_VIOLATION = "23505"
MOVABLE = ("failed", "cancelled", "expired", "scheduled")


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


async def redrive(executor: Executor, job_id: UUID) -> bool:
    """Move a failed, cancelled or expired job back under its id; False where it is none (any more).

    A unique key that another job holds is `DatabaseTrouble` with sqlstate 23505; nothing is changed then.
    """
    return bool(await executor.rows(REDRIVE, job_id, not_ended_before(job_id)))


async def hasten(executor: Executor, job_id: UUID) -> bool:
    """Make a scheduled job due now; False where it is not scheduled (any more)."""
    return bool(await executor.rows(HASTEN, job_id))


async def _again(executor: Executor, job: JobRow) -> bool:
    match job.state:
        case "failed" | "cancelled" | "expired":
            return await redrive(executor, job.job_id)
        case "scheduled":
            return await hasten(executor, job.job_id)
    return False


async def _found(executor: Executor, job_id: UUID) -> JobRow:
    job = await find(executor, job_id)
    if job is None:
        raise UnknownJob.gone(job_id)
    return job
