"""The page of one job: what it is, why it waits, what became of each attempt."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pillars.errors import UnknownJob
from pillars.moments import age, span
from pillars.settings.redaction import REDACTED
from pillars.store import jobs, oversight, redriving
from pillars.store.oversight import Seen
from pillars.store.speech import as_text, speech
from pillars.web.api import paths
from pillars.web.dashboard import again
from pillars.web.dashboard.frame import Frame
from pillars.web.dashboard.readings import Readings
from pillars.web.problems import Said
from pillars.web.trail import note, nothing_done, who

NEWEST_ATTEMPTS = 20
LAST_LINES = 100
LONGEST = 100_000  # characters of a payload, a result, a traceback; the API has all of it


@dataclass(frozen=True, slots=True)
class Step:
    """A moment of a job's life; `after` the time since the one before."""

    name: str
    at: datetime | None
    after: str


@dataclass(frozen=True, slots=True)
class Text:
    """A long text: cut where it is too long to be shown, `as_stored` where it is too long or too deep to be laid out."""

    text: str
    is_cut: bool
    as_stored: bool = False


class JobPage:
    """Shows one job, retries it, cancels it."""

    def __init__(self, frame: Frame, readings: Readings) -> None:
        self._frame = frame
        self._readings = readings
        self._pool = readings.pool

    async def show(self, request: Request) -> Response:
        job_id = paths.job_id(request)
        try:
            seen = await oversight.seen(
                self._pool, job_id, attempts=NEWEST_ATTEMPTS, longest=LONGEST + 1
            )
        except UnknownJob:
            if request.query_params.get("said") != "schedule-run":
                raise  # else its definition keeps no row of what has ended, and it has: its maker came from there
            return self._frame.go(self._frame.link("schedules", said="schedule-ran"))
        job = seen.job
        spoken = await speech(self._pool, job_id, lines=LAST_LINES)
        return self._frame.show(
            request,
            "job.html",
            place="jobs",
            title=job.name,
            now=seen.now,
            job=job,
            known=seen.circumstances,
            because=await self._because(seen),
            steps=list(_steps(seen)),
            payload=_json(job.payload),
            result=_json(job.result),
            spoken=spoken,
            facts=[(name, as_text(value)) for name, value in spoken.metadata.items()],
            error=None if job.last_error is None else _cut(job.last_error.strip()),
            length=_length,
            attempts=[
                (one, _cut((one.traceback or one.error or "").rstrip()))
                for one in reversed(seen.attempts)
            ],
            copies=again.copies(job, self._frame.api("jobs")),
            is_redacted=REDACTED in (job.payload or ""),
            is_to_pause=bool(seen.circumstances and seen.circumstances.pause_requested_at),
            api=self._frame.api("jobs"),
        )

    async def retry(self, request: Request) -> Response:
        retried = await redriving.retry(self._pool, paths.job_id(request))
        if retried.refused:
            return self._frame.refused(request, Said(409, retried.refused))
        return self._done(retried.job.job_id, "job-retried")

    async def cancel(self, request: Request) -> Response:
        job_id = paths.job_id(request)
        outcome = await jobs.cancel(self._pool, job_id, by=who(request))
        note(request, outcome=outcome)
        return await self._told(
            request, job_id, outcome, {"cancelled": "job-cancelled", "requested": "job-asked"}
        )

    async def pause(self, request: Request) -> Response:
        job_id = paths.job_id(request)
        outcome = await jobs.pause(self._pool, job_id, by=who(request))
        note(request, outcome=outcome)
        return await self._told(
            request, job_id, outcome, {"paused": "job-paused", "requested": "job-asked-to-pause"}
        )

    async def resume(self, request: Request) -> Response:
        job_id = paths.job_id(request)
        outcome = await jobs.resume(self._pool, job_id)
        if outcome == "unpaused":
            nothing_done(request)
        return await self._told(
            request, job_id, outcome, {"resumed": "job-resumed", "unpaused": "job-unpaused"}
        )

    async def _told(
        self, request: Request, job_id: UUID, outcome: str, notices: Mapping[str, str]
    ) -> Response:
        """Back to the job with a notice, or why nothing was done."""
        if outcome in notices:
            return self._done(job_id, notices[outcome])
        if outcome == "final":
            state = await jobs.state(self._pool, job_id)
            return self._frame.refused(request, Said(409, f"the job has ended: it is {state}"))
        raise UnknownJob.gone(job_id)

    def _done(self, job_id: UUID, said: str) -> Response:
        self._readings.changed()
        return self._frame.go(self._frame.link("jobs", job_id, said=said))

    async def _because(self, seen: Seen) -> str | None:
        """Why an unfinished job is where it is; None where its state says all."""
        waits = oversight.held_up_by(seen)
        job, known = seen.job, seen.circumstances
        if waits is not None or known is None:
            return waits
        if known.cancel_requested_at is not None:
            asked = age(known.cancel_requested_at, seen.now)
            return f"its end was asked for {asked} by {known.cancel_requested_by}"
        if job.state == "scheduled" and job.attempt:
            return f"its next attempt is due {age(job.run_at, seen.now)}"
        if job.state == "ready":
            return await self._until_claimed(job.queue)
        return None

    async def _until_claimed(self, queue: str) -> str:
        if not oversight.serving(queue, await self._readings.processes()):
            return f"no live worker serves its queue, {queue}; start one: app worker"
        return "waits for a free slot of a worker"


def _steps(seen: Seen) -> Iterator[Step]:
    """Its life in order: what took how long."""
    job = seen.job
    due = job.run_at if job.run_at is not None and job.run_at > job.created_at else None
    yield Step("created", job.created_at, "")
    before = job.created_at
    if due is not None:
        yield Step("due", due, _took(before, due))
        before = due
    if job.started_at is not None or job.finished_at is None:
        yield Step("started", job.started_at, _took(before, job.started_at, "waited "))
        before = job.started_at or before
    ran = "ran " if job.started_at is not None else ""
    name = "finished" if job.finished_at is None else job.state
    yield Step(name, job.finished_at, _took(before, job.finished_at, ran))


def _took(since: datetime, until: datetime | None, said: str = "") -> str:
    if until is None:
        return ""
    # The clocks of who made the id and of the database differ.
    return f"{said}{_length(max(until - since, timedelta(0)))}"


def _length(length: timedelta) -> str:
    """A length of time, finer than `span` says it: most attempts take less than a second."""
    if length < timedelta(seconds=1):
        return f"{round(length / timedelta(milliseconds=1))} ms"
    if length < timedelta(seconds=10):
        return f"{length.total_seconds():.1f} s"
    return span(length)


def _json(text: str | None) -> Text | None:
    """Laid out for eyes, every digit as it is stored; as it is stored altogether where that would make a mountain of it."""
    if text is None:
        return None
    if len(text) > LONGEST or again.depth(text) > again.DEEPEST:
        return replace(_cut(text), as_stored=True)
    try:
        return _cut(msgspec.json.format(text, indent=2))
    except (
        msgspec.DecodeError
    ):  # it was cut, and what is hidden of it was longer than what stands there instead
        return Text(text, is_cut=True)


def _cut(text: str) -> Text:
    return Text(text[:LONGEST], len(text) > LONGEST)
