"""`--canary`: a job of our own goes in, and comes back or not."""

from datetime import timedelta
from uuid import UUID

from pillars.cli.doctor.finding import Finding, fail, ok, warn
from pillars.cli.doctor.subject import Subject
from pillars.cli.doctor.work import remedy, why_waits
from pillars.durations import words
from pillars.errors import JobEnded, UnknownJob, UnknownQueue
from pillars.jobs.canary import Sung, canary
from pillars.jobs.connected import using
from pillars.jobs.handle import Handle
from pillars.store import diagnosis, listing, queues
from pillars.store.database import Database
from pillars.store.rows import JobRow

PATIENCE = timedelta(seconds=10)  # a worker that only polls takes a second
LEFTOVER = timedelta(minutes=1)  # where the doctor itself is killed, its canary ends by this
AT_ONCE = timedelta(0)
DEFAULT = "default"  # the queue that is always meant, though nobody has named it


async def sing(subject: Subject, *, queue: str, patience: timedelta) -> Finding:
    """Enqueue the canary and wait for it; where it does not come back, say why and cancel it."""
    if subject.url is None:
        return fail("no database", fix="see database.reachable")
    database = Database(subject.url, direct_url=subject.direct_url, size=2, role="doctor")
    async with using(database):
        stranger = await _stranger(database, queue)
        configured = canary.configure(
            queue=queue, expires_in=patience + LEFTOVER, context="app doctor --canary"
        )
        handle = await configured.enqueue()
        try:
            sung = await handle.result(timeout=patience)
        except TimeoutError:
            return await _silent(database, handle, queue, patience)
        except (JobEnded, UnknownJob) as error:
            return fail(str(error), fix="see that worker's log")
        told = _told(sung, await listing.find(database.pool, _id(handle)))
    if stranger:
        return warn(
            f"{stranger} a worker of every queue took it: {told}",
            fix="name a queue that is used: app queues list",
        )
    return ok(told)


async def _stranger(database: Database, queue: str) -> str:
    """What is to be said of a queue that nobody names, so that a slip is not taken for a queue that works."""
    try:
        await queues.require(database.pool, queue)
    except UnknownQueue as error:
        return "" if queue == DEFAULT else str(error)
    return ""


def _told(sung: Sung, row: JobRow | None) -> str:
    """Where it ran, and how long it took by the database's clock."""
    place = f"ran on {sung.host} pid {sung.pid}"
    if row is None or row.started_at is None or row.finished_at is None:
        return place
    started, ended = row.started_at - row.created_at, row.finished_at - row.created_at
    return f"{place}, started after {_ms(started)}, ended after {_ms(ended)}"


async def _silent(
    database: Database, handle: Handle[Sung], queue: str, patience: timedelta
) -> Finding:
    """Why it did not come back; it is cancelled first, so that it never will."""
    row = await listing.find(database.pool, _id(handle))
    waits = await diagnosis.waiting(database.pool, longer_than=AT_ONCE)
    await handle.cancel(by="app doctor")
    evidence = f"{canary.name} in queue {queue} did not come back within {words(patience)}"
    if row is not None and row.state == "running":
        return fail(f"{evidence}: it runs", fix="the worker's loop is blocked: see its log")
    if row is not None and row.state == "waiting":
        return fail(
            f"{evidence}: {row.last_error}", fix="the processes are of an older release: deploy"
        )
    held = next((one for one in waits if one.queue == queue), None)
    if held is None:
        return fail(f"{evidence}, but ended as we looked", fix="look again with --timeout 30s")
    return fail(f"{evidence}: {why_waits(held)}; it is cancelled", fix=remedy(held))


def _id(handle: Handle[Sung]) -> UUID:
    return UUID(handle.job_id)


def _ms(length: timedelta) -> str:
    return f"{length / timedelta(milliseconds=1):.0f} ms"
