"""Single jobs: their state, their end by request."""

from collections.abc import Sequence
from uuid import UUID

from pillars.errors import UnknownJob
from pillars.store.results import not_ended_before
from pillars.store.rows import Answer, Held, State
from pillars.store.session import Executor
from pillars.store.statements import Statement

STATE = Statement("jobs/state", State)
CANCEL = Statement("jobs/cancel", Answer)
CANCEL_MANY = Statement("jobs/cancel_many", Answer)
PAUSE = Statement("jobs/pause", Answer)
PAUSE_MANY = Statement("jobs/pause_many", Answer)
RESUME = Statement("jobs/resume", Answer)
RESUME_MANY = Statement("jobs/resume_many", Answer)
REST = Statement("jobs/rest", Held)


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


async def pause(executor: Executor, job_id: UUID, *, by: str) -> str:
    """Pause a job: "paused", "requested" (it runs), "final" or "unknown". `by` is who asks, for people."""
    [answered] = await executor.rows(PAUSE, job_id, by)
    return answered.answer


async def pause_many(executor: Executor, job_ids: Sequence[UUID], *, by: str) -> list[str]:
    """Pause jobs in one transaction; the answers of `pause`, in the order of the ids' own. Some hundreds at a time."""
    return [row.answer for row in await executor.rows(PAUSE_MANY, list(job_ids), by)]


async def resume(executor: Executor, job_id: UUID) -> str:
    """Let a paused job go on: "resumed", "unpaused" (it was not paused), "final" or "unknown"."""
    [answered] = await executor.rows(RESUME, job_id)
    return answered.answer


async def resume_many(executor: Executor, job_ids: Sequence[UUID]) -> list[str]:
    """Let jobs go on in one transaction; the answers of `resume`, in the order of the ids' own. Some hundreds at a time."""
    return [row.answer for row in await executor.rows(RESUME_MANY, list(job_ids))]


async def rest(executor: Executor, worker_id: UUID, held: Sequence[Held]) -> list[Held]:
    """Say that the code of these jobs rests; returns those of which the row says it now."""
    job_ids = [one.job_id for one in held]
    return await executor.rows(REST, worker_id, job_ids, [one.lock_token for one in held])
