"""Jobs to look at: one, a page of many, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from pillars.store.pool import Executor
from pillars.store.results import not_ended_before
from pillars.store.rows import JobRow
from pillars.store.statements import Statement

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

INSPECT = Statement("jobs/inspect", JobRow)
LIST_ALL = Statement("jobs/list_all", JobRow)
LIST_UNFINISHED = Statement("jobs/list_unfinished", JobRow)
LIST_FINAL = Statement("jobs/list_final", JobRow)

UNFINISHED = ("scheduled", "ready", "running", "waiting", "paused")
FINAL = ("completed", "failed", "cancelled", "expired")
STATES = UNFINISHED + FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which jobs a page shows, newest first; None: any."""

    state: str | None = None
    name: str | None = None
    queue: str | None = None
    tag: str | None = None
    older_than: UUID | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, and the id to go on from where there are more."""

    jobs: Sequence[JobRow]
    next: UUID | None


async def find(executor: Executor, job_id: UUID) -> JobRow | None:
    """One job in whatever state; None where no row is left of it."""
    found = await executor.rows(INSPECT, job_id, not_ended_before(job_id))
    return found[0] if found else None


async def page(executor: Executor, wanted: Wanted) -> Page:
    """Read one page; reads one row more, which tells whether there is another."""
    found = await executor.rows(
        _statement(wanted.state), wanted.older_than, wanted.limit + 1,
        wanted.state, wanted.name, wanted.queue, wanted.tag,
    )  # fmt: skip
    shown = found[: wanted.limit]
    return Page(shown, shown[-1].job_id if len(found) > wanted.limit else None)


def as_json(job: JobRow) -> dict[str, Any]:
    """A job for a JSON encoder: payload and result as they are stored, digit by digit, the timeout in seconds."""
    fields = plain(job)
    for name in ("payload", "result"):
        if fields[name] is not None:
            fields[name] = msgspec.Raw(fields[name].encode())
    return fields


def plain(row: "DataclassInstance") -> dict[str, Any]:
    """A row for a JSON encoder: by its field names, lengths of time in seconds."""
    return {
        name: value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in asdict(row).items()
    }


def _statement(state: str | None) -> Statement[JobRow]:
    if state is None:
        return LIST_ALL
    return LIST_FINAL if state in FINAL else LIST_UNFINISHED
