"""Procrastinate, on psycopg and uvloop."""

import asyncio
import logging

from procrastinate import App, PsycopgConnector
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from ..child import gate, main, say
from ..marks import Marks
from .calling import call

# A worker claims its jobs one after the other, so several in the one process do more. Tried: 1 worker of 5, 20, 50 jobs
# at once (130 to 220 jobs/s), 4 of 20 (300), 8 of 5 (330), 16 of 2 (260). With a pool of our own, whose connections
# commit each statement by themselves and are not asked whether they live at each use: 8 of 5 (450). Deleting jobs at
# success instead of keeping them: the same, with a quarter less WAL.
WORKERS = 8
CONCURRENCY = 5
CONNECTIONS = 30
AT_ONCE = 1_000  # jobs a statement

logging.getLogger("procrastinate").setLevel(
    logging.ERROR
)  # before it warns that its app lives in the main module
app = App(connector=PsycopgConnector())


class Noop:
    marks: Marks


@app.task(name="noop")
async def noop(i: int) -> None:
    Noop.marks.mark(i)


async def fill(url: str, *, jobs: int) -> None:
    """By `batch_defer_async`: one statement for many."""
    async with pool_of(url, 2) as pool, app.open_async(pool):
        await app.schema_manager.apply_schema_async()
        await gate()
        for first in range(0, jobs, AT_ONCE):
            batch = range(first, min(first + AT_ONCE, jobs))
            await noop.batch_defer_async(*({"i": i} for i in batch))
        say(done=jobs)


async def insert(url: str, *, clients: int, seconds: float) -> None:
    async with pool_of(url, clients) as pool, app.open_async(pool):
        await app.schema_manager.apply_schema_async()
        await gate()
        say(done=await call(clients, seconds, lambda _: noop.defer_async(i=0)))


async def drain(url: str) -> None:
    Noop.marks = Marks.of_environ()
    async with pool_of(url, CONNECTIONS) as pool, app.open_async(pool):
        await gate()
        workers = (app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False) for _ in range(WORKERS))  # fmt: skip
        await asyncio.gather(*workers)


def pool_of(url: str, size: int) -> AsyncConnectionPool:
    return AsyncConnectionPool(url, min_size=size, max_size=size, configure=commit_each, open=False)


async def commit_each(connection: AsyncConnection) -> None:
    await connection.set_autocommit(True)


if __name__ == "__main__":
    main(fill=fill, insert=insert, drain=drain)
