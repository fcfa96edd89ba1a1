"""Putting jobs in: one by one, many at once, and what telling a worker costs. Nobody runs them."""

from functools import partial
from typing import Any

from ..filling import listening
from ..meter import measured
from ..processes import program, settings_of
from ..running import Bench, Figures, Workload

SECONDS = 5.0
JOBS = 100_000
AT_ONCE = 5_000


async def raw(bench: Bench, *, clients: int) -> Figures:
    """A prepared INSERT on as many connections."""
    return await _insert(bench, "raw", "raw", clients=clients)


async def pillars(bench: Bench, *, clients: int, notify: bool = True) -> Figures:
    """`await noop.enqueue(i)` in as many tasks, with a pool of as many connections."""
    return await _insert(bench, "ours", "pillars", clients=clients, notify=notify)


async def bare(bench: Bench, *, clients: int) -> Figures:
    """The runtime's INSERT, prepared, without the runtime."""
    return await _insert(bench, "trials", "pillars", clients=clients)


async def copy(bench: Bench) -> Figures:
    """COPY, a transaction a batch."""
    return await _bulk(bench, "raw", "copy", "raw")


async def enqueue_many(bench: Bench) -> Figures:
    """`await enqueue_many(noop.call(i) for i in batch)`."""
    return await _bulk(bench, "ours", "bulk", "pillars")


async def _insert(bench: Bench, module: str, schema: str, *, clients: int, **more: Any) -> Figures:
    async with bench.database() as database, listening(database, schema):
        await database.settle()
        environ = settings_of(database.url) | {"PILLARS_POOL": str(clients)}
        seconds = bench.seconds(SECONDS)
        async with (
            program(module, "insert", environ=environ, url=database.url, clients=clients, seconds=seconds, **more) as client,
            measured(database, [client.pid]) as cost,
        ):  # fmt: skip
            answer = await client.go()
        stored = await database.ask(f"select count(*) from {schema}.jobs")
        if stored != answer["stored"]:
            raise AssertionError(f"{stored} jobs are stored of {answer['stored']} acknowledged")
        return cost.per_job(answer["done"], by="client")


async def _bulk(bench: Bench, module: str, role: str, schema: str) -> Figures:
    jobs = bench.jobs(JOBS)
    async with bench.database() as database, listening(database, schema):
        await database.settle()
        async with program(
            module, role, environ=settings_of(database.url), url=database.url, jobs=jobs, at_once=AT_ONCE
        ) as client:  # fmt: skip
            before = await database.ask(f"select count(*) from {schema}.jobs")
            async with measured(database, [client.pid]) as cost:
                await client.go()
        stored = await database.ask(f"select count(*) from {schema}.jobs")
        if stored - before != jobs:
            raise AssertionError(f"{stored - before} jobs are stored of {jobs} acknowledged")
        return cost.per_job(jobs, by="client")


ENQUEUE = Workload(
    "enqueue",
    "jobs enqueued one by one, each acknowledged before the next, while somebody listens",
    {
        "raw, 1 client": partial(raw, clients=1),
        "pillars, 1 client": partial(pillars, clients=1),
        "pillars, 1 client, NOTIFY off": partial(pillars, clients=1, notify=False),
        "the runtime's INSERT, 1 client": partial(bare, clients=1),
        "raw, 16 clients": partial(raw, clients=16),
        "pillars, 16 clients": partial(pillars, clients=16),
        "pillars, 16 clients, NOTIFY off": partial(pillars, clients=16, notify=False),
    },
    against={
        "pillars, 16 clients": "raw, 16 clients",
        "pillars, 16 clients, NOTIFY off": "raw, 16 clients",
    },
)

BULK = Workload(
    "bulk",
    f"jobs enqueued {AT_ONCE:,} at a time: enqueue_many beside COPY",
    {"raw": copy, "pillars": enqueue_many},
)
