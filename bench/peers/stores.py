"""Where peers keep their jobs: a database of the run's Postgres, or a Redis of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from shutil import which
from typing import Protocol

import anyio

from ..meter import MICROSECONDS, cpu_of, measured
from ..processes import free_port
from ..running import Bench, Figures
from ..server import Database
from .environments import PeerAbsent

START = 10.0  # seconds for Redis


class Spent(Protocol):
    """What a stretch of work has cost, once it has ended."""

    seconds: float

    def per_job(self, jobs: int) -> Figures: ...


class Store(Protocol):
    """A place for the jobs of one measurement, empty at first."""

    @property
    def url(self) -> str: ...

    async def left(self) -> int:
        """How many jobs are pending or running, by what the peer itself has stored."""

    async def settle(self) -> None: ...

    def measured(self, workers: Sequence[int]) -> AbstractAsyncContextManager[Spent]: ...


Open = Callable[[Bench], AbstractAsyncContextManager[Store]]


@dataclass(frozen=True, slots=True)
class PostgresStore:
    database: Database
    question: str

    @property
    def url(self) -> str:
        return self.database.url

    async def left(self) -> int:
        return int(await self.database.ask(self.question))

    async def settle(self) -> None:
        await self.database.settle()

    def measured(self, workers: Sequence[int]) -> AbstractAsyncContextManager[Spent]:
        return measured(self.database, workers)


def in_postgres(question: str) -> Open:
    """Databases whose jobs that are pending or running `question` counts."""

    @asynccontextmanager
    async def opened(bench: Bench) -> AsyncIterator[Store]:
        async with bench.database() as database:
            yield PostgresStore(database, question)

    return opened


@dataclass(slots=True)
class RedisCost:
    """As the meter's, with Redis for Postgres; no WAL, no statements."""

    seconds: float = 0.0
    redis_cpu: float = 0.0
    workers_cpu: float = 0.0

    def per_job(self, jobs: int) -> Figures:
        return {
            "jobs_per_s": jobs / self.seconds,
            "worker_cpu_us": self.workers_cpu / jobs * MICROSECONDS,
            "redis_cpu_us": self.redis_cpu / jobs * MICROSECONDS,
        }


@dataclass(frozen=True, slots=True)
class RedisStore:
    port: int
    pid: int
    commands: Sequence[str]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def left(self) -> int:
        return sum([await self.ask(command) for command in self.commands])

    async def settle(self) -> None:
        """Nothing to settle."""

    @asynccontextmanager
    async def measured(self, workers: Sequence[int]) -> AsyncIterator[Spent]:
        cost, redis, own = RedisCost(), cpu_of(self.pid), sum(map(cpu_of, workers))
        began = time.perf_counter()
        yield cost
        cost.seconds = time.perf_counter() - began
        cost.workers_cpu = sum(map(cpu_of, workers)) - own
        cost.redis_cpu = cpu_of(self.pid) - redis

    async def ask(self, command: str) -> int:
        """Ask what Redis answers with a number."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{command}\r\n".encode())
        answer = await reader.readline()
        writer.close()
        return int(answer[1:])


def in_redis(*commands: str) -> Open:
    """Redis servers, as durable as Redis usually is; the sum of `commands` is what is pending or running."""

    @asynccontextmanager
    async def opened(bench: Bench) -> AsyncIterator[Store]:
        program = which("redis-server")
        if program is None:
            raise PeerAbsent("no redis-server on PATH")
        port = free_port()
        folder = bench.folder / f"redis-{port}"
        folder.mkdir()
        words = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        process = await asyncio.create_subprocess_exec(
            program, *words, "--appendonly", "yes", "--appendfsync", "everysec",
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            store = RedisStore(port, process.pid, commands)
            await _until_up(store)
            yield store
        finally:
            process.terminate()
            await process.wait()

    return opened


async def _until_up(store: RedisStore) -> None:
    with anyio.fail_after(START):
        while True:
            try:
                await store.ask("dbsize")
            except (OSError, ValueError):
                await asyncio.sleep(0.02)
            else:
                return
