"""Jobs that write down when they begin and end, in a file of their process that survives a kill -9."""

import os
import sys
import time
from pathlib import Path

import anyio

from pillars import Child, Context, Retry, job

STEP = 0.1  # seconds
PARENT = os.getppid()  # at the import: whoever comes after it is not who started us
LOG = Path(os.environ.get("CHAOS_RUNS", ".")) / f"{os.getpid()}.runs"


def note(word: str, ctx: Context) -> int:
    """Append a line; returns the token of the claim, which a job is not told otherwise."""
    _, token = ctx._complete._attempt.key
    file = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    said = f"{word} {ctx.job_id} {token} {os.getpid()} {time.time():.6f} {PARENT}\n"
    os.write(file, said.encode())
    os.close(file)
    return token


@job(name="storm.work", max_attempts=100, max_crashes=1000, backoff="200ms")
async def work(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    """Take so long, say each step, and by which claim it was done. Every 50th fails at its first attempt."""
    token = note("began", ctx)
    for step in steps(seconds):
        ctx.emit("step", {"token": token, "seconds": step})
        await anyio.sleep(step)
        await ctx.checkpoint()
    if number % 50 == 0 and ctx.attempt == 1:
        note("ended", ctx)
        raise Retry(after="100ms")
    note("ended", ctx)
    return {"number": number, "token": token}


@job(name="storm.thread", max_attempts=100, max_crashes=1000, backoff="200ms")
def thread(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    """The same in a thread, which says nothing, and which nothing can stop."""
    token = note("began", ctx)
    time.sleep(seconds)
    note("ended", ctx)
    return {"number": number, "token": token}


@job(
    name="storm.child",
    process=Child(env=["CHAOS_RUNS"]),
    max_attempts=100,
    max_crashes=1000,
    backoff="200ms",
)
def child(ctx: Context, number: int, seconds: float) -> dict[str, int]:
    """The same in a process of its own, which notes that it lives, and prints."""
    token = note("began", ctx)
    for step in steps(seconds):
        sys.stdout.write(f"step {step}\n")
        time.sleep(step)
        note("lives", ctx)
    note("ended", ctx)
    return {"number": number, "token": token}


def steps(seconds: float) -> list[float]:
    """What to sleep one after another."""
    return [STEP] * int(seconds / STEP) or [seconds]


@job(name="storm.beat", max_crashes=1000)
async def beat(ctx: Context) -> dict[str, int]:
    """What the schedules make."""
    token = note("began", ctx)
    note("ended", ctx)
    return {"token": token}
