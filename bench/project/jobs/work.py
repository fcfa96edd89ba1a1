"""What the benchmarks have done: nothing at all, a millisecond of waiting, a note of the time."""

import asyncio

from bench.marks import Marks
from pillars import job

MARKS = Marks.of_environ()


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
