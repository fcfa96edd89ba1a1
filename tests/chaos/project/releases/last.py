"""The release that knows every name there ever was, also the one that nobody knew."""

from jobs.storm import thread, work
from pillars import Context, job
from releases.first import old
from releases.second import new

KEPT = (thread, work, old, new)


@job(name="deploy.nobody", max_attempts=100, max_crashes=1000, backoff="200ms")
async def nobody(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    return await work.function(ctx, number, seconds)
