"""The release that is rolled out, and back: the job has another name."""

from jobs.storm import thread, work
from pillars import Context, job

KEPT = (thread, work)


@job(name="deploy.new", max_attempts=100, max_crashes=1000, backoff="200ms")
async def new(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    return await work.function(ctx, number, seconds)
