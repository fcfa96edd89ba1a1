"""Measure a peer: what it drains, how it enqueues one by one, and many at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from ..marks import Marks
from ..processes import Program, program
from ..running import Bench, Figures
from .environments import PeerAbsent
from .rivals import Peer
from .stores import Store

LONGEST = 300.0  # seconds for one drain
LOOK = 0.002  # seconds between looks at the marks
LOOK_AT_STORE = 0.01  # its answer may be a count


async def drain(bench: Bench, *, peer: Peer) -> Figures:
    """No-op jobs that lie there already, by one worker process. The clock runs from the first job's begin, so that no
    start-up is counted, until the peer's own store says that none is left; the processors' time, WAL and statements run from
    the word to begin. Both are to the peer's advantage beside ours, where all of it runs from the word.
    """
    jobs = bench.jobs(peer.jobs)
    marks = bench.marks(jobs)
    async with peer.store(bench) as store:
        async with _program(bench, peer, "fill", url=store.url, jobs=jobs) as filling:
            await filling.go()
        await _check_stored(store, jobs)
        await store.settle()
        async with _program(bench, peer, "drain", environ=marks.environ, url=store.url) as worker:
            async with store.measured([worker.pid]) as cost:
                worker.start()
                seconds = await _done(store, marks, worker)
            marks.check()
            cost.seconds = seconds
            return cost.per_job(jobs)


async def bulk(bench: Bench, *, peer: Peer) -> Figures:
    """The jobs of a drain, enqueued by the best that the peer offers for many."""
    jobs = bench.jobs(peer.jobs)
    async with peer.store(bench) as store, _program(bench, peer, "fill", url=store.url, jobs=jobs) as filling:  # fmt: skip
        async with store.measured([filling.pid]) as cost:
            await filling.go()
        await _check_stored(store, jobs)
        return cost.per_job(jobs)


async def enqueue(bench: Bench, *, peer: Peer, clients: int = 1, seconds: float = 3.0) -> Figures:
    """Jobs enqueued one by one by so many callers, each durable before the next, without a worker."""
    arguments: dict[str, Any] = {"clients": clients, "seconds": bench.seconds(seconds)}
    async with peer.store(bench) as store, _program(bench, peer, "insert", url=store.url, **arguments) as inserting:  # fmt: skip
        async with store.measured([inserting.pid]) as cost:
            jobs = (await inserting.go())["done"]
        await _check_stored(store, jobs)
        return cost.per_job(jobs)


def home(bench: Bench, peer: Peer) -> Path:
    """Where the peer's environment is, for all measurements of a run."""
    return bench.folder / "peers" / peer.name


@asynccontextmanager
async def _program(
    bench: Bench, peer: Peer, role: str, *, environ: dict[str, str] | None = None, **arguments: Any
) -> AsyncIterator[Program]:
    python = await peer.environment.install(home(bench, peer))
    async with program(f"peers.{peer.name}", role, environ=environ, python=python, **arguments) as started:  # fmt: skip
        yield started


async def _check_stored(store: Store, jobs: int) -> None:
    """Raise unless what was enqueued is there."""
    stored = await store.left()
    if stored != jobs:
        raise AssertionError(f"of {jobs} jobs {stored} are stored")


async def _done(store: Store, marks: Marks, worker: Program) -> float:
    """Wait until all was run, and the store knows it; returns how long that took since the first job's begin."""
    with anyio.fail_after(LONGEST):
        await _until(marks, 1, worker)
        began = time.perf_counter()
        await _until(marks, marks.jobs, worker)
        while await store.left():
            _look_after(worker)
            await asyncio.sleep(LOOK_AT_STORE)
        return time.perf_counter() - began


async def _until(marks: Marks, jobs: int, worker: Program) -> None:
    while marks.ran() < jobs:
        _look_after(worker)
        await asyncio.sleep(LOOK)


def _look_after(worker: Program) -> None:
    if worker.process.returncode is not None:
        raise PeerAbsent("its worker has ended too early; see above")
