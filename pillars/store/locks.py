"""Locks: prolonging one's own, and taking over those of the dead."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from pillars.store.route import ANSWER
from pillars.store.rows import Beat, Held, Swept
from pillars.store.session import Executor, Session
from pillars.store.statements import Statement

BEAT = Statement("locks/beat", Beat)
HELD = Statement("locks/held", Held)
SWEEP = Statement("locks/sweep", Swept)

SWEEP_TIMEOUT = timedelta(minutes=1)
AT_ONCE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What a worker says of itself with each heartbeat."""

    worker_id: UUID
    tokens: Sequence[int]
    lock: timedelta
    running: int
    listening: bool | None
    state: str
    proof: str


async def beat(executor: Executor, pulse: Pulse, *, timeout: timedelta) -> Beat:
    """Extend exactly the named locks; raises `DatabaseTrouble`."""
    [reply] = await executor.rows(
        BEAT, pulse.worker_id, list(pulse.tokens), pulse.lock, pulse.running, pulse.listening,
        pulse.state, pulse.proof, timeout=timeout,
    )  # fmt: skip
    return reply


async def held(executor: Executor, worker_id: UUID) -> list[Held]:
    """What the locks table says this worker holds."""
    return await executor.rows(HELD, worker_id)


async def sweep(executor: Executor) -> Swept:
    """Rescue the jobs of dead workers, end the expired, park the unknown, make the days ahead, forget who is gone."""
    [swept] = await executor.rows(SWEEP, timeout=SWEEP_TIMEOUT)
    return swept


async def reach(session: Session) -> None:
    """Raise `DatabaseTrouble` unless the server answers at once."""
    await session.rows(ANSWER, timeout=AT_ONCE)
