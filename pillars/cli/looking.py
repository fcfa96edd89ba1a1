"""`app jobs list` and `app jobs show`."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from pillars.cli import hearing, opening, saying
from pillars.cli.ending import DONE, arguments
from pillars.cli.opening import Opened
from pillars.cli.tables import Cell, Column
from pillars.cli.words import pretty, visible
from pillars.durations import words
from pillars.jobs import options
from pillars.jobs.handle import checked_id
from pillars.moments import age, in_full_and_age, span
from pillars.store import cursors, listing, oversight, schedules
from pillars.store.listing import Page, Wanted
from pillars.store.oversight import Seen
from pillars.store.rows import AttemptRow, JobRow
from pillars.store.speech import Speech, speech

NEWEST_ATTEMPTS = 20
LAST_LINES = 20
LONGEST = 20_000  # characters of a payload, a result or a traceback; --json has all of it
COLUMNS = (
    Column(title="ID"),
    Column(title="STATE"),
    Column(title="NAME", least=24, keep_end=True),
    Column(title="WHEN"),
    Column(title="QUEUE", least=8, optional=True),
    Column(title="TRY", optional=True),
    Column(title="ERROR", least=20, optional=True),
)


def list_jobs(
    *, state: str | None, name: str | None, queue: str | None, tag: str | None, limit: int,
    cursor: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Print one page, newest first."""
    wanted = filters(state=state, name=name, queue=queue, tag=tag)
    with arguments():
        after = None if cursor is None else cursors.opened(cursor)
    wanted = replace(wanted, limit=limit, older_than=after)
    page, now, hint = opening.run(partial(_page, wanted), command="jobs")
    if as_json:
        saying.document(listing.page_as_json(page))
        return DONE
    if page.jobs:
        saying.rows(COLUMNS, [_row(job, now) for job in page.jobs])
    saying.tell(_after(page, wanted, hint))
    return DONE


def filters(*, state: str | None, name: str | None, queue: str | None, tag: str | None) -> Wanted:
    """The jobs that options describe; what cannot be a name is a `Misuse`."""
    with arguments():
        return Wanted(
            state=state,
            name=None if name is None else options.checked_name(name, "--name"),
            queue=None if queue is None else options.checked_name(queue, "--queue"),
            tag=None
            if tag is None
            else options.checked_text(tag, "--tag", longest=options.LONGEST_TAG),
        )


def said(wanted: Wanted) -> str:
    """The options that describe these jobs, as they are typed."""
    given = {"state": wanted.state, "name": wanted.name, "queue": wanted.queue, "tag": wanted.tag}
    return "".join(
        f" --{name} {shlex.quote(value)}" for name, value in given.items() if value is not None
    )


async def _page(wanted: Wanted, opened: Opened) -> tuple[Page[JobRow], datetime, str | None]:
    pool = opened.database.pool
    page = await listing.page(pool, wanted)
    while not page.jobs and page.next is not None:  # at a terminal one waits
        page = await listing.page(pool, replace(wanted, older_than=page.next))
    hint = None if page.jobs else await oversight.mistaken(pool, wanted, thorough=True)
    return page, await schedules.now(pool), hint


def _after(page: Page[JobRow], wanted: Wanted, hint: str | None) -> str:
    """The line below a page: how many, how to go on; or, where there is nothing, what to do."""
    if page.next is not None:
        limit = "" if wanted.limit == Wanted().limit else f" --limit {wanted.limit}"
        cursor = cursors.cursor_after(page.next)
        return f"{saying.counted(len(page.jobs), 'job')}; more: app jobs list{said(wanted)}{limit} --cursor {cursor}"
    if page.jobs:
        return saying.counted(len(page.jobs), "job")
    if hint is not None:
        return f"no jobs; {hint}"
    if wanted.older_than is not None:
        return "no more jobs"
    if said(wanted):
        return f"no jobs match{said(wanted)}; all of them: app jobs list"
    return "no jobs; enqueue one: app jobs enqueue NAME"


def _row(job: JobRow, now: datetime) -> list[Cell]:
    tries = f"{job.attempt}/{job.max_attempts}" if job.max_attempts else str(job.attempt)
    error = (job.last_error or "").strip().partition("\n")[0]
    return [
        Cell(str(job.job_id)),
        saying.of_state(job.state),
        Cell(job.name),
        Cell(age(oversight.last_moved(job), now)),
        Cell(job.queue),
        Cell(tries),
        Cell(error, "dim"),
    ]


# --- one job ------------------------------------------------------------------------------------------------


