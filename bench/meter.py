"""What a stretch of work has cost: time, WAL, statements, and the processors' time of Postgres and of the workers."""

import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.server import Database

TICK = os.sysconf("SC_CLK_TCK")
MICROSECONDS = 1_000_000
PARENT, USER, CHILDREN_USER = 3, 13, 15  # fields of /proc/PID/stat, from 0, as proc(5) has them less one


@dataclass(slots=True)
class Cost:
    """Of one stretch of work, once it has ended."""

    seconds: float = 0.0
    wal_bytes: int = 0
    statements: int = 0
    postgres_cpu: float = 0.0
    """Seconds of processor, of the whole server."""
    workers_cpu: float = 0.0

    def per_job(self, jobs: int) -> dict[str, float]:
        """The figures of a measurement: a rate, and what one job took."""
        return {
            "jobs_per_s": jobs / self.seconds,
            "worker_cpu_us": self.workers_cpu / jobs * MICROSECONDS,
            "postgres_cpu_us": self.postgres_cpu / jobs * MICROSECONDS,
            "wal_bytes": self.wal_bytes / jobs,
            "statements": self.statements / jobs,
        }


@asynccontextmanager
async def measured(database: Database, workers: Sequence[int] = ()) -> AsyncIterator[Cost]:
    """Measure the block. `workers` are the processes, by id, whose time is told as `workers_cpu`."""
    cost = Cost()
    lsn = await database.ask("select pg_current_wal_insert_lsn()")
    said = await _statements(database)
    postgres = cpu_of_family(database.server.postmaster)
    own = sum(map(cpu_of, workers))
    began = time.perf_counter()
    yield cost
    cost.seconds = cost.seconds or time.perf_counter() - began
    cost.workers_cpu = sum(map(cpu_of, workers)) - own
    cost.postgres_cpu = cpu_of_family(database.server.postmaster) - postgres
    cost.statements = await _statements(database) - said
    cost.wal_bytes = int(
        await database.ask("select pg_current_wal_insert_lsn() - $1::pg_lsn", lsn)
    )


async def _statements(database: Database) -> int:
    return int(
        await database.ask(
            "select coalesce(sum(calls), 0) from pg_stat_statements where dbid = (select oid from pg_database "
            "where datname = current_database()) and query not like '%pg_stat_statements%' and query not like '%pg_current_wal%'"
        )
    )


def cpu_of(pid: int) -> float:
    """Seconds of processor of a living process, all its threads."""
    fields = _stat(pid)
    return sum(map(int, fields[USER : USER + 2])) / TICK if fields else 0.0


def cpu_of_family(postmaster: int) -> float:
    """Seconds of processor of a server: the postmaster, its processes, and those that have ended."""
    ended = slice(CHILDREN_USER, CHILDREN_USER + 2)
    while True:
        before = _stat(postmaster)[ended]
        living = sum(map(cpu_of, _children(postmaster)))
        fields = _stat(postmaster)
        if fields[ended] == before:  # else one has ended meanwhile, and is counted twice or not at all
            return living + sum(map(int, fields[USER : CHILDREN_USER + 2])) / TICK


def _children(pid: int) -> Iterable[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            fields = _stat(int(folder.name))
            if fields and int(fields[PARENT]) == pid:
                yield int(folder.name)


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    before, _, after = text.rpartition(")")  # a program's name may hold anything
    return [before.partition(" ")[0], before, *after.split()]
