"""Jobs: counted, listed, enqueued, inspected, cancelled, retried."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pillars import log
from pillars.codec import large
from pillars.errors import UnknownJob
from pillars.jobs.definition import Job
from pillars.jobs.handle import UNSENT
from pillars.store import (
    enqueueing,
    job_messages,
    jobs,
    listing,
    naming,
    redriving,
    stats as counting,
)
from pillars.store.database import Database
from pillars.store.rows import Defaults, JobRow, Stats
from pillars.web import bodies, queries, shapes
from pillars.web.api import paths
from pillars.web.problems import answer, enqueued, problem
from pillars.web.trail import done, note, nothing_done, who


class Jobs:
    """Reads and changes jobs for requests that were let in; `defined` are those whose code this process has."""

    def __init__(self, database: Database, defined: Mapping[str, Job[..., Any]]) -> None:
        self._database = database
        self._pool = database.pool
        self._defined = defined

    async def stats(self, _request: Request) -> Response:
        return answer(_counted(await counting.stats(self._pool)))

    async def list(self, request: Request) -> Response:
        page = await listing.page(self._pool, queries.wanted(request.query_params))
        return answer(listing.page_as_json(page))

    async def enqueue(self, request: Request) -> Response:
        """201 with the new job, or 200 with the unfinished one that holds the unique key."""
        row, created = await self.put(request, await bodies.read(request))
        return enqueued(row, created=created, location=f"{request.scope['path']}/{row.job_id}")

    async def put(self, request: Request, body: bodies.Enqueue) -> tuple[JobRow, bool]:
        """Enqueue what was asked for: the job, or the unfinished one that holds the unique key, and whether it is new."""
        if (defined := self._defined.get(body.name)) is not None:
            defined.payload_codec.decode(body.payload, what="payload")
        job = bodies.new_job(body, await self._defaults(body.name))
        if large(job.payload.encode()):
            log.get("pillars.web").warning(
                log.Event.PAYLOAD_LARGE, job_name=job.name, bytes=len(job.payload)
            )
        stored = await enqueueing.enqueue(self._database, job)
        note(request, target=stored.job_id, name=body.name, created=stored.created)
        done(request)
        row = await listing.find(self._pool, stored.job_id) or listing.as_stored(job, stored.job_id)
        return row, stored.created

    async def inspect(self, request: Request) -> Response:
        return answer(listing.as_json(await self._found(paths.job_id(request))))

    async def cancel(self, request: Request) -> Response:
        """200 where the job had not begun and is cancelled now, 202 where its worker was told, 409 where it had ended."""
        before = await self._found(paths.job_id(request))
        said = await jobs.cancel(self._pool, before.job_id, by=who(request))
        note(request, outcome=said)
        if said in {"cancelled", "requested"}:
            done(request)
        after = await listing.find(self._pool, before.job_id)
        match said:
            case "cancelled":
                return answer(listing.as_json(after or replace(before, state="cancelled")))
            case "requested":
                return answer(listing.as_json(after or before), status=202)
            case "final":
                state = (after or before).state
                return problem(409, f"the job has ended: it is {state}", state=state)
        raise _unknown(before.job_id)

    async def pause(self, request: Request) -> Response:
        """200 where nothing of it runs now, 202 where its worker was told, 409 where it had ended."""
        before = await self._found(paths.job_id(request))
        said = await jobs.pause(self._pool, before.job_id, by=who(request))
        note(request, outcome=said)
        if said in {"paused", "requested"}:
            done(request)
        return await self._became(before, said, status=202 if said == "requested" else 200)

    async def resume(self, request: Request) -> Response:
        """200 with the job, which was paused or not; 409 where it had ended."""
        before = await self._found(paths.job_id(request))
        said = await jobs.resume(self._pool, before.job_id)
        if said == "resumed":
            done(request)
        elif said == "unpaused":
            nothing_done(request)
        return await self._became(before, said)

    async def send(self, request: Request) -> Response:
        """201 where the message was stored, 409 where the job has ended or too many wait for it."""
        job = await self._found(paths.job_id(request))
        message = await bodies.read_message(request)
        said = await job_messages.send(self._pool, job.job_id, message, by=who(request))
        note(request, outcome=said)
        if said == "unknown":
            raise _unknown(job.job_id)
        if said in UNSENT:
            return problem(409, f"the message was not sent: {UNSENT[said]}", state=job.state)
        done(request)
        return answer(shapes.Sent(job.job_id, "sent"), status=201)

    async def _became(self, before: JobRow, said: str, *, status: int = 200) -> Response:
        after = await listing.find(self._pool, before.job_id) or before
        match said:
            case "final":
                return problem(409, f"the job has ended: it is {after.state}", state=after.state)
            case "unknown":
                raise _unknown(before.job_id)
        return answer(listing.as_json(after), status=status)

    async def retry(self, request: Request) -> Response:
        """200 with the job, failed, cancelled or expired ones as new, scheduled ones due now; else 409."""
        retried = await redriving.retry(self._pool, paths.job_id(request))
        if retried.refused:
            return problem(409, retried.refused, state=retried.job.state)
        return answer(listing.as_json(retried.job))

    async def _found(self, job_id: UUID) -> JobRow:
        job = await listing.find(self._pool, job_id)
        if job is None:
            raise _unknown(job_id)
        return job

    async def _defaults(self, name: str) -> Defaults | None:
        """The name's definition. Before any process has defined its jobs, every name is taken, as SQL takes it."""
        found = await naming.defaults(self._pool, name)
        if found is None and (names := await naming.defined_names(self._pool)):
            raise UnknownJob.among(name, names)
        return found


def _unknown(job_id: UUID) -> UnknownJob:
    return UnknownJob.gone(job_id)


def _counted(counted: Stats) -> dict[str, Any]:
    states = {state: getattr(counted, state) for state in listing.STATES}
    return {
        "pending": counted.scheduled + counted.ready + counted.waiting + counted.paused,
        "processing": counted.running,
        "completed": counted.completed,
        "failed": counted.failed,
        "states": states,
        "queues": msgspec.Raw(counted.queues.encode()),
    }
