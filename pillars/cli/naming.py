"""`app names`."""

from collections.abc import Sequence
from datetime import datetime

from pillars.cli import opening, saying
from pillars.cli.ending import DONE
from pillars.cli.opening import Opened
from pillars.cli.overseeing import each
from pillars.cli.recording import actor
from pillars.cli.tables import Cell, Column
from pillars.moments import age
from pillars.store import listing, names, schedules
from pillars.store.rows import JobName
from pillars.store.session import Executor

NAMES = (
    Column(title="NAME", least=24, keep_end=True),
    Column(title="KIND", optional=True),
    Column(title="QUEUE", least=8, optional=True),
    Column(title="READY", right=True),
    Column(title="RUNNING", right=True),
    Column(title="SCHEDULED", right=True),
    Column(title="WAITING", right=True),
    Column(title="STATE"),
    Column(title="BY", least=12, optional=True),
)


def list_names(*, as_json: bool) -> int:
    """Print every name that code defines."""
    found, now = opening.run(_names, command="names")
    if as_json:
        saying.items(map(listing.plain, found))
        return DONE
    if found:
        saying.rows(NAMES, [_row(one, now) for one in found])
    none = "no names yet; start a process whose code defines jobs: app worker"
    saying.tell(saying.counted(len(found), "name") if found else none)
    return DONE


def pause_names(words: Sequence[str], *, as_json: bool) -> int:
    """Let no worker claim jobs of these names."""
    return each(
        words,
        "name.pause",
        _pause,
        lambda one: f"{one.name} paused; what runs goes on",
        as_json=as_json,
    )


def resume_names(words: Sequence[str], *, as_json: bool) -> int:
    """Let workers claim jobs of these names again."""
    return each(words, "name.resume", _resume, lambda one: f"{one.name} resumed", as_json=as_json)


async def _names(opened: Opened) -> tuple[list[JobName], datetime]:
    pool = opened.database.pool
    return await names.listed(pool), await schedules.now(pool)


async def _pause(executor: Executor, name: str) -> JobName:
    await names.pause(executor, name, by=actor())
    return await names.find(executor, name)


async def _resume(executor: Executor, name: str) -> JobName:
    await names.resume(executor, name)
    return await names.find(executor, name)


def _row(one: JobName, now: datetime) -> list[Cell]:
    paused = Cell(f"paused {age(one.paused_at, now)}", "yellow") if one.paused_at else Cell("")
    counts = (one.ready, one.running, one.scheduled, one.parked)
    return [
        Cell(one.name),
        Cell(one.kind),
        Cell(one.queue),
        *(Cell(f"{count:,}", None if count else "dim") for count in counts),
        paused,
        Cell(one.paused_by or ""),
    ]
