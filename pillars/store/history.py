"""Days of history, the partitions of finished jobs and attempts: made ahead, removed once they are old."""

from datetime import timedelta

from pillars.errors import DatabaseTrouble, Trouble
from pillars.store.migrate import MAKE_DAYS
from pillars.store.pool import Address, Executor, Session
from pillars.store.rows import Prune
from pillars.store.statements import Statement

NEXT_PRUNE = Statement("history/next_prune", Prune)

LOCK_TIMEOUT = "1s"  # whoever waits for an exclusive lock makes all behind it wait
PRUNE_TIMEOUT = timedelta(minutes=1)  # a drop unlinks all files of a day
# Another process took the same step: the day is detached or gone (42P01), or being detached (55000).
TAKEN_BY_ANOTHER = {"42P01", "55000"}


async def make_days(executor: Executor) -> int:
    """Make the partitions of today and three days ahead; returns how many were missing."""
    [made] = await executor.rows(MAKE_DAYS)
    return made.made


async def see_to_days(executor: Executor) -> None:
    """Make what days are missing, unless somebody is at the history: days are made ahead, and a sweep will do."""
    try:
        await make_days(executor)
    except DatabaseTrouble as trouble:
        if trouble.kind is not Trouble.CONFLICT:
            raise


async def connect_to_prune(address: Address) -> Session:
    """Open a connection for `prune`, which waits for nobody longer than a second."""
    return await address.connect(application_name="pillars history", lock_timeout=LOCK_TIMEOUT)


async def prune(session: Session, *, completed: timedelta, failed: timedelta) -> Prune | None:
    """Take the next step towards keeping days only for so long.

    None where nothing is left to do, or somebody is in the way: an open transaction that has read the history, another
    process that prunes. A step that was cut short is what the next call goes on with.
    """
    steps = await session.rows(NEXT_PRUNE, completed, failed)
    if not steps:
        return None
    [step] = steps
    try:
        await session.script(step.statement, timeout=PRUNE_TIMEOUT)
    except DatabaseTrouble as trouble:
        if trouble.kind is Trouble.CONFLICT or trouble.sqlstate in TAKEN_BY_ANOTHER:
            return None
        raise
    return step
