"""Queues: listed, paused and resumed."""

from starlette.requests import Request
from starlette.responses import Response

from pillars.errors import UnknownQueue
from pillars.store import listing, queues
from pillars.store.database import Database
from pillars.web.api import paths
from pillars.web.problems import answer
from pillars.web.trail import done


class Queues:
    """Reads and changes queues for requests that were let in."""

    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    async def list(self, _request: Request) -> Response:
        found = await queues.listed(self._pool)
        return answer({"items": [listing.plain(queue) for queue in found]})

    async def pause(self, request: Request) -> Response:
        name = paths.name(request, UnknownQueue)
        await queues.pause(self._pool, name)
        done(request)
        return answer(listing.plain(await queues.find(self._pool, name)))

    async def resume(self, request: Request) -> Response:
        name = paths.name(request, UnknownQueue)
        await queues.resume(self._pool, name)
        done(request)
        return answer(listing.plain(await queues.find(self._pool, name)))
