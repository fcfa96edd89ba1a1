"""What the benchmarks have done: nothing at all, a millisecond of waiting, a note of the time."""

import asyncio
import os
from importlib import import_module
from typing import TYPE_CHECKING

from pillars import job

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