def show(job_id: str, *, as_json: bool) -> int:
    """Print one job; raises `UnknownJob` where no row is left of it."""
    with arguments():
        checked = checked_id(job_id)
    seen, spoken = opening.run(partial(_seen, checked), command="jobs")
    if as_json:
        said = {"progress": spoken.progress, "metadata": spoken.metadata or None}
        saying.document({**listing.as_json(seen.job), **said})
    else:
        saying.lines(_told(seen, spoken))
    return DONE


async def _seen(job_id: UUID, opened: Opened) -> tuple[Seen, Speech]:
    pool = opened.database.pool
    seen = await oversight.seen(pool, job_id, attempts=NEWEST_ATTEMPTS)
    return seen, await speech(pool, job_id, lines=LAST_LINES)


def _told(seen: Seen, spoken: Speech) -> Iterator[str]:
    facts = [(name, value) for name, value in _facts(seen, spoken) if value]
    size = max(len(name) for name, _ in facts)
    for name, value in facts:
        yield f"{name:<{size}}  {visible(value[:LONGEST])}"
    for name, text in (("payload", seen.job.payload), ("result", seen.job.result)):
        if text is not None:
            yield from ("", saying.title(name), *_indented(pretty(text), 2))
    yield from hearing.told(spoken)
    if seen.attempts:
        yield from ("", saying.title("attempts"))
        for attempt in seen.attempts:
            yield from _of_attempt(attempt, seen.now)


def _facts(seen: Seen, spoken: Speech) -> Iterator[tuple[str, str]]:
    job, now = seen.job, seen.now

    def at(when: datetime | None) -> str:
        return "" if when is None else in_full_and_age(when, now)

    yield "id", str(job.job_id)
    yield "name", job.name
    yield "state", job.state + _because(seen)
    yield "progress", hearing.bar(spoken.progress)
    yield "queue", job.queue
    yield "priority", str(job.priority)
    yield "attempt", f"{job.attempt} of {job.max_attempts or 'as defined'}"
    yield "crashes", str(job.crashes or "")
    yield "created", at(job.created_at)
    yield "due", at(job.run_at)
    yield "started", at(job.started_at)
    yield "deadline", at(job.deadline_at)
    yield "finished", at(job.finished_at)
    if seen.circumstances is not None:
        yield "expires", at(seen.circumstances.expires_at)
        yield "paused", at(seen.circumstances.paused_at)
        yield "pause asked", at(seen.circumstances.pause_requested_at)
        yield "paused by", seen.circumstances.paused_by or ""
        yield "cancel asked", at(seen.circumstances.cancel_requested_at)
        yield "asked by", seen.circumstances.cancel_requested_by or ""
    yield "timeout", "" if job.timeout is None else words(job.timeout) if job.timeout else "none"
    yield "worker", _worker(seen)
    yield "lock token", "" if job.lock_token is None else str(job.lock_token)
    yield "unique key", job.unique_key or ""
    yield "tags", ", ".join(map(str, job.tags or ()))  # a hand may have put anything there
    yield "parent", "" if job.parent_id is None else str(job.parent_id)
    yield "trace", job.trace or ""
    yield "context", job.context or ""
    yield "last error", (job.last_error or "").strip()


def _because(seen: Seen) -> str:
    """What an unfinished job waits for."""
    waits = oversight.held_up_by(seen)
    if waits is None:
        return ""
    if waits == oversight.QUEUE_PAUSED:
        return f": {waits}; app queues resume {seen.job.queue}"
    if waits.startswith(oversight.NAME_PAUSED):
        return f": {waits}; app names resume {seen.job.name}"
    return f": {waits}"


def _worker(seen: Seen) -> str:
    if seen.job.locked_by is None:
        return ""
    known = seen.circumstances
    if known is None or known.host is None:
        return f"{seen.job.locked_by}, which has no row any more"
    return f"{known.host}:{known.pid} ({seen.job.locked_by})"


def _of_attempt(attempt: AttemptRow, now: datetime) -> Iterator[str]:
    took = (
        ""
        if attempt.started_at is None
        else f", after {span(attempt.ended_at - attempt.started_at)}"
    )
    outcome = saying.of_state(attempt.outcome)
    yield f"  {attempt.attempt}  {visible(outcome.text)}  {in_full_and_age(attempt.ended_at, now)}{took}"
    # A traceback's last lines are its error.
    text = attempt.traceback or attempt.error
    if text:
        yield from _indented(text.rstrip(), 5)


def _indented(text: str, by: int) -> Iterator[str]:
    """The lines of a longer text."""
    for line in text[:LONGEST].expandtabs(4).split("\n"):
        yield " " * by + visible(line)
    if len(text) > LONGEST:
        yield f"{' ' * by}… cut, {len(text):,} characters in all; --json has them"
