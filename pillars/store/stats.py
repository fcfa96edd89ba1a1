"""How many jobs there are, by state and by queue."""

from datetime import timedelta

from pillars.store.rows import Named, Stats
from pillars.store.session import Executor
from pillars.store.statements import Statement

LOOK = Statement("stats/look", Stats)
COUNT = Statement("stats/count", Named)

COUNTED = 20_000  # jobs of a day that no sweep has counted: above it a count takes longer than people wait, and a figure will do
COUNTING = timedelta(seconds=30)


async def stats(executor: Executor) -> Stats:
    """Count by one snapshot: of very many unfinished jobs what a sweep has counted lately; days of many jobs may be estimated."""
    [counted] = await executor.rows(LOOK, COUNTED, timeout=COUNTING)
    return counted


async def count_large(executor: Executor) -> list[str]:
    """Count what takes long, for all who look, where that is due; returns what was counted."""
    return [counted.name for counted in await executor.rows(COUNT, timeout=COUNTING)]
