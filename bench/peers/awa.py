"""Awa: a core in Rust, handlers in asyncio, on uvloop."""

import asyncio
from dataclasses import dataclass

import asyncpg
import awa
from awa.bridge import insert_job

from ..child import gate, main, say
from ..marks import Marks
from .calling import call

# Tried: 256, 512, 1024, 2048 jobs at once (2.5k to 3.1k, 3.2k, 2.7k to 4.5k, 2.6k to 3.4k jobs/s), 2 claimers and 20
# connections (no better). No deadline for an attempt: its default of five minutes costs a row a claim.
JOBS_AT_ONCE = 1_024
AT_ONCE = 5_000  # jobs a COPY
QUEUE = "default"


@dataclass
class Noop:
    i: int


async def fill(url: str, *, jobs: int) -> None:
    """By `enqueue_many_copy`."""
    client = await installed(url)
    await gate()
    for first in range(0, jobs, AT_ONCE):
        await client.enqueue_many_copy([Noop(i) for i in range(first, min(first + AT_ONCE, jobs))])
    say(done=jobs)


async def insert(url: str, *, clients: int, seconds: float) -> None:
    """By its bridge to asyncpg, which is faster than its own client."""
    await installed(url)
    connections = [await asyncpg.connect(url) for _ in range(clients)]
    await gate()
    say(done=await call(clients, seconds, lambda number: insert_job(connections[number], Noop(0))))


async def drain(url: str) -> None:
    marks = Marks.of_environ()
    client = client_of(url)

    @client.task(Noop, queue=QUEUE)
    async def noop(job: awa.Job) -> None:
        marks.mark(job.args.i)

    await client.pause_queue(QUEUE)
    await client.start([{"name": QUEUE, "max_workers": JOBS_AT_ONCE, "deadline_duration_ms": 0}])
    await gate()
    await client.resume_queue(QUEUE)
    await asyncio.Event().wait()


async def installed(url: str) -> awa.AsyncClient:
    """A client, once the schema is there, and the storage that a fresh installation uses."""
    client = client_of(url)
    await client.migrate()
    await client.install_queue_storage(schema="awa")
    return client


def client_of(url: str) -> awa.AsyncClient:
    """Its URL must name a host, even where `host=` names a socket's folder."""
    return awa.AsyncClient(url.replace("@/", "@localhost/"))


if __name__ == "__main__":
    main(fill=fill, insert=insert, drain=drain)
