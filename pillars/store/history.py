"""Days of history: the partitions of finished jobs and attempts."""

from pillars.store.migrate import MAKE_DAYS
from pillars.store.pool import Executor


async def make_days(executor: Executor) -> int:
    """Make the partitions of today and three days ahead; returns how many were missing."""
    [made] = await executor.rows(MAKE_DAYS)
    return made.made
