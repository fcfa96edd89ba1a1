"""Waiting for the end of a measurement, with little work of its own."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import anyio

from .marks import Marks

LOOK = 0.01  # seconds
STUCK = 60.0  # seconds without one more job


async def until_ran(marks: Marks, jobs: int, *, first: int | None = None) -> None:
    """Until so many jobs were run, of all or of the first so many; raises where none more is run for a minute."""
    ran, since = 0, time.monotonic()
    while ran < jobs:
        await asyncio.sleep(LOOK)
        now = marks.ran(first)
        if now > ran:
            ran, since = now, time.monotonic()
        elif time.monotonic() - since > STUCK:
            raise AssertionError(f"of {jobs} jobs {ran} were run, and then none for {STUCK:g} s")


async def until_not(holds: Callable[[], Awaitable[bool]]) -> None:
    """Until an answer of the database is no."""
    with anyio.fail_after(STUCK):
        while await holds():
            await asyncio.sleep(LOOK)
