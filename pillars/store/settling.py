"""Giving jobs up: to the history, or back to their queue. Each write is fenced by its claim's token and the worker."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from msgspec import Struct

from pillars.store.borrowed import Borrowed, BorrowedNow
from pillars.store.rows import Answered, Completion, FinishRow, PutBack
from pillars.store.session import Executor
from pillars.store.statements import Portable, Statement

FINISH = Statement("jobs/finish", FinishRow)
COMPLETE = Portable("jobs/complete", Completion)
PUT_BACK = Statement("jobs/put_back", PutBack)


class Ended(Struct, frozen=True, gc=False):
    """A job that is final: "completed", "failed" or "cancelled"."""

    job_id: UUID
    lock_token: int
    state: str
    keep: str
    result: str | None = None
    error: str | None = None
    traceback: str | None = None


class Returned(Struct, frozen=True, gc=False):
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
    """Move jobs to the history; returns what is to be said of those that were not moved now.

    `last_of` names claims of which no other job is held; `again` says that this may have happened.
    """
    rows = await executor.rows(
        FINISH,
        worker_id,
        [one.job_id for one in ended],
        [one.lock_token for one in ended],
        _any([None if one.state == "completed" else one.state for one in ended]),
        _any([one.result for one in ended]),
        _any([one.error for one in ended]),
        _any([one.traceback for one in ended]),
        _any([None if one.keep == "full" else one.keep for one in ended]),
        list(last_of),
        again,
    )
    return [
        Answered(row.job_id, row.lock_token, row.answer)
        for row in rows
        if row.job_id is not None and row.lock_token is not None and row.answer is not None
    ]


async def complete(borrowed: Borrowed, worker_id: UUID, ended: Ended) -> str:
    """Complete one job inside the caller's transaction: "done", "busy" or "lost"."""
    [completion] = await borrowed.rows(COMPLETE, **_completing(worker_id, ended))
    return completion.answer


def complete_now(borrowed: BorrowedNow, worker_id: UUID, ended: Ended) -> str:
    """As `complete`, on a connection that blocks."""
    [completion] = borrowed.rows(COMPLETE, **_completing(worker_id, ended))
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


def _any(values: list[str | None]) -> list[str | None] | None:
    """Nothing at all is quicker sent, and read, than as many nulls."""
    return None if values.count(None) == len(values) else values


def _completing(worker_id: UUID, ended: Ended) -> dict[str, str | None]:
    return {
        "job_id": str(ended.job_id),
        "lock_token": str(ended.lock_token),
        "worker_id": str(worker_id),
        "keep": ended.keep,
        "result": ended.result,
    }
