"""What people ask of what they look at: all about one job, why it waits, who serves a queue, what a name may have meant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pillars.errors import Unknown, UnknownJob
from pillars.moments import age, span
from pillars.store import listing, naming, queues, schedules
from pillars.store.health import FRESH
from pillars.store.listing import Wanted
from pillars.store.rows import (
    AttemptRow,
    Circumstances,
    Glimpse,
    JobRow,
    ProcessRow,
    Queue,
)
from pillars.store.session import Executor

QUEUE_PAUSED = "its queue is paused"
NAME_PAUSED = "its name is paused"


@dataclass(frozen=True, slots=True)
class Seen:
    """A job with all that is known of it; `circumstances` None where it has ended."""

    job: JobRow
    attempts: Sequence[AttemptRow]
    circumstances: Circumstances | None
    now: datetime


async def seen(
    executor: Executor, job_id: UUID, *, attempts: int, longest: int | None = None
) -> Seen:
    """All about one job, with so many of its newest attempts, and texts no longer than `longest` characters where that is said.

    Raises `UnknownJob` where no row is left of it.
    """
    job = await listing.find(executor, job_id, longest=longest)
    if job is None:
        raise UnknownJob.gone(job_id)
    return Seen(
        job,
        await listing.attempts(executor, job_id, newest=attempts, longest=longest),
        await listing.circumstances(executor, job_id),
        await schedules.now(executor),
    )


def held_up_by(seen: Seen) -> str | None:
    """What keeps a job from being claimed or, where it runs, from its end; None where nothing does, or where it has ended."""
    known = seen.circumstances
    if known is None:
        return None
    if seen.job.locked_by is not None:
        return _runs_on(seen, known) or _paused(seen, known)
    paused = _paused(seen, known)
    if paused is not None:
        return paused
    if known.waiting_for == "definition" or not known.defined:
        return "waits for a process whose code has this name"
    if known.waiting_for is not None and known.waiting_for != "name":
        return f"waits for {known.waiting_for}"
    if known.name_paused_at is not None:
        when = age(known.name_paused_at, seen.now)
        return f"{NAME_PAUSED}, by {known.name_paused_by or 'nobody knows whom'} {when}"
    if known.waiting_for is not None:
        return "waits for the next sweep: its name was paused"
    if known.queue_paused_at is not None:
        return QUEUE_PAUSED
    return None


def _paused(seen: Seen, known: Circumstances) -> str | None:
    if known.cancel_requested_at is not None:
        return None
    if known.paused_at is not None:
        held = ", and it keeps its slot" if seen.job.locked_by is not None else ""
        return f"paused by {known.paused_by or 'nobody knows whom'} {age(known.paused_at, seen.now)}{held}"
    if known.pause_requested_at is not None:
        asked = age(known.pause_requested_at, seen.now)
        return (
            f"asked to pause by {known.paused_by} {asked}: it rests at its code's next checkpoint"
        )
    return None


def _runs_on(seen: Seen, known: Circumstances) -> str | None:
    last = known.worker_seen_at
    if last is None or seen.now - last > FRESH:
        gone = "has left no word" if last is None else f"was last seen {age(last, seen.now)}"
        return f"its worker {gone}; another takes it over once its lock has expired"
    deadline = seen.job.deadline_at
    if deadline is not None and deadline < seen.now and known.paused_at is None:
        return f"overdue for {span(seen.now - deadline)}: its code goes on, as a thread does, which nothing can interrupt"
    return None


def last_moved(job: JobRow | Glimpse) -> datetime | None:
    """When a job ended, began, or is due: what a reader of its state asks next."""
    match job.state:
        case "running":
            return job.started_at
        case "scheduled" | "ready":
            return job.run_at
        case "waiting" | "paused":
            return job.created_at
    return job.finished_at


def serving(queue: str, processes: Iterable[ProcessRow]) -> int:
    """How many live workers serve a queue."""
    return sum(
        one.role == "worker" and one.alive and (one.queues is None or queue in one.queues)
        for one in processes
    )


def unserved(found: Iterable[Queue], processes: Sequence[ProcessRow]) -> list[str]:
    """The queues with ready jobs that no live worker serves."""
    return [one.name for one in found if one.ready and not serving(one.name, processes)]


async def require_known(executor: Executor, wanted: Wanted, *, thorough: bool) -> None:
    """Raise `Unknown` for a name or a queue of which nobody knows: where nothing is found, it may be misspelt.

    `thorough`: look through all of the history for it, which may take seconds; else it is let pass where much is left to look at.
    """
    if wanted.name is not None:
        names = await naming.defined_names(executor)
        if wanted.name not in names and not await _ever(executor, wanted.name, thorough=thorough):
            raise UnknownJob.among(wanted.name, names)
    if wanted.queue is not None:
        await queues.require(executor, wanted.queue)


async def mistaken(executor: Executor, wanted: Wanted, *, thorough: bool) -> str | None:
    """What a listing that found nothing may have misspelt; `thorough` as of `require_known`."""
    try:
        await require_known(executor, wanted, thorough=thorough)
    except Unknown as error:
        return str(error)
    return None


async def _ever(executor: Executor, name: str, *, thorough: bool) -> bool:
    """Whether there is, or may be, any job of this name, though no code defines it any more."""
    page = await listing.glances(executor, Wanted(name=name, limit=1))
    while thorough and not page.jobs and page.next is not None:
        page = await listing.glances(executor, Wanted(name=name, limit=1, older_than=page.next))
    return bool(page.jobs) or page.next is not None
