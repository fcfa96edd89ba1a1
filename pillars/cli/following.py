"""What is said of a job that a command made, at once or when it has ended."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import anyio

from pillars.cli import opening, saying
from pillars.cli.ending import DONE, FAILED, STOPPED
from pillars.cli.opening import Opened
from pillars.cli.words import pretty, visible
from pillars.durations import duration, words
from pillars.errors import DatabaseTrouble, UsageError
from pillars.settings.redaction import redacted
from pillars.store import listing, workers
from pillars.store.rows import Enqueued, Final, JobRow

FOR_EVER = timedelta.max


@dataclass(frozen=True, slots=True)
class Made:
    """A job that was enqueued, and how it ended where that was awaited; a row may be gone by the time one looks."""

    stored: Enqueued
    row: JobRow | None
    final: Final | None = None
    late: bool = False


Make = Callable[[Opened], Awaitable[Made]]


def patience_of(said: str | None) -> timedelta | None:
    """How long --wait says to wait: None without it, for ever where it says no time."""
    if said is None:
        return None
    if not said:
        return FOR_EVER
    length = duration(said, what="--wait")
    if length <= timedelta(0):
        raise UsageError(f"--wait: expected more than zero, got {said}")
    return length


def follow(make: Make, *, patience: timedelta | None, as_json: bool) -> int:
    """Enqueue and print the id; or, with `patience`, wait for the end and print the result."""
    try:
        made = opening.run(partial(_followed, make, patience=patience), command="jobs")
    except KeyboardInterrupt:
        saying.tell("stopped waiting; a job that was enqueued goes on")
        return STOPPED
    if as_json:
        saying.document(None if made.row is None else listing.as_json(made.row))
    if patience is None:
        if not as_json:
            saying.lines([str(made.stored.job_id)])
        return DONE
    return _ended(made, patience, as_json=as_json)


async def _followed(make: Make, opened: Opened, *, patience: timedelta | None) -> Made:
    made = await make(opened)
    saying.tell(_told(made))
    with suppress(DatabaseTrouble):  # the id of what is stored matters more
        await _look_for_obstacles(opened, made)
    if patience is None:
        return made
    limit = None if patience == FOR_EVER else patience / timedelta(seconds=1)
    with anyio.move_on_after(limit) as waited:
        final = await opened.database.results.wait(made.stored.job_id)
    row = await listing.find(opened.database.pool, made.stored.job_id) or made.row
    if waited.cancelled_caught:
        return replace(made, row=row, late=True)
    return replace(made, row=row, final=final)


def _told(made: Made) -> str:
    job_id = made.stored.job_id
    if not made.stored.created:
        return f"not enqueued: {job_id} holds its unique key and is unfinished"
    if made.row is None:
        return f"enqueued {job_id}"
    return f"enqueued {made.row.name} on queue {made.row.queue}; see: app jobs show {job_id}"


async def _look_for_obstacles(opened: Opened, made: Made) -> None:
    """Who enqueues a job wants to know that nobody is there to run it, or that nobody may."""
    processes = await workers.listed(opened.database.pool)
    if not any(one.role == "worker" and one.alive for one in processes):
        saying.tell("no worker is running; start one: app worker")
    known = await listing.circumstances(opened.database.pool, made.stored.job_id)
    if made.row is None or known is None:
        return
    if known.queue_paused_at is not None:
        saying.tell(f'queue "{made.row.queue}" is paused; app queues resume {made.row.queue}')
    if known.name_paused_at is not None:
        saying.tell(f'name "{made.row.name}" is paused; app names resume {made.row.name}')


def _ended(made: Made, patience: timedelta, *, as_json: bool) -> int:
    """Say how the job ended; a result goes to stdout."""
    job_id = made.stored.job_id
    if made.late or made.final is None:
        state = "unknown" if made.row is None else made.row.state
        saying.tell(f"app: not ended after {words(patience)}: {job_id} is {state}, and goes on")
        return FAILED
    match made.final.state:
        case "completed":
            if not as_json:
                text = pretty(redacted(made.final.result or "null"))
                saying.lines(map(visible, text.split("\n")))
            return DONE
        case "unknown":
            saying.tell(f"app: {job_id} has ended; how is not known, its definition keeps no row")
            return FAILED
    error = f": {made.final.last_error.strip()}" if made.final.last_error else ""
    saying.tell(f"app: {job_id} {made.final.state}{error}; see: app jobs show {job_id}")
    return FAILED
