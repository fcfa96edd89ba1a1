"""The driver of bench/raw.sql: a bare asyncpg program that claims, calls a function and finishes."""

import asyncio
import json
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg

from bench.child import begun, gate, main, say
from bench.marks import Marks
from pillars.jobs.enqueuing import new_id

BATCH = 200
CONNECTIONS = 2  # one claims while the other finishes
IDLE = 0.01  # seconds between looks at a queue that looked empty
LISTENERS = 2

Connection = Any


@cache
def statements() -> dict[str, str]:
    """The statements of raw.sql by their names."""
    _, *named = Path(__file__).with_name("raw.sql").read_text("utf-8").split("-- name: ")
    return {name: text for name, _, text in (part.partition("\n") for part in named)}


def payload(number: int) -> str:
    return json.dumps({"i": number})


async def noop(marks: Marks, i: int) -> None:
    marks.mark(i)


async def stamp(marks: Marks, i: int) -> None:
    marks.stamp(i)


async def run_batch(connection: Connection, marks: Marks, function: Any, batch: int) -> int:
    """Claim, run and finish up to `batch` jobs; returns how many."""
    rows = await connection.fetch(statements()["claim"], batch)
    for row in rows:
        await function(marks, **json.loads(row["payload"]))
    if rows:
        await connection.fetch(statements()["finish"], [row["job_id"] for row in rows])
    return len(rows)


async def drain(url: str) -> None:
    """Do what is there, on two connections, until every mark is set."""
    marks = Marks.of_environ()
    connections = [await asyncpg.connect(url) for _ in range(CONNECTIONS)]

    async def loop(connection: Connection) -> None:
        while marks.ran() < marks.jobs:
            if not await run_batch(connection, marks, noop, BATCH):
                await asyncio.sleep(IDLE)

    await gate()
    await asyncio.gather(*map(loop, connections))
    say(done=marks.jobs)


async def listen(url: str) -> None:
    """Do what is there at every notification, for ever; two connections, so that one may still be finishing."""
    marks = Marks.of_environ()
    connections = [await asyncpg.connect(url) for _ in range(LISTENERS)]
    ear = await asyncpg.connect(url)
    free: asyncio.Queue[Connection] = asyncio.Queue()
    woken = asyncio.Event()
    for connection in connections:
        await connection.fetch(statements()["claim"], 0)
        free.put_nowait(connection)
    await ear.add_listener("raw", lambda *_told: woken.set())
    begun()
    while True:
        await woken.wait()
        woken.clear()
        connection = await free.get()
        asyncio.create_task(_serve(connection, marks, free))  # noqa: RUF006 - it lives for one batch


async def _serve(connection: Connection, marks: Marks, free: "asyncio.Queue[Connection]") -> None:
    while await run_batch(connection, marks, stamp, BATCH):
        pass
    free.put_nowait(connection)


async def insert(url: str, *, clients: int, seconds: float) -> None:
    """Insert rows one by one on so many connections, for so long."""
    connections = [await asyncpg.connect(url) for _ in range(clients)]
    prepared = [await one.prepare(statements()["insert"]) for one in connections]
    await gate()
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds

    async def client(statement: Any) -> int:
        count = 0
        while loop.time() < until:
            await statement.fetch(new_id(), payload(count))
            count += 1
        return count

    say(done=sum(await asyncio.gather(*map(client, prepared))))


async def copy(url: str, *, jobs: int, at_once: int) -> None:
    """Insert rows by COPY, so many at once."""
    connection = await asyncpg.connect(url)
    [[now]] = await connection.fetch("select now()")
    await gate()
    for first in range(0, jobs, at_once):
        await connection.copy_records_to_table(
            "jobs",
            schema_name="raw",
            columns=["job_id", "queue", "priority", "run_at", "payload"],
            records=[
                (new_id(), "default", 0, now, payload(i)) for i in range(first, first + at_once)
            ],
        )
    say(done=jobs)


if __name__ == "__main__":
    main(drain=drain, listen=listen, insert=insert, copy=copy)
