"""Giving jobs up: to the history, or back to their queue. Each write is fenced by its claim's token."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from pillars.store.borrowed import Borrowed, BorrowedNow
from pillars.store.pool import Executor
from pillars.store.rows import Answered, Completion, PutBack
from pillars.store.statements import Portable, Statement

FINISH = Statement("jobs/finish", Answered)
COMPLETE = Portable("jobs/complete", Completion)
PUT_BACK = Statement("jobs/put_back", PutBack)


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that is final: "completed", "failed" or "cancelled"."""

    job_id: UUID
    lock_token: int
    state: str
    keep: str
    result: str | None = None
    error: str | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """A job that goes back to its queue: "retried", "snoozed" or "released"."""

    job_id: UUID
    lock_token: int
    outcome: str
    wait: timedelta | None
    """None: `run_at` stays as it was."""
    given_back: bool
    """Whether the attempt does not count."""
    begun: bool
    """Whether the job's code was started: from then on it does not expire."""
    error: str | None = None
    traceback: str | None = None


async def finish(
    executor: Executor,
    worker_id: UUID,
    ended: Sequence[Ended],
    *,
    last_of: Sequence[int] = (),
    again: bool = False,
) -> list[Answered]:
    """Move jobs to the history. `last_of` names claims of which no other job is held; `again` says that this may have happened."""
    return await executor.rows(
        FINISH,
        worker_id,
        [one.job_id for one in ended],
        [one.lock_token for one in ended],
        [one.state for one in ended],
        [one.result for one in ended],
        [one.error for one in ended],
        [one.traceback for one in ended],
        [one.keep for one in ended],
        list(last_of),
        again,
    )


async def complete(borrowed: Borrowed, ended: Ended) -> str:
    """Complete one job inside the caller's transaction: "done", "busy" or "lost"."""
    [completion] = await borrowed.rows(COMPLETE, **_completing(ended))
    return completion.answer


def complete_now(borrowed: BorrowedNow, ended: Ended) -> str:
    """As `complete`, on a connection that blocks."""
    [completion] = borrowed.rows(COMPLETE, **_completing(ended))
    return completion.answer


async def put_back(
    executor: Executor,
    worker_id: UUID,
    returned: Sequence[Returned],
    *,
    last_of: Sequence[int] = (),
    again: bool = False,
) -> list[PutBack]:
    """Give jobs back to their queue; those whose end was asked for end as cancelled."""
    return await executor.rows(
        PUT_BACK,
        worker_id,
        [one.job_id for one in returned],
        [one.lock_token for one in returned],
        [one.wait for one in returned],
        [one.given_back for one in returned],
        [one.begun for one in returned],
        [one.outcome for one in returned],
        [one.error for one in returned],
        [one.traceback for one in returned],
        list(last_of),
        again,
    )


def _completing(ended: Ended) -> dict[str, str | None]:
    return {
        "job_id": str(ended.job_id),
        "lock_token": str(ended.lock_token),
        "keep": ended.keep,
        "result": ended.result,
    }
