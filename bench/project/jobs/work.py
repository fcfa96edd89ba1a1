"""What the benchmarks have done: nothing at all, a millisecond of waiting, a note of the time."""

import asyncio
import os
from importlib import import_module
from typing import TYPE_CHECKING

from pillars import Context, job

if TYPE_CHECKING:
    from bench.marks import Marks

# By the name that it has here: `bench` in a checkout, `pillars.bench` where it was installed.
MARKS: "Marks" = import_module(f"{os.environ['BENCH_PACKAGE']}.marks").Marks.of_environ()


@job(name="noop")
async def noop(i: int) -> None:
    MARKS.mark(i)


@job(name="brief")
async def brief(i: int) -> None:
    await asyncio.sleep(0.001)
    MARKS.mark(i)


@job(name="stamp")
async def stamp(i: int) -> None:
    MARKS.stamp(i)


@job(name="talk", queue="talk", timeout="10m")
async def talk(ctx: Context, per_second: float) -> None:
    """Say so many things a second, in ten goes, until it is stopped."""
    goes, number = 10, 0
    began = asyncio.get_running_loop().time()
    while True:
        due = (asyncio.get_running_loop().time() - began) * per_second
        while number < due:
            ctx.emit("number", {"number": number, "text": "x" * 40})
            number += 1
        await asyncio.sleep(1 / goes)
