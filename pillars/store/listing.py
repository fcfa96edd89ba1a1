"""Jobs to look at: one, a page of many, and as JSON. Secrets in them are hidden; what code needs as it is stored, `inspect` reads."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from pillars.settings.redaction import masked, redacted
from pillars.store import states
from pillars.store.cursors import cursor_after
from pillars.store.results import made_at, not_ended_before
from pillars.store.rows import AttemptRow, Circumstances, Glimpse, JobRow, NewJob, Stored
from pillars.store.session import Executor
from pillars.store.statements import Statement

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Shown = TypeVar("Shown", JobRow, Glimpse)
Kinds: TypeAlias = tuple[Statement[Shown], Statement[Shown], Statement[Shown]]
"""Of any state, of a final one, of an unfinished one."""

INSPECT = Statement("jobs/inspect", JobRow)
INSPECT_CUT = Statement("jobs/inspect_cut", JobRow)
LIST_ALL = Statement("jobs/list_all", JobRow)
LIST_UNFINISHED = Statement("jobs/list_unfinished", JobRow)
LIST_FINAL = Statement("jobs/list_final", JobRow)
GLANCE_ALL = Statement("jobs/glance_all", Glimpse)
GLANCE_UNFINISHED = Statement("jobs/glance_unfinished", Glimpse)
GLANCE_FINAL = Statement("jobs/glance_final", Glimpse)
LIST_AMONG = Statement("jobs/list_among", JobRow)
GLANCE_AMONG = Statement("jobs/glance_among", Glimpse)
IDS_UNFINISHED = Statement("jobs/ids_unfinished", Stored)
IDS_FINAL = Statement("jobs/ids_final", Stored)
IDS_RUNNING = Statement("jobs/ids_running", Stored)
IDS_PARKED = Statement("jobs/ids_parked", Stored)
REACHED_ALL = Statement("jobs/reached_all", Stored)
REACHED_UNFINISHED = Statement("jobs/reached_unfinished", Stored)
REACHED_PARKED = Statement("jobs/reached_parked", Stored)
REACHED_COMPLETED = Statement("jobs/reached_completed", Stored)
REACHED_ENDED = Statement("jobs/reached_ended", Stored)
PAGES: Kinds[JobRow] = (LIST_ALL, LIST_FINAL, LIST_UNFINISHED)
GLANCES: Kinds[Glimpse] = (GLANCE_ALL, GLANCE_FINAL, GLANCE_UNFINISHED)
ATTEMPTS = Statement("jobs/attempts", AttemptRow)
ATTEMPTS_CUT = Statement("jobs/attempts_cut", AttemptRow)
CIRCUMSTANCES = Statement("jobs/circumstances", Circumstances)

GLANCE = 300  # characters of a payload or an error: a line of a list shows no more
LOOKED_AT = 20_000  # jobs for one page: among more the one that is wanted may be minutes away

UNFINISHED, FINAL, STATES = states.UNFINISHED, states.FINAL, states.STATES


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
class Page(Generic[Shown]):
    """Some jobs, and the id to go on from where there may be more; not always as many as were asked for."""

    jobs: Sequence[Shown]
    next: UUID | None


async def find(executor: Executor, job_id: UUID, *, longest: int | None = None) -> JobRow | None:
    """One job in whatever state, its texts cut to `longest` characters where that is said; None where no row is left of it."""
    if longest is None:
        found = await inspect(executor, job_id)
        return None if found is None else _shown(found)
    cut = await executor.rows(INSPECT_CUT, job_id, not_ended_before(job_id), longest)
    return _shown(cut[0]) if cut else None


async def inspect(executor: Executor, job_id: UUID) -> JobRow | None:
    """One job as it is stored, secrets and all: for code, not for eyes."""
    found = await executor.rows(INSPECT, job_id, not_ended_before(job_id))
    return found[0] if found else None


async def page(executor: Executor, wanted: Wanted) -> Page[JobRow]:
    """Read one page, of the next 20,000 jobs at most; reads one row more, which tells whether there is another."""
    if wanted.state in states.APART:
        among, following = await _apart(executor, wanted)
        return _page(await executor.rows(LIST_AMONG, among, wanted.state), following)
    reached = await _reached(executor, wanted)
    found = await executor.rows(
        _of_state(wanted.state, PAGES),
        wanted.older_than, wanted.limit + 1, wanted.state, wanted.name, wanted.queue, wanted.tag, reached,
    )  # fmt: skip
    return _paged(found, wanted, reached)


async def glances(executor: Executor, wanted: Wanted) -> Page[Glimpse]:
    """As `page`, with as much of each job as a line shows: payloads and results may be megabytes."""
    if wanted.state in states.APART:
        among, following = await _apart(executor, wanted)
        return _page(await executor.rows(GLANCE_AMONG, among, wanted.state, GLANCE), following)
    reached = await _reached(executor, wanted)
    found = await executor.rows(
        _of_state(wanted.state, GLANCES),
        wanted.older_than, wanted.limit + 1, wanted.state, wanted.name, wanted.queue, wanted.tag, GLANCE, reached,
    )  # fmt: skip
    return _paged(found, wanted, reached)


async def ids(executor: Executor, wanted: Wanted) -> list[UUID]:
    """The ids alone of one page's jobs, in one `state`, which must be given; looks through all of them."""
    if wanted.state in states.APART:
        return await _ids_apart(executor, wanted, wanted.limit, None)
    statement = IDS_FINAL if wanted.state in FINAL else IDS_UNFINISHED
    found = await executor.rows(
        statement, wanted.older_than, wanted.limit, wanted.state, wanted.name, wanted.queue, wanted.tag,
    )  # fmt: skip
    return [row.job_id for row in found]


