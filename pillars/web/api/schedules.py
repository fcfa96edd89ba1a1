"""Schedules: listed, run by hand, paused and resumed."""

from starlette.requests import Request
from starlette.responses import Response

from pillars.errors import UnknownSchedule
from pillars.store import listing, schedules
from pillars.store.database import Database
from pillars.store.ids import new_id
from pillars.web.api import paths
from pillars.web.problems import HOLDER_ENDED, answer, enqueued, problem
from pillars.web.trail import done, note


class Schedules:
    """Reads and changes schedules for requests that were let in. `jobs` is the path of the jobs."""

    def __init__(self, database: Database, *, jobs: str) -> None:
        self._pool = database.pool
        self._jobs = jobs

    async def list(self, _request: Request) -> Response:
        found = await schedules.listed(self._pool)
        return answer({"items": [listing.plain(schedule) for schedule in found]})

    async def run(self, request: Request) -> Response:
        """Make the job now, and no tick: 201 with it, or 200 with the unfinished one that holds its unique key."""
        name = paths.name(request, UnknownSchedule)
        made = await schedules.made_now(self._pool, name, new_id())
        if made is None:
            return problem(409, HOLDER_ENDED)
        note(request, job_id=made.job.job_id, created=made.created)
        return enqueued(made.job, created=made.created, location=f"{self._jobs}/{made.job.job_id}")

    async def pause(self, request: Request) -> Response:
        name = paths.name(request, UnknownSchedule)
        await schedules.pause(self._pool, name)
        done(request)
        return await self._shown(name)

    async def resume(self, request: Request) -> Response:
        name = paths.name(request, UnknownSchedule)
        await schedules.resume(self._pool, name)
        done(request)
        return await self._shown(name)

    async def _shown(self, name: str) -> Response:
        return answer(listing.plain(await schedules.find(self._pool, name)))
