"""The release that is there; it knows a job by the name that the next one gives up."""

from jobs.storm import thread, work
from pillars import Context, job

KEPT = (thread, work)


@job(name="deploy.old", max_attempts=100, max_crashes=1000, backoff="200ms")
async def old(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    return await work.function(ctx, number, seconds)