async def attempts(
    executor: Executor, job_id: UUID, *, newest: int, longest: int | None = None
) -> list[AttemptRow]:
    """What became of a job's newest attempts that did not simply complete, oldest first; texts are cut as `find` cuts them."""
    since = not_ended_before(job_id)
    if longest is None:
        found = await executor.rows(ATTEMPTS, job_id, since, newest)
    else:
        found = await executor.rows(ATTEMPTS_CUT, job_id, since, newest, longest)
    return [
        replace(one, error=_text(one.error), traceback=_text(one.traceback)) for one in found[::-1]
    ]


async def circumstances(executor: Executor, job_id: UUID) -> Circumstances | None:
    """Why an unfinished job stands where it stands; None where it has ended."""
    found = await executor.rows(CIRCUMSTANCES, job_id)
    return found[0] if found else None


def as_stored(job: NewJob, job_id: UUID) -> JobRow:
    """A job as it was when it was stored, for one that has ended since and left no row."""
    row = JobRow(
        job_id=job_id, name=job.name, queue=job.queue, priority=job.priority, state="ready", payload=job.payload,
        context=job.context, result=None, last_error=None, attempt=0, max_attempts=job.max_attempts, crashes=0,
        lock_token=None, created_at=made_at(job_id), started_at=None, finished_at=None, parent_id=None, tags=job.tags,
        trace=None, unique_key=job.unique_key, timeout=None, run_at=job.run_at or made_at(job_id), locked_at=None,
        locked_by=None, deadline_at=None,
    )  # fmt: skip
    return _shown(row)


def page_as_json(page: Page[JobRow]) -> dict[str, Any]:
    """A page for a JSON encoder; `next` is the cursor to go on with, null on the last page."""
    following = None if page.next is None else cursor_after(page.next)
    return {"items": [as_json(job) for job in page.jobs], "next": following}


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


def _of_state(state: str | None, kinds: Kinds[Shown]) -> Statement[Shown]:
    of_any, final, unfinished = kinds
    if state is None:
        return of_any
    return final if state in FINAL else unfinished


async def _apart(executor: Executor, wanted: Wanted) -> tuple[list[UUID], UUID | None]:
    """The jobs of a page in a state that few are in, by its own index, and the id to go on from.

    Decided before their rows are read: by then some may be in another state.
    """
    reached = None if wanted.state == "running" else await _reached(executor, wanted)
    found = await _ids_apart(executor, wanted, wanted.limit + 1, reached)
    shown = found[: wanted.limit]
    return shown, shown[-1] if len(found) > wanted.limit else reached


async def _ids_apart(
    executor: Executor, wanted: Wanted, limit: int, reached: UUID | None
) -> list[UUID]:
    filters = (wanted.older_than, limit, wanted.state, wanted.name, wanted.queue, wanted.tag)
    if wanted.state == "running":
        found = await executor.rows(IDS_RUNNING, *filters)
    else:
        found = await executor.rows(IDS_PARKED, *filters, reached)
    return [row.job_id for row in found]


async def _reached(executor: Executor, wanted: Wanted) -> UUID | None:
    """How far a page looks; None where it looks at all, or finds what it wants in every row."""
    narrowed = any(one is not None for one in (wanted.name, wanted.queue, wanted.tag))
    if not narrowed and wanted.state in {None, "completed"}:
        return None
    match wanted.state:
        case None:
            statement = REACHED_ALL
        case "completed":
            statement = REACHED_COMPLETED
        case "failed" | "cancelled" | "expired":
            statement = REACHED_ENDED
        case "waiting" | "paused":
            statement = REACHED_PARKED
        case _:
            statement = REACHED_UNFINISHED
    found = await executor.rows(statement, wanted.older_than, LOOKED_AT)
    return found[0].job_id if found else None


def _paged(found: Sequence[Shown], wanted: Wanted, reached: UUID | None) -> Page[Shown]:
    shown = found[: wanted.limit]
    return _page(shown, shown[-1].job_id if len(found) > wanted.limit else reached)


def _page(found: Sequence[Shown], following: UUID | None) -> Page[Shown]:
    return Page([_shown(one) for one in found], following)


def _shown(row: Shown) -> Shown:
    """A job as people and programs see it."""
    if isinstance(row, Glimpse):
        return replace(row, payload=_json(row.payload), last_error=_text(row.last_error))
    return replace(
        row,
        payload=_json(row.payload),
        result=_json(row.result),
        last_error=_text(row.last_error),
        context=_text(row.context),
        unique_key=_text(row.unique_key),
        trace=_text(row.trace),
    )


def _json(text: str | None) -> str | None:
    return None if text is None else redacted(text)


def _text(text: str | None) -> str | None:
    return None if text is None else masked(text)
