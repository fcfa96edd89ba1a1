"""The page of names."""

from starlette.requests import Request
from starlette.responses import Response

from pillars.errors import UnknownJob
from pillars.store import names
from pillars.web.api import paths
from pillars.web.dashboard.frame import Frame
from pillars.web.dashboard.readings import Readings
from pillars.web.trail import who


class NamesPage:
    """Lists the names of jobs, pauses and resumes them."""

    def __init__(self, frame: Frame, readings: Readings) -> None:
        self._frame = frame
        self._readings = readings

    async def show(self, request: Request) -> Response:
        counted = await self._readings.names()
        return self._frame.show(
            request,
            "names.html",
            place="names",
            title="Names",
            now=await self._readings.now(),
            names=counted.figures or (),
            counted=counted,
        )

    async def pause(self, request: Request) -> Response:
        name = paths.name(request, UnknownJob)
        await names.pause(self._readings.pool, name, by=who(request))
        return self._done("name-paused")

    async def resume(self, request: Request) -> Response:
        await names.resume(self._readings.pool, paths.name(request, UnknownJob))
        return self._done("name-resumed")

    def _done(self, said: str) -> Response:
        self._readings.changed()
        return self._frame.go(self._frame.link("names", said=said))
