"""The project's jobs as a test enqueues them, and what their runs have left on disk and in the database."""

from pathlib import Path

from pillars.jobs.definition import job
from process.pillar import App
from support import ask, asking


@job(name="hold")
async def hold(log: str, until: str) -> None: ...


@job(name="sit")
def sit(log: str, until: str) -> None: ...


@job(name="deaf")
async def deaf(log: str) -> None: ...


@job(name="block")
async def block(log: str, seconds: float) -> None: ...


@job(name="grip")
async def grip(log: str, fifo: str) -> None: ...


@job(name="quick")
async def quick(number: int) -> int:
    return number


def lines(log: Path, word: str) -> list[list[str]]:
    """The lines that begin so, in the order in which they were written, split into words."""
    if not log.exists():
        return []
    return [
        line.split()
        for line in log.read_text().rpartition("\n")[0].splitlines()
        if line.startswith(word)
    ]


def runs(log: Path, *, by: App | None = None) -> list[str]:
    """What one job, or jobs one after another, did: "began 1", "stopped 1", … with the attempt; `by` one process only."""
    told = lines(log, "")
    return [f"{word} {attempt}" for word, _, attempt, *_, pid in told
            if by is None or pid == str(by.process.pid)]  # fmt: skip


async def done(db: str, count: int) -> bool:
    return bool(await ask(db, "select count(*) = $1 from pillars.finished_jobs", count))


async def history(db: str) -> list[tuple[object, ...]]:
    """Everything that is written about jobs, to be compared with what it was."""
    async with asking(db) as connection:
        return [
            tuple(row)
            for table in ("finished_jobs", "jobs", "attempts", "locks")
            for row in await connection.fetch(f"select * from pillars.{table} order by 1, 2, 3")
        ]


async def ended_as(db: str) -> list[str]:
    """Each ended job's "state attempt crashes"."""
    found = await ask(
        db,
        "select array_agg(state || ' ' || attempt || ' ' || crashes order by job_id) from pillars.finished_jobs",
    )
    return list(found or [])
