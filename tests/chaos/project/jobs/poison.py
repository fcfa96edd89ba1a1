"""Jobs that end the process they run in, or would."""

import os
import re
import signal
import time

from jobs.storm import note
from pillars import Context, job


@job(name="poison.segfault")
async def segfault(ctx: Context) -> None:
    note("began", ctx)
    os.kill(os.getpid(), signal.SIGSEGV)


@job(name="poison.leave")
async def leave(ctx: Context) -> None:
    note("began", ctx)
    os._exit(3)


@job(name="poison.out_of_memory")
async def out_of_memory(ctx: Context) -> None:
    """As the kernel ends a process that took too much."""
    note("began", ctx)
    os.kill(os.getpid(), signal.SIGKILL)


@job(name="poison.hang", timeout="1s")
async def hang(ctx: Context) -> None:
    """Hold the loop for ever."""
    note("began", ctx)
    while True:
        time.sleep(1)


@job(name="poison.fork", max_crashes=1000)
async def fork(ctx: Context) -> dict[str, int]:
    """Leave children behind that live on for a moment."""
    token = note("began", ctx)
    for _ in range(5):
        if os.fork() == 0:
            time.sleep(1)
            os._exit(0)
    note("ended", ctx)
    return {"token": token}


@job(name="starve.sleep", timeout="1m")
async def sleep(ctx: Context, seconds: float) -> dict[str, int]:
    """Hold the loop, and let other threads run."""
    token = note("began", ctx)
    time.sleep(seconds)
    note("ended", ctx)
    return {"token": token}


@job(name="starve.spin", timeout="1m")
async def spin(ctx: Context, seconds: float) -> dict[str, int]:
    """Hold the loop, and let other threads have the interpreter now and then."""
    token = note("began", ctx)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    note("ended", ctx)
    return {"token": token}


@job(name="starve.grip", timeout="1m", max_crashes=1)
async def grip(ctx: Context, seconds: float) -> dict[str, int]:
    """Hold the interpreter, so that no thread of the process runs, for at least half of the time."""
    token = note("began", ctx)
    length, took = 18, 0.0
    while took < seconds / 2:
        began = time.monotonic()
        re.match(r"(a+)+$", "a" * length + "b")
        took = time.monotonic() - began
        length += 1
    note("ended", ctx)
    return {"token": token}
