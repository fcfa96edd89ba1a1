"""The page of processes: workers, and what runs beside them."""

from starlette.requests import Request
from starlette.responses import Response

from pillars.web.dashboard.frame import Frame
from pillars.web.dashboard.readings import Readings


class WorkersPage:
    """Lists the processes of the application."""

    def __init__(self, frame: Frame, readings: Readings) -> None:
        self._frame = frame
        self._readings = readings

    async def show(self, request: Request) -> Response:
        return self._frame.show(
            request,
            "workers.html",
            place="workers",
            title="Workers",
            now=await self._readings.now(),
            processes=await self._readings.processes(),
        )
