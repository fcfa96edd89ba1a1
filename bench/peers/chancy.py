"""Chancy, on psycopg and uvloop."""

import asyncio
import logging

from chancy import Chancy, Queue, Worker, job

from ..child import gate, main, say
from ..marks import Marks
from .calling import call

# Tried: concurrency 100 to 1000, with a write of finished jobs each 20 ms, 100 ms, 300 ms, and 1 s, the default, which is
# the slowest; pools of 3 and 10. `eager_polling` is what makes a worker claim again before its next poll.
CONCURRENCY = 1_000
FLUSH = 0.1  # seconds
CONNECTIONS = 10
AT_ONCE = 1_000  # jobs a transaction
QUEUE = "bench"

SILENT = logging.getLogger("chancy")
SILENT.setLevel(logging.WARNING)


class Noop:
    marks: Marks


@job(queue=QUEUE)
async def noop(*, i: int) -> None:
    Noop.marks.mark(i)


async def fill(url: str, *, jobs: int) -> None:
    """By `push_many`."""
    async with chancy_of(url, 1) as chancy:
        await chancy.migrate()
        await gate()
        pushed = [noop.job.with_kwargs(i=i) for i in range(jobs)]
        async for _ in chancy.push_many(pushed, batch_size=AT_ONCE):
            pass
        say(done=jobs)


async def insert(url: str, *, clients: int, seconds: float) -> None:
    async with chancy_of(url, clients) as chancy:
        await chancy.migrate()
        await gate()
        say(done=await call(clients, seconds, lambda _: chancy.push(noop.job.with_kwargs(i=0))))


async def drain(url: str) -> None:
    Noop.marks = Marks.of_environ()
    queue = Queue(
        QUEUE, executor=Chancy.Executor.Async, concurrency=CONCURRENCY, eager_polling=True, polling_interval=1
    )  # fmt: skip
    async with chancy_of(url, CONNECTIONS) as chancy:
        worker = Worker(chancy)
        worker.send_outgoing_interval = FLUSH
        async with worker:
            await gate()
            await chancy.declare(queue)
            await asyncio.Event().wait()


def chancy_of(url: str, size: int) -> Chancy:
    return Chancy(url, log=SILENT, min_connection_pool_size=size, max_connection_pool_size=size)


if __name__ == "__main__":
    main(fill=fill, insert=insert, drain=drain)
