"""The raw loop in other designs: each claims, calls the function and finishes in its own way."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

import asyncpg

from pillars.store import claiming, settling
from pillars.store.claiming import Demand, Places
from pillars.store.ids import new_id
from pillars.store.inserting import ENQUEUE, parameters
from pillars.store.pool import PLANNED_ONCE
from pillars.store.rows import NewJob
from pillars.store.session import Session
from pillars.store.settling import Ended

from . import raw
from .calling import Enqueue, keep_calling, warm
from .child import done, gate, main
from .marks import Marks
from .raw import IDLE, Connection, named, payload

IN_FLIGHT = 2  # batches between a claim and its finish, where those are apart


@cache
def statements() -> Mapping[str, str]:
    """The statements of trials.sql by their names, beside those of raw.sql."""
    return {**raw.statements(), **named(Path(__file__).with_name("trials.sql"))}


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs that were claimed together."""

    jobs: Sequence[tuple[UUID, str]]
    """Each with its payload."""
    token: int = 0
    """Of the claim, where it has one."""

    @property
    def job_ids(self) -> list[UUID]:
        return [job_id for job_id, _ in self.jobs]


class Way(Protocol):
    """How jobs are claimed and finished."""

    settings: Mapping[str, str]
    """Of the server, for its connections."""

    async def claim(self, connection: Connection, most: int) -> Batch: ...

    async def finish(self, connection: Connection, batch: Batch) -> None: ...


class InTheRow:
    """As the raw loop: a claim writes each job's row."""

    settings: Mapping[str, str] = {}

    async def claim(self, connection: Connection, most: int) -> Batch:
        rows = await connection.fetch(statements()["claim"], most)
        return Batch([(row["job_id"], row["payload"]) for row in rows])

    async def finish(self, connection: Connection, batch: Batch) -> None:
        await connection.fetch(statements()["finish"], batch.job_ids)


class Leased:
    """A claim writes one row for all its jobs."""

    settings: Mapping[str, str] = {}

    async def claim(self, connection: Connection, most: int) -> Batch:
        rows = await connection.fetch(statements()["lease"], most)
        jobs = [(row["job_id"], row["payload"]) for row in rows]
        return Batch(jobs, rows[0]["lease"] if rows else 0)

    async def finish(self, connection: Connection, batch: Batch) -> None:
        await connection.fetch(statements()["finish_lease"], batch.job_ids, batch.token)


class OfTheRuntime:
    """The runtime's own statements, on its own tables, without its worker."""

    settings: Mapping[str, str] = PLANNED_ONCE

    def __init__(self) -> None:
        self._worker_id = uuid4()
        self._places = Places()

    async def claim(self, connection: Connection, most: int) -> Batch:
        """As the worker in a streak: behind the last ones, and from the front where that brings nothing."""
        demand = Demand(
            worker_id=self._worker_id, lock=timedelta(seconds=30), names=["noop"], free=most
        )
        claim = await claiming.claim(Session(connection), demand, self._places)
        if not claim.jobs and self._places.after:
            self._places = Places()
            return await self.claim(connection, most)
        self._places.remember(claim.jobs)
        jobs = [(job.job_id, job.payload) for job in claim.jobs]
        return Batch(jobs, claim.jobs[0].lock_token if claim.jobs else 0)

    async def finish(self, connection: Connection, batch: Batch) -> None:
        ended = [Ended(job_id, batch.token, "completed", "full") for job_id in batch.job_ids]
        await settling.finish(Session(connection), self._worker_id, ended, last_of=[batch.token])


WAYS: Mapping[str, type[Way]] = {
    "in the row": InTheRow,
    "leased": Leased,
    "of the runtime": OfTheRuntime,
}


async def in_turn(url: str, *, way: str, batch: int, connections: int) -> None:
    """Each connection claims, and finishes what it claimed."""
    marks, does = Marks.of_environ(), WAYS[way]()
    opened = [await _connected(url, does) for _ in range(connections)]
    await gate()
    await asyncio.gather(*(take_turns(does, one, marks, batch) for one in opened))
    await done(done=marks.jobs)


