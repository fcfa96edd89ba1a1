"""The driver of bench/raw.sql: a bare asyncpg program that claims, calls a function and finishes; and one that inserts."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg

from pillars.store.ids import new_id

from .calling import Enqueue, call_apart, due_times, keep_calling, warm
from .child import begun, done, gate, main
from .marks import Marks

BATCH = 200
CONNECTIONS = 2  # one claims while the other finishes
IDLE = 0.01  # seconds between looks at a queue that looked empty

Connection = Any
Function = Callable[..., Awaitable[None]]


@cache
def statements() -> dict[str, str]:
    """The statements of raw.sql by their names."""
    return named(Path(__file__).with_name("raw.sql"))


def named(path: Path) -> dict[str, str]:
    """The statements of a file by their names."""
    _, *parts = path.read_text("utf-8").split("-- name: ")
    return {name: text for name, _, text in (part.partition("\n") for part in parts)}


def payload(number: int) -> str:
    return json.dumps({"i": number})


async def noop(marks: Marks, i: int) -> None:
    marks.mark(i)


async def brief(marks: Marks, i: int) -> None:
    await asyncio.sleep(0.001)
    marks.mark(i)


async def stamp(marks: Marks, i: int) -> None:
    marks.stamp(i)


FUNCTIONS: dict[str, Function] = {"noop": noop, "brief": brief, "stamp": stamp}


async def run_batch(connection: Connection, marks: Marks, function: Function, batch: int) -> int:
    """Claim, run and finish up to `batch` jobs; returns how many."""
    rows = await connection.fetch(statements()["claim"], batch)
    calls = [function(marks, **json.loads(row["payload"])) for row in rows]
    if function is brief:
        await asyncio.gather(*calls)
    else:  # what never waits needs no task
        for call in calls:
            await call
    if rows:
        await connection.fetch(statements()["finish"], [row["job_id"] for row in rows])
    return len(rows)


async def drain(
    url: str, *, function: str = "noop", batch: int = BATCH, connections: int = CONNECTIONS
) -> None:
    """Do what is there, or comes to be due, until every mark is set."""
    marks = Marks.of_environ()
    opened = await _connected(url, connections)

    async def loop(connection: Connection) -> None:
        while True:
            if not await run_batch(connection, marks, FUNCTIONS[function], batch):
                if (
                    marks.ran() == marks.jobs
                ):  # looked up only here: counting a million marks takes its time
                    return
                await asyncio.sleep(IDLE)

    await gate()
    await asyncio.gather(*map(loop, opened))
    await done(done=marks.jobs)


async def listen(url: str) -> None:
    """Do what is there at every notification, for ever; two connections, so that one may still be finishing."""
    marks = Marks.of_environ()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in await _connected(url, CONNECTIONS):
        free.put_nowait(connection)
    ear = await asyncpg.connect(url)
    woken = asyncio.Event()
    await ear.add_listener("raw", lambda *_told: woken.set())
    begun()
    while True:
        await woken.wait()
        woken.clear()
        asyncio.create_task(_serve(await free.get(), marks, free))  # noqa: RUF006 - it lives for one batch


async def _serve(connection: Connection, marks: Marks, free: "asyncio.Queue[Connection]") -> None:
    while await run_batch(connection, marks, stamp, BATCH):
        pass
    free.put_nowait(connection)


async def _connected(url: str, connections: int) -> Sequence[Connection]:
    """Connections that have claimed nothing once: the statement is prepared."""
    opened = [await asyncpg.connect(url) for _ in range(connections)]
    for one in opened:
        await one.fetch(statements()["claim"], 0)
    return opened


async def insert(url: str, *, clients: int, seconds: float) -> None:
    """Insert rows one by one on as many connections, for so long."""
    enqueues = [await _inserting(url, "insert") for _ in range(clients)]
    warmed = sum([await warm(1, enqueue) for enqueue in enqueues])
    await gate()
    called = await keep_calling(clients, seconds, enqueues.__getitem__)
    await done(done=called, stored=called + warmed)


async def send(url: str, *, seconds: float) -> None:
    """Insert a row now and then, and notify within the statement."""
    enqueue = await _inserting(url, "insert_and_notify")
    await gate()
    await done(began=await call_apart(seconds, enqueue))


async def schedule(url: str, *, jobs: int) -> None:
    """Insert rows that are due in seconds."""
    statement = await (await asyncpg.connect(url)).prepare(statements()["insert_due"])
    await gate()
    due = due_times(jobs)
    for number, run_at in enumerate(due):
        await statement.fetch(new_id(), payload(number), datetime.fromtimestamp(run_at, UTC))
    await done(due=due)


async def _inserting(url: str, name: str) -> Enqueue:
    statement = await (await asyncpg.connect(url)).prepare(statements()[name])
    return lambda number: statement.fetch(new_id(), payload(number))


async def copy(url: str, *, jobs: int, at_once: int) -> None:
    """Insert rows by COPY, so many at once."""
    connection = await asyncpg.connect(url)
    now = await connection.fetchval("select now()")
    await gate()
    for first in range(0, jobs, at_once):
        numbers = range(first, min(first + at_once, jobs))
        await copy_rows(connection, ((new_id(), "default", 0, now, payload(i)) for i in numbers))
    await done(done=jobs)


async def copy_rows(connection: Connection, rows: Any) -> None:
    """Rows of id, queue, priority, time and payload."""
    columns = ["job_id", "queue", "priority", "run_at", "payload"]
    await connection.copy_records_to_table("jobs", schema_name="raw", columns=columns, records=rows)


if __name__ == "__main__":
    main(drain=drain, listen=listen, insert=insert, send=send, schedule=schedule, copy=copy)
