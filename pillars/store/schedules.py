"""Schedules: synced from code, read and ticked by the leader, run and paused by people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from pillars.errors import DefinitionError, UnknownSchedule
from pillars.store import listing
from pillars.store.pool import Pool
from pillars.store.rows import (
    Due,
    Enqueued,
    JobRow,
    Listed,
    Named,
    Now,
    Stored,
    Swept,
    Ticked,
    TurnRow,
    Yes,
)
from pillars.store.session import Executor, Session
from pillars.store.statements import Statement

LEAD = Statement("schedules/lead", Yes)
RESIGN = Statement("schedules/resign", Yes)
READ = Statement("schedules/read", TurnRow)
TICK = Statement("schedules/tick", Ticked)
TICK_POOLED = Statement("schedules/tick_pooled", Ticked)
FREE = Statement("schedules/free", Stored)
FAIL = Statement("schedules/fail", Named)
PRUNE = Statement("schedules/prune", Named)
NOW = Statement("jobs/now", Now)
SYNC = Statement("schedules/sync", Named)
REMOVE = Statement("schedules/remove", Named)
RUN_NOW = Statement("schedules/run_now", Enqueued)
PAUSE = Statement("schedules/pause", Named)
RESUME = Statement("schedules/resume", Named)
LISTED = Statement("schedules/listed", Listed)
NAMES = Statement("schedules/names", Named)

SERVER_TIMEOUT = timedelta(seconds=5)  # of the leader's statements, kept by the server
PATIENCE = timedelta(
    seconds=7
)  # a little longer, so that the server's answer comes first and the connection lives
BRIEF = timedelta(seconds=0.5)  # for a farewell; the session's end says the same


@dataclass(frozen=True, slots=True)
class MadeNow:
    """The job of a schedule that was run by hand; `created` False where it is the one that holds the unique key."""

    job: JobRow
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """A schedule as its code has it, with its next tick; a timeout of zero means none, None the job's."""

    name: str
    job: str
    payload: str
    queue: str
    priority: int
    max_attempts: int | None
    timeout: timedelta | None
    expires_in: timedelta | None
    unique_key: str | None
    context: str | None
    tags: list[str] | None
    every: timedelta | None
    crontab: str | None
    timezone: str
    catchup: str
    overlap: str
    jitter: timedelta
    catchup_window: timedelta | None
    paused: bool
    next_run_at: datetime | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What a leader reads each turn: the time, what is due, when the next is; and what the sweep that rode along did, if one did."""

    now: datetime
    next_due_at: datetime | None
    due: tuple[Due, ...]
    queued: bool
    """Jobs wait for the one before them."""
    swept: Swept | None


async def lead(session: Session) -> bool:
    """Become the leader for as long as this connection lives, unless another is."""
    [answer] = await session.rows(LEAD, timeout=PATIENCE)
    return answer.yes


async def resign(session: Session) -> None:
    """Let another lead."""
    await session.rows(RESIGN, timeout=BRIEF)


async def read(session: Session, *, sweep: bool) -> Turn:
    """What is due; sweeps too where asked. Raises `DatabaseTrouble`."""
    rows = await session.rows(READ, sweep, timeout=PATIENCE)
    first = rows[0]
    return Turn(
        first.now,
        first.next_due_at,
        tuple(due for due in map(_due, rows) if due is not None),
        first.queued,
        _swept(first),
    )


async def tick(
    session: Session,
    due: Due,
    *,
    tick: datetime | None,
    late: bool,
    missed: int,
    next_run_at: datetime | None,
    pooled: bool = False,
) -> Ticked | None:
    """Decide one tick, all or nothing; `tick` None moves the schedule on. None where, `pooled`, another leads just now.

    Raises `DatabaseTrouble`; an unknown outcome may be tried again: a tick is noted once.
    """
    statement = TICK_POOLED if pooled else TICK
    answer = await session.rows(
        statement, due.name, due.next_run_at, tick, late, missed, next_run_at, timeout=PATIENCE
    )
    return answer[0] if answer else None


async def fail(session: Session, due: Due, error: str) -> bool:
    """Note why a schedule could not be ticked; returns whether that is news."""
    return bool(await session.rows(FAIL, due.name, due.next_run_at, error, timeout=PATIENCE))


async def free(session: Session) -> int:
    """Let queued jobs run whose predecessor has ended; returns how many."""
    return len(await session.rows(FREE, timeout=PATIENCE))


async def prune(session: Session, keep: timedelta) -> int:
    """Remove up to 10,000 ticks older than `keep`; returns how many."""
    return len(await session.rows(PRUNE, keep, timeout=PATIENCE))


async def now(executor: Executor) -> datetime:
    """The time of record."""
    [clock] = await executor.rows(NOW)
    return clock.now


async def sync(session: Session, schedules: Sequence[NewSchedule], *, deployment: str) -> None:
    """Make the schedules of a deployment those of its code; run it in a transaction.

    Others' are not touched: a name that another deployment owns raises `DefinitionError`. A rule that is unchanged keeps
    its next tick. A person's pause stays until the code's own `paused` changes.
    """
    names = {schedule.name for schedule in schedules}
    written = await session.rows(SYNC, msgspec.json.encode(list(schedules)).decode(), deployment)
    taken = sorted(names - {row.name for row in written})
    if taken:
        raise DefinitionError(
            f'schedule "{taken[0]}" belongs to another deployment than "{deployment}" in this database: '
            "give it another name=, or set deployment under [tool.pillars]"
        )
    await session.rows(REMOVE, deployment, sorted(names))


async def run_now(executor: Executor, name: str, job_id: UUID) -> Enqueued:
    """Make the job of a schedule now, and no tick; where its unique key is held, that job is the answer.

    Works on a paused schedule, too. Raises `UnknownSchedule`.
    """
    made = await executor.rows(RUN_NOW, name, job_id)
    if not made:
        raise await _unknown(executor, name)
    return made[0]


async def made_now(pool: Pool, name: str, job_id: UUID) -> MadeNow | None:
    """As `run_now`, with the job's row, and whether it is new; None where the job that held the unique key has ended meanwhile, and left no row."""
    async with pool.session() as session, session.transaction():
        made = await run_now(session, name, job_id)
        job = await listing.find(session, made.job_id)
    return None if job is None else MadeNow(job, made.created)


