"""A job that leaves none of its process's connections to others."""

import time

import anyio

from jobs.storm import note
from pillars import Context, job


@job(name="contend.hold")
async def hold(ctx: Context, seconds: float) -> dict[str, float]:
    """Hold a connection, and say from when to when; where the pool has one, no other job gets any."""
    token = note("began", ctx)
    async with ctx.connection() as connection:
        await connection.execute("select")
        since = time.time()
        await anyio.sleep(seconds)
        until = time.time()
    note("ended", ctx)
    return {"token": token, "since": since, "until": until}
