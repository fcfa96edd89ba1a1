"""How jobs stand, for whoever follows them: many at once, and nothing of them that is long."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from pillars.store.results import not_ended_before
from pillars.store.rows import Standing, Stored
from pillars.store.session import Executor
from pillars.store.statements import Statement

STANDING = Statement("jobs/standing", Standing)
UNFINISHED_OF = Statement("jobs/unfinished_of", Stored)

LOOKED_AT = 20_000  # jobs, among which those of a name or a tag are looked for: 15 ms


def since(job_ids: Iterable[UUID]) -> datetime:
    """A time before which none of these jobs has ended, or said anything."""
    return min(map(not_ended_before, job_ids))


async def standings(executor: Executor, job_ids: Collection[UUID]) -> list[Standing]:
    """How jobs stand; those of which no row is left are missing."""
    if not job_ids:
        return []
    return await executor.rows(STANDING, list(job_ids), since(job_ids))


async def unfinished_of(
    executor: Executor, names: Collection[str], tags: Collection[str], *, limit: int
) -> list[UUID]:
    """The newest unfinished jobs of some names or tags, among the newest 20,000."""
    found = await executor.rows(UNFINISHED_OF, list(names), list(tags), LOOKED_AT, limit)
    return [one.job_id for one in found]
