"""The page of queues."""

from starlette.requests import Request
from starlette.responses import Response

from pillars.errors import UnknownQueue
from pillars.store import oversight, queues
from pillars.web.api import paths
from pillars.web.dashboard.frame import Frame
from pillars.web.dashboard.readings import QueueSeen, Readings


class QueuesPage:
    """Lists queues, pauses and resumes them."""

    def __init__(self, frame: Frame, readings: Readings) -> None:
        self._frame = frame
        self._readings = readings

    async def show(self, request: Request) -> Response:
        counted = await self._readings.queues()
        processes = await self._readings.processes()
        return self._frame.show(
            request,
            "queues.html",
            place="queues",
            title="Queues",
            now=await self._readings.now(),
            queues=[
                QueueSeen(one, oversight.serving(one.name, processes))
                for one in counted.figures or ()
            ],
            counted=counted,
        )

    async def pause(self, request: Request) -> Response:
        await queues.pause(self._readings.pool, paths.name(request, UnknownQueue))
        return self._done("queue-paused")

    async def resume(self, request: Request) -> Response:
        await queues.resume(self._readings.pool, paths.name(request, UnknownQueue))
        return self._done("queue-resumed")

    def _done(self, said: str) -> Response:
        self._readings.changed()
        return self._frame.go(self._frame.link("queues", said=said))
