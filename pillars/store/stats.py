"""How many jobs there are, by state and by queue."""

from pillars.store.pool import Executor
from pillars.store.rows import Stats
from pillars.store.statements import Statement

LOOK = Statement("stats/look", Stats)

COUNTED = 500_000  # completed jobs of one day: above it a count takes longer than people wait, and a figure will do


async def stats(executor: Executor) -> Stats:
    """Count by one snapshot; days of more than half a million completed jobs are estimated."""
    [counted] = await executor.rows(LOOK, COUNTED)
    return counted
