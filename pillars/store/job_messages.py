"""What is said to jobs: sent by anybody, taken and removed by their workers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from pillars.errors import DatabaseTrouble, PayloadError
from pillars.store.rows import Answer, MessageRow, Removed
from pillars.store.session import Executor
from pillars.store.statements import Statement

SEND = Statement("job_messages/send", Answer)
UNTAKEN = Statement("job_messages/untaken", MessageRow)
REMOVE = Statement("job_messages/remove", Removed)

INVALID = "22023"  # as pillars.send refuses an argument

Held = tuple[UUID, int]
"""A job and the token of the claim that holds it."""


@dataclass(frozen=True, slots=True)
class Done:
    """A message that a job's code is done with."""

    job_id: UUID
    lock_token: int
    message_id: int


async def send(executor: Executor, job_id: UUID, message: str, *, by: str) -> str:
    """Say something to a job, as JSON: "sent", "final", "full" or "unknown". Raises `PayloadError` where it is too large as Postgres writes it."""
    try:
        [answered] = await executor.rows(SEND, job_id, message, by)
    except DatabaseTrouble as trouble:
        if trouble.sqlstate == INVALID:
            raise PayloadError(str(trouble)) from None
        raise
    return answered.answer


async def untaken(
    executor: Executor, worker_id: UUID, held: Sequence[Held], known: Collection[int]
) -> list[MessageRow]:
    """The messages that wait for these jobs, without those that are known."""
    return await executor.rows(
        UNTAKEN, worker_id, [one for one, _ in held], [token for _, token in held], list(known)
    )


async def remove(executor: Executor, worker_id: UUID, done: Sequence[Done]) -> None:
    """Remove messages; where the lock of their job is lost, nothing goes."""
    await executor.rows(
        REMOVE,
        worker_id,
        [one.job_id for one in done],
        [one.lock_token for one in done],
        [one.message_id for one in done],
    )
