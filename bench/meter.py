"""What a stretch of work has cost: time, WAL, statements, memory, and the processors' time of Postgres and of the programs."""

import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from .server import Database, of_the_bench

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
MICROSECONDS = 1_000_000
MEGABYTE = 1_000_000
PARENT, USER, CHILDREN_USER = (
    3,
    13,
    15,
)  # fields of /proc/PID/stat, from 0, as proc(5) has them less one
RESIDENT = 1  # field of /proc/PID/statm


@dataclass(slots=True)
class Cost:
    """Of one stretch of work, once it has ended."""

    seconds: float = 0.0
    wal_bytes: int = 0
    statements: int = 0
    postgres_cpu: float = 0.0
    """Seconds of processor, of the whole server."""
    programs_cpu: float = 0.0

    def per_job(self, jobs: int, *, by: str = "worker") -> dict[str, float]:
        """The figures of a measurement: a rate, and what one job took; `by` says what the programs were."""
        return {
            "jobs_per_s": jobs / self.seconds,
            f"{by}_cpu_us": self.programs_cpu / jobs * MICROSECONDS,
            "postgres_cpu_us": self.postgres_cpu / jobs * MICROSECONDS,
            "wal_bytes": self.wal_bytes / jobs,
            "statements": self.statements / jobs,
        }


@asynccontextmanager
async def measured(database: Database, programs: Sequence[int] = ()) -> AsyncIterator[Cost]:
    """Measure the block. `programs` are processes by id; they must outlive it."""
    cost = Cost()
    lsn = await database.ask("select pg_current_wal_insert_lsn()")
    said = await _statements(database)
    postgres = cpu_of_family(database.server.postmaster)
    own = sum(map(cpu_of, programs))
    began = time.perf_counter()
    yield cost
    # Added, so that who measures may take away what is no part of it.
    cost.seconds += time.perf_counter() - began
    cost.programs_cpu = sum(map(cpu_of, programs)) - own
    cost.postgres_cpu = cpu_of_family(database.server.postmaster) - postgres
    cost.statements = await _statements(database) - said
    cost.wal_bytes = int(await database.ask("select pg_current_wal_insert_lsn() - $1::pg_lsn", lsn))


async def _statements(database: Database) -> int:
    """Those of the database, but not the bench's own."""
    return int(
        await database.ask(
            "select coalesce(sum(calls), 0) from pg_stat_statements join pg_database on pg_database.oid = dbid"
            f" where datname = current_database() and query not like '%{of_the_bench('')}%'"
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
        if (
            fields[ended] == before
        ):  # else one has ended meanwhile, and is counted twice or not at all
            return living + sum(map(int, fields[USER : CHILDREN_USER + 2])) / TICK


def rss_mb(pid: int) -> float:
    """The memory that a process has resident, shared libraries included."""
    pages = Path(f"/proc/{pid}/statm").read_text("utf-8").split()[RESIDENT]
    return int(pages) * PAGE / MEGABYTE


def _children(pid: int) -> Iterator[int]:
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
