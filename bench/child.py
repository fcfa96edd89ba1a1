"""A process of a benchmark, seen from within: it says when it is ready, waits for the word, and says what it did."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvloop


def main(**roles: Callable[..., Awaitable[None]]) -> None:
    """Play the role that argv names, with the arguments that argv gives as a JSON object."""
    role, arguments = sys.argv[1], msgspec.json.decode(sys.argv[2])
    uvloop.run(roles[role](**arguments))  # type: ignore[arg-type]


def say(**facts: Any) -> None:
    sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
    sys.stdout.flush()


def begun() -> None:
    say(ready=True)


async def gate() -> None:
    """Say that everything is ready, and wait for the word to begin."""
    begun()
    if not await asyncio.to_thread(sys.stdin.readline):
        raise EOFError("the benchmark has gone")


async def done(**facts: Any) -> None:
    """Say what was done, and stay until the bench has looked: who leaves takes connections and their processor time along."""
    say(**facts)
    await asyncio.to_thread(sys.stdin.readline)
