"""DBOS: a workflow without a step, the least that its queues run, on the threads that it starts."""

import asyncio

import sqlalchemy
from dbos import DBOS, DBOSClient, DBOSConfig

from ..child import gate, main, say
from ..marks import Marks
from .calling import call_in_threads

# Tried: 2, 4, 8, 16, 32 and 64 threads (under 8 slower, above no faster); at most 100, 200, 500, 1000 (a little the best)
# and any number of workflows at once; polls each 20 ms and 100 ms (each 1 s, the default, waits for most of the time); an
# async workflow (no faster).
THREADS = 8
CONNECTIONS = 10
AT_ONCE = 1_000  # workflows in hand
POLL = 0.1  # seconds
QUEUE = "bench"
IN_A_TRANSACTION = 500


class Noop:
    marks: Marks


@DBOS.workflow(name="noop")
def noop(i: int) -> None:
    Noop.marks.mark(i)


async def fill(url: str, *, jobs: int) -> None:
    """By `enqueue_in_transaction`, many in one transaction: there is no call for many."""
    client = await enqueuer(url)
    engine = sqlalchemy.create_engine(dsn(url))
    await gate()
    for first in range(0, jobs, IN_A_TRANSACTION):
        with engine.begin() as connection:
            for i in range(first, min(first + IN_A_TRANSACTION, jobs)):
                client.enqueue_in_transaction(connection, OPTIONS, i)
    say(done=jobs)


async def insert(url: str, *, clients: int, seconds: float) -> None:
    client = await enqueuer(url)
    await gate()
    say(done=await call_in_threads(clients, seconds, lambda: client.enqueue(OPTIONS, 0)))


async def drain(url: str) -> None:
    Noop.marks = Marks.of_environ()
    await launch(url)
    queue = await DBOS.retrieve_queue_async(QUEUE)
    await gate()
    await queue.set_worker_concurrency_async(AT_ONCE)
    await asyncio.Event().wait()


OPTIONS = {"workflow_name": "noop", "queue_name": QUEUE}


async def enqueuer(url: str) -> DBOSClient:
    """A client, once the schema is there, and the queue, which starts nothing yet."""
    await launch(url)
    await DBOS.register_queue_async(QUEUE, worker_concurrency=0, polling_interval_sec=POLL)
    return DBOSClient(system_database_url=dsn(url))


async def launch(url: str) -> None:
    config: DBOSConfig = {
        "name": "bench", "application_version": "1", "executor_id": "1", "system_database_url": dsn(url),
        "log_level": "WARNING", "max_executor_threads": THREADS, "sys_db_pool_size": CONNECTIONS,
    }  # fmt: skip
    DBOS(config=config)
    await asyncio.to_thread(DBOS.launch)


def dsn(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


if __name__ == "__main__":
    main(fill=fill, insert=insert, drain=drain)
