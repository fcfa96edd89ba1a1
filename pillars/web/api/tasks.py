"""Jobs by their name: made where none is unfinished, else paused or resumed; or all cancelled."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pillars.errors import UnknownJob
from pillars.store import jobs, listing, names, oversight
from pillars.store.database import Database
from pillars.store.listing import Wanted
from pillars.store.rows import NewestJob
from pillars.web import bodies
from pillars.web.api import paths
from pillars.web.api.jobs import Jobs
from pillars.web.problems import answer, enqueued, problem
from pillars.web.trail import done, note, nothing_done, who

BATCH = 200  # jobs of one statement, as of the commands
LOOKS = 5  # jobs that end under as many looks: others are at work on the name
TELLINGS = 3
IS_UNFINISHED = "a job of this name is unfinished: POST without a body pauses or resumes it"
KEEP_ENDING = "the jobs of this name end as soon as they are found; try again"


class Tasks:
    """Makes and changes the jobs of one name for requests that were let in. `path` is that of the jobs."""

    def __init__(self, database: Database, jobs: Jobs, *, path: str) -> None:
        self._pool = database.pool
        self._jobs = jobs
        self._path = path

    async def turn(self, request: Request) -> Response:
        """201 with a new job where none is unfinished; else 200 with the newest, paused now, or resumed where it was.

        Of requests that meet, one makes the job: the others find it made since they came, and leave it as it is.
        """
        came = time.monotonic()
        name = paths.name(request, UnknownJob)
        body = await bodies.read_named(request, name)
        for _ in range(LOOKS):
            found, is_rivals = await self._newest(name, came)
            if found is None:
                return await self._make(request, body or bodies.Enqueue(name=name))
            if body is not None and not is_rivals:
                return problem(409, IS_UNFINISHED)
            said = "left" if is_rivals else await self._toggle(request, found)
            row = await listing.find(self._pool, found.job_id)
            if said not in {"final", "unknown"} and row is not None:
                if said in {"left", "unpaused"}:
                    nothing_done(request)
                return enqueued(row, created=False, location=f"{self._path}/{row.job_id}")
        return problem(409, KEEP_ENDING)

    async def cancel(self, request: Request) -> Response:
        """202 with how many were cancelled, asked to end, or had ended meanwhile."""
        name = paths.name(request, UnknownJob)
        counts = {"cancelled": 0, "requested": 0, "left": 0}
        async for batch in self._batches(name):
            answers = Counter(await jobs.cancel_many(self._pool, batch, by=who(request)))
            counts["cancelled"] += answers["cancelled"]
            counts["requested"] += answers["requested"]
            counts["left"] += answers["final"] + answers["unknown"]
            note(
                request,
                cancelled=counts["cancelled"],
                requested=counts["requested"],
                left=counts["left"],
            )
            done(request)
        if not any(counts.values()):
            await oversight.require_known(self._pool, Wanted(name=name), thorough=False)
            nothing_done(request)
        return answer(counts, status=202)

    async def _newest(self, name: str, came: float) -> tuple[NewestJob | None, bool]:
        """The newest unfinished job of a name, and whether it was made after the request came.

        Its age is by the database's clock, compared with the length of the wait here. The age was taken between question and answer: where
        that leaves it open it is asked again, as a statement that is prepared answers sooner.
        """
        async with self._pool.session() as session:
            for _ in range(TELLINGS):
                asked = timedelta(seconds=time.monotonic() - came)
                found = await names.newest(session, name)
                answered = timedelta(seconds=time.monotonic() - came)
                if found is None or not asked <= found.age < answered:
                    break
            return found, found is not None and found.age < asked

    async def _make(self, request: Request, body: bodies.Enqueue) -> Response:
        key = body.unique_key or f"task {body.name}"
        note(request, action="job.enqueue")
        row, created = await self._jobs.put(request, msgspec.structs.replace(body, unique_key=key))
        return enqueued(row, created=created, location=f"{self._path}/{row.job_id}")

    async def _toggle(self, request: Request, found: NewestJob) -> str:
        """Resume what is paused, pause what is not; what pillars.resume and pillars.pause say."""
        if found.paused:
            note(request, action="job.resume", target=found.job_id)
            said = await jobs.resume(self._pool, found.job_id)
        else:
            note(request, action="job.pause", target=found.job_id)
            said = await jobs.pause(self._pool, found.job_id, by=who(request))
        if said in {"paused", "requested"}:
            note(request, outcome=said)
            done(request)
        elif said == "resumed":
            done(request)
        return said

    async def _batches(self, name: str) -> AsyncIterator[list[UUID]]:
        async for found in names.unfinished(self._pool, name):
            for at in range(0, len(found), BATCH):
                yield found[at : at + BATCH]
