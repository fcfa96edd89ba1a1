"""Which processes are alive, by the rows they renew."""

from datetime import timedelta

from pillars.store.rows import Vitals
from pillars.store.session import Executor
from pillars.store.statements import Statement

LOOK = Statement("health/look", Vitals)

FRESH = timedelta(seconds=30)  # a process renews its row every 10 s
TIMEOUT = timedelta(seconds=1.5)  # health checks of platforms give up after 2 to 5 s


async def vitals(executor: Executor) -> Vitals:
    """Look once; raises `DatabaseTrouble` where that takes too long."""
    [seen] = await executor.rows(LOOK, FRESH, timeout=TIMEOUT)
    return seen
