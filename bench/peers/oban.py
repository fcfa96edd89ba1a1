"""Oban for Python, the open one, on psycopg and uvloop. Its paid part, not measured, writes many in one statement."""

import asyncio

from oban import Oban, job
from oban.schema import install
from psycopg_pool import AsyncConnectionPool

from ..child import gate, main, say
from ..marks import Marks
from .calling import call

# Jobs at once, and so jobs a claim and finished jobs a transaction. Tried: 100 (1.7k jobs/s), 200 (1.6k), 500 (1.8k),
# 1000 (2.2k), 2000 (2.0k); debounce_interval 1, 5 (the default) and 20 ms and pools of 3 and 10: no difference beyond noise.
LIMIT = 1_000
CONNECTIONS = 10
AT_ONCE = 1_000  # jobs a transaction
QUEUE = "default"


class Noop:
    marks: Marks


@job(queue=QUEUE)
async def noop(i: int) -> None:
    Noop.marks.mark(i)


async def fill(url: str, *, jobs: int) -> None:
    """By `enqueue_many`: one transaction, and in the open one a statement for each."""
    async with await Oban.create_pool(url) as pool:
        await install(pool)
        oban = Oban(pool=pool)
        await gate()
        for first in range(0, jobs, AT_ONCE):
            await oban.enqueue_many(noop.new(i) for i in range(first, min(first + AT_ONCE, jobs)))
        say(done=jobs)


async def insert(url: str, *, clients: int, seconds: float) -> None:
    """On connections that commit each statement by themselves: one round trip for a job."""
    alone = {"autocommit": True}
    async with AsyncConnectionPool(
        url, min_size=clients, max_size=clients, kwargs=alone, open=False
    ) as pool:
        await install(pool)
        oban = Oban(pool=pool)
        await gate()
        say(done=await call(clients, seconds, lambda _: oban.enqueue(noop.new(0))))


async def drain(url: str) -> None:
    Noop.marks = Marks.of_environ()
    async with await Oban.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        queues = {QUEUE: {"limit": LIMIT, "paused": True}}
        async with Oban(pool=pool, queues=queues) as oban:
            await gate()
            await oban.resume_queue(QUEUE)
            await asyncio.Event().wait()


if __name__ == "__main__":
    main(fill=fill, insert=insert, drain=drain)
