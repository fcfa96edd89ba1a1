"""Days of history, the partitions of finished jobs, their attempts and what they said: made ahead, removed once they are old."""

from collections.abc import Collection
from datetime import timedelta

from pillars.errors import DatabaseTrouble, Trouble
from pillars.store.migrate import MAKE_DAYS
from pillars.store.pool import Address
from pillars.store.rows import Prune, Yes
from pillars.store.session import Executor, Session
from pillars.store.statements import Statement

NEXT_PRUNE = Statement("history/next_prune", Prune)
BE_PATIENT = Statement("history/be_patient", Yes)

LOCK_TIMEOUT = "1s"  # whoever waits for an exclusive lock makes all behind it wait
PATIENT = "50s"
POOLED_TIMEOUT = timedelta(seconds=2)  # a pooler has few connections to the server
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
    """Open a connection for `take`."""
    return await address.connect(application_name="pillars history", lock_timeout=LOCK_TIMEOUT)


async def next_prune(
    session: Session,
    *,
    completed: timedelta,
    failed: timedelta,
    events: timedelta,
    left_out: Collection[str] = (),
) -> Prune | None:
    """The next step towards keeping days only for so long; None where nothing is left to do but in histories `left_out`."""
    steps = await session.rows(NEXT_PRUNE, completed, failed, events, sorted(left_out))
    return steps[0] if steps else None


async def take(session: Session, step: Prune) -> bool:
    """Take a step; False where somebody is in the way: an open transaction that has read the history, or another who prunes.

    It waits for them no longer than a second, or, where nobody is held up by that, than most of a minute. A step that was cut
    short is gone on with later.
    """
    patience = PRUNE_TIMEOUT
    if session.pooled:  # which keeps no setting for us
        patience = POOLED_TIMEOUT
    else:
        await session.rows(BE_PATIENT, PATIENT if step.patient else LOCK_TIMEOUT)
    try:
        await session.script(step.statement, timeout=patience)
    except DatabaseTrouble as trouble:
        cut_short = trouble.kind is Trouble.CONFLICT or (
            session.pooled and isinstance(trouble.__cause__, TimeoutError)
        )
        if cut_short or trouble.sqlstate in TAKEN_BY_ANOTHER:
            return False
        raise
    return True