async def apart(url: str, *, way: str, batch: int, durable: bool) -> None:
    """One connection claims, the next batch while the other finishes the last; `durable`: whether a claim waits for its commit."""
    marks, does = Marks.of_environ(), WAYS[way]()
    claims, finishes = await _connected(url, does, durable=durable), await _connected(url, does)
    await gate()
    await claim_ahead(does, claims, finishes, marks, batch)
    await done(done=marks.jobs)


async def fused(url: str, *, batch: int, connections: int) -> None:
    """One statement finishes a batch and claims the next."""
    marks = Marks.of_environ()
    opened = [await _connected(url, InTheRow()) for _ in range(connections)]
    for one in opened:
        await one.fetch(statements()["finish_and_claim"], [], 0)
    await gate()
    await asyncio.gather(*(finish_and_claim(one, marks, batch) for one in opened))
    await done(done=marks.jobs)


async def insert(url: str, *, clients: int, seconds: float) -> None:
    """The runtime's own INSERT, prepared, one by one on as many connections, for so long; nobody is told."""
    connections = [await asyncpg.connect(url) for _ in range(clients)]
    prepared = [await one.prepare(ENQUEUE.text) for one in connections]
    said = NewJob(
        job_id=new_id(), name="noop", queue="default", payload="", context=None, priority=0, run_at=None, run_in=None,
        expires_in=None, max_attempts=4, timeout=None, unique_key=None, tags=None, trace=None,
    )  # fmt: skip
    _job_id, name, queue, _payload, *rest = parameters(said)

    def enqueue_on(client: int) -> Enqueue:
        return lambda number: prepared[client].fetch(new_id(), name, queue, payload(number), *rest)

    warmed = sum([await warm(1, enqueue_on(client)) for client in range(clients)])
    await gate()
    called = await keep_calling(clients, seconds, enqueue_on)
    await done(done=called, stored=called + warmed)


async def take_turns(does: Way, connection: Connection, marks: Marks, most: int) -> None:
    while await _goes_on(batch := await does.claim(connection, most), marks):
        if batch.jobs:
            await _call(marks, batch)
            await does.finish(connection, batch)


async def claim_ahead(
    does: Way, claims: Connection, finishes: Connection, marks: Marks, most: int
) -> None:
    done_with: asyncio.Queue[Batch] = asyncio.Queue(IN_FLIGHT)

    async def claim() -> None:
        while await _goes_on(batch := await does.claim(claims, most), marks):
            if batch.jobs:
                await _call(marks, batch)
                await done_with.put(batch)
        await done_with.put(Batch([]))

    async def finish() -> None:
        while (batch := await done_with.get()).jobs:
            await does.finish(finishes, batch)

    await asyncio.gather(claim(), finish())


async def finish_and_claim(connection: Connection, marks: Marks, most: int) -> None:
    batch = Batch([])
    while True:
        rows = await connection.fetch(statements()["finish_and_claim"], batch.job_ids, most)
        batch = Batch([(row["job_id"], row["payload"]) for row in rows])
        if not await _goes_on(batch, marks):
            return
        await _call(marks, batch)


async def _goes_on(claimed: Batch, marks: Marks) -> bool:
    """Whether there is more to do; after a claim of nothing, a moment later."""
    if claimed.jobs:
        return True
    if marks.ran() == marks.jobs:
        return False
    await asyncio.sleep(IDLE)
    return True


async def _call(marks: Marks, batch: Batch) -> None:
    for _, said in batch.jobs:
        await raw.noop(marks, **json.loads(said))


async def _connected(url: str, way: Way, *, durable: bool = True) -> Any:
    """A connection that has claimed nothing, and finished nothing, once: its statements are prepared."""
    settings = {**way.settings, "synchronous_commit": "on" if durable else "off"}
    connection = await asyncpg.connect(url, server_settings=settings)
    await way.claim(connection, 0)
    await way.finish(connection, Batch([]))
    return connection


if __name__ == "__main__":
    main(in_turn=in_turn, apart=apart, fused=fused, insert=insert)
