"""Rows about processes, for people and health."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from pillars.store.health import FRESH
from pillars.store.rows import ProcessRow, Yes
from pillars.store.session import Executor
from pillars.store.statements import Nothing, Statement

APPEAR = Statement("workers/appear", Nothing)
LEAVE = Statement("workers/leave", Nothing)
LIST = Statement("workers/list", ProcessRow)
IS_KNOWN = Statement("workers/is_known", Yes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """What a process says of itself."""

    worker_id: UUID
    role: str
    host: str
    pid: int
    version: str
    commit: str
    deployment: str
    state: str
    queues: Sequence[str] | None = None
    slots: int = 0
    running: int = 0
    listening: bool | None = None
    leads: bool = False


async def appear(executor: Executor, presence: Presence) -> None:
    """Write or renew the row of a process."""
    await executor.rows(
        APPEAR, presence.worker_id, presence.role, presence.host, presence.pid, presence.version,
        presence.commit, presence.deployment, presence.state,
        None if presence.queues is None else list(presence.queues),
        presence.slots, presence.running, presence.listening, presence.leads,
    )  # fmt: skip


async def leave(executor: Executor, worker_id: UUID) -> None:
    """Remove the row of a process that ends."""
    await executor.rows(LEAVE, worker_id)


async def listed(executor: Executor) -> list[ProcessRow]:
    """Every process that has a row, workers first."""
    return await executor.rows(LIST, FRESH)


async def is_known(executor: Executor, worker_id: UUID) -> bool:
    """Whether the process has its row in this database."""
    [answer] = await executor.rows(IS_KNOWN, worker_id)
    return answer.yes
