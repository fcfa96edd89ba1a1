"""Jobs whose runs can be counted from outside: each appends a line to a file, which survives a kill -9."""

import ctypes
import os
import time
from contextlib import suppress
from pathlib import Path

import anyio

from pillars import Context, job


def note(log: str, *words: object) -> None:
    line = " ".join(map(str, (*words, os.getpid()))) + "\n"
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)


def may_end(until: str) -> bool:
    return Path(until).exists() or Path(f"{until}.{os.getpid()}").exists()


@job(name="hold", max_crashes=10)
async def hold(ctx: Context, log: str, until: str) -> None:
    """Run until the file `until` appears, or one with this process's id after its name."""
    note(log, "began", ctx.job_id, ctx.attempt)
    try:
        while not may_end(until):
            await anyio.sleep(0.05)
    except anyio.get_cancelled_exc_class():
        note(log, "stopped", ctx.job_id, ctx.attempt, time.time())
        raise
    note(log, "ended", ctx.job_id, ctx.attempt)


@job(name="sit", max_crashes=10)
def sit(ctx: Context, log: str, until: str) -> None:
    """As `hold`, in a thread, which nothing can stop."""
    note(log, "began", ctx.job_id, ctx.attempt)
    while not may_end(until):
        time.sleep(0.05)
    note(log, "ended", ctx.job_id, ctx.attempt)


@job(name="deaf")
async def deaf(ctx: Context, log: str) -> None:
    """As `hold`, without end, and it heeds no cancellation."""
    note(log, "began", ctx.job_id, ctx.attempt)
    while True:
        with suppress(anyio.get_cancelled_exc_class()):
            await anyio.sleep_forever()


@job(name="block")
async def block(ctx: Context, log: str, seconds: float) -> None:
    """Hold the event loop."""
    note(log, "began", ctx.job_id, ctx.attempt)
    time.sleep(seconds)
    note(log, "ended", ctx.job_id, ctx.attempt)


@job(name="grip")
async def grip(ctx: Context, log: str, fifo: str) -> None:
    """Hold the interpreter in one C call, the first time, until somebody opens `fifo`: no thread of the process runs."""
    is_first = not Path(log).exists()
    note(log, "began", ctx.job_id, ctx.attempt)
    if is_first:
        ctypes.PyDLL(None).open(fifo.encode(), os.O_RDONLY)
    note(log, "ended", ctx.job_id, ctx.attempt)


@job(name="quick")
async def quick(number: int) -> int:
    await anyio.sleep(0.01)
    return number


@job(name="ping")
async def ping() -> str:
    return "pong"


@job(name="at_once", max_attempts=3, backoff="0s")
async def at_once(ctx: Context) -> int:
    if ctx.attempt < 3:
        raise ValueError("again, now")
    return ctx.attempt