async def pause(executor: Executor, name: str) -> None:
    """Stop the ticks of a schedule; raises `UnknownSchedule`."""
    if not await executor.rows(PAUSE, name):
        raise await _unknown(executor, name)


async def resume(executor: Executor, name: str) -> None:
    """Let a schedule tick again, from its next tick on; raises `UnknownSchedule`."""
    if not await executor.rows(RESUME, name):
        raise await _unknown(executor, name)


async def listed(executor: Executor) -> list[Listed]:
    """Every schedule, by name."""
    return await executor.rows(LISTED, None)


async def find(executor: Executor, name: str) -> Listed:
    """One schedule; raises `UnknownSchedule` with the nearest name."""
    found = await executor.rows(LISTED, name)
    if not found:
        raise await _unknown(executor, name)
    return found[0]


def _due(row: TurnRow) -> Due | None:
    if row.name is None or row.timezone is None or row.catchup is None or row.next_run_at is None:
        return None
    return Due(
        row.name,
        row.every,
        row.crontab,
        row.timezone,
        row.catchup,
        row.catchup_window,
        row.next_run_at,
    )


def _swept(row: TurnRow) -> Swept | None:
    if row.swept is None:
        return None
    return Swept(row.swept, row.rescued, row.failed, row.cancelled, row.expired, row.parked)


async def _unknown(executor: Executor, name: str) -> UnknownSchedule:
    return UnknownSchedule.among(name, [row.name for row in await executor.rows(NAMES)])
