"""Jobs that write down when they begin and end, in a file of their process that survives a kill -9."""

import os
import time
from pathlib import Path

import anyio

from pillars import Context, Retry, job

LOG = Path(os.environ.get("CHAOS_RUNS", ".")) / f"{os.getpid()}.runs"


def note(word: str, ctx: Context) -> int:
    """Append a line; returns the token of the claim, which a job is not told otherwise."""
    _, token = ctx._complete._attempt.key
    file = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{word} {ctx.job_id} {token} {os.getpid()} {time.time():.6f}\n".encode())
    os.close(file)
    return token


@job(name="storm.work", max_attempts=100, max_crashes=1000, backoff="200ms")
async def work(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    """Take so long, and say by which claim it was done. Every 50th fails at its first attempt."""
    token = note("began", ctx)
    await anyio.sleep(seconds)
    if number % 50 == 0 and ctx.attempt == 1:
        note("ended", ctx)
        raise Retry(after="100ms")
    note("ended", ctx)
    return {"number": number, "token": token}


@job(name="storm.thread", max_attempts=100, max_crashes=1000, backoff="200ms")
def thread(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    """The same in a thread, which nothing can stop."""
    token = note("began", ctx)
    time.sleep(seconds)
    note("ended", ctx)
    return {"number": number, "token": token}


@job(name="storm.beat", max_crashes=1000)
async def beat(ctx: Context) -> dict[str, int]:
    """What the schedules make."""
    token = note("began", ctx)
    note("ended", ctx)
    return {"token": token}
