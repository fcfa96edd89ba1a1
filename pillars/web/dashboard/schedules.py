"""The page of schedules, and who ticks them."""

from starlette.requests import Request
from starlette.responses import Response

from pillars.errors import UnknownSchedule
from pillars.schedules.rules import explained
from pillars.store import schedules
from pillars.store.ids import new_id
from pillars.web.api import paths
from pillars.web.dashboard.frame import Frame
from pillars.web.dashboard.readings import Readings
from pillars.web.problems import HOLDER_ENDED, Said
from pillars.web.trail import note


class SchedulesPage:
    """Lists schedules, runs them by hand, pauses and resumes them."""

    def __init__(self, frame: Frame, readings: Readings) -> None:
        self._frame = frame
        self._readings = readings
        self._pool = readings.pool

    async def show(self, request: Request) -> Response:
        found = await schedules.listed(self._pool)
        crons = [one for one in await self._readings.processes() if one.role == "cron"]
        return self._frame.show(
            request,
            "schedules.html",
            place="schedules",
            title="Schedules",
            now=await self._readings.now(),
            schedules=found,
            explained=explained,
            leader=next((one for one in crons if one.alive and one.leads), None),
            is_manned=any(one.alive for one in crons),
        )

    async def run(self, request: Request) -> Response:
        """Make the job now, and no tick; on to it, or to the unfinished one that holds its unique key."""
        name = paths.name(request, UnknownSchedule)
        made = await schedules.made_now(self._pool, name, new_id())
        self._readings.changed()
        if made is None:
            return self._frame.refused(request, Said(409, HOLDER_ENDED))
        note(request, job_id=made.job.job_id, created=made.created)
        said = "schedule-run" if made.created else "schedule-held"
        return self._frame.go(self._frame.link("jobs", made.job.job_id, said=said))

    async def pause(self, request: Request) -> Response:
        await schedules.pause(self._pool, paths.name(request, UnknownSchedule))
        return self._frame.go(self._frame.link("schedules", said="schedule-paused"))

    async def resume(self, request: Request) -> Response:
        await schedules.resume(self._pool, paths.name(request, UnknownSchedule))
        return self._frame.go(self._frame.link("schedules", said="schedule-resumed"))
