"""PgQueuer, on asyncpg and uvloop."""

import json

import asyncpg
from pgqueuer import Job, PgQueuer, Queries

from ..child import gate, main, say
from ..marks import Marks
from .calling import call

# Jobs a claim, and finished jobs a write. Tried: 100 (4.5k jobs/s), 200 (5.2k), 500 (6.0k), 1000 (6.3k), 2000 (6.4k);
# a pool of 3 does what one of 10, asyncpg's default, does.
BATCH = 1_000
CONNECTIONS = 10
AT_ONCE = 2_000  # rows a statement


async def fill(url: str, *, jobs: int) -> None:
    """By `enqueue` with lists: one statement for many."""
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        queries = Queries.from_asyncpg_pool(pool)
        await queries.install()
        await gate()
        for first in range(0, jobs, AT_ONCE):
            payloads = [payload(i) for i in range(first, min(first + AT_ONCE, jobs))]
            await queries.enqueue(["noop"] * len(payloads), payloads, [0] * len(payloads))
        say(done=jobs)


async def insert(url: str, *, clients: int, seconds: float) -> None:
    """On connections of their own: a pool resets its connections, by four statements, after each use."""
    connections = [await asyncpg.connect(url) for _ in range(clients)]
    queries = [Queries.from_asyncpg_connection(connection) for connection in connections]
    await queries[0].install()
    await gate()
    say(done=await call(clients, seconds, lambda n: queries[n].enqueue("noop", payload(0))))


async def drain(url: str) -> None:
    marks = Marks.of_environ()
    async with asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        runtime = PgQueuer.from_asyncpg_pool(pool)

        @runtime.entrypoint("noop")
        async def noop(job: Job) -> None:
            marks.mark(json.loads(job.payload or b"")["i"])

        await gate()
        await runtime.run(batch_size=BATCH)


def payload(number: int) -> bytes:
    return json.dumps({"i": number}).encode()


if __name__ == "__main__":
    main(fill=fill, insert=insert, drain=drain)
