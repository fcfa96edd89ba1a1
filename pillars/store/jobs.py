"""Single jobs: their state, their end by request."""

from collections.abc import Sequence
from uuid import UUID

from pillars.errors import UnknownJob
from pillars.store.results import not_ended_before
from pillars.store.rows import Cancelled, State
from pillars.store.session import Executor
from pillars.store.statements import Statement

STATE = Statement("jobs/state", State)
CANCEL = Statement("jobs/cancel", Cancelled)
CANCEL_MANY = Statement("jobs/cancel_many", Cancelled)


async def state(executor: Executor, job_id: UUID) -> str:
    """The state of a job; raises `UnknownJob` where no row is left of it."""
    found = await executor.rows(STATE, job_id, not_ended_before(job_id))
    if not found:
        raise UnknownJob.gone(job_id)
    return found[0].state


async def cancel(executor: Executor, job_id: UUID, *, by: str) -> str:
    """Cancel a job: "cancelled", "requested" (it runs), "final" or "unknown". `by` is who asks, for people."""
    [answered] = await executor.rows(CANCEL, job_id, by)
    return answered.answer


async def cancel_many(executor: Executor, job_ids: Sequence[UUID], *, by: str) -> list[str]:
    """Cancel jobs in one transaction; the answers of `cancel`, in the order of the ids' own. Some hundreds at a time."""
    return [row.answer for row in await executor.rows(CANCEL_MANY, list(job_ids), by)]
