"""Names of jobs: listed, paused and resumed."""

from starlette.requests import Request
from starlette.responses import Response

from pillars.errors import UnknownJob
from pillars.store import listing, names
from pillars.store.database import Database
from pillars.web.api import paths
from pillars.web.problems import answer
from pillars.web.trail import done, who


class Names:
    """Reads and changes names of jobs for requests that were let in."""

    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    async def list(self, _request: Request) -> Response:
        found = await names.listed(self._pool)
        return answer({"items": [listing.plain(one) for one in found]})

    async def pause(self, request: Request) -> Response:
        name = paths.name(request, UnknownJob)
        await names.pause(self._pool, name, by=who(request))
        done(request)
        return answer(listing.plain(await names.find(self._pool, name)))

    async def resume(self, request: Request) -> Response:
        name = paths.name(request, UnknownJob)
        await names.resume(self._pool, name)
        done(request)
        return answer(listing.plain(await names.find(self._pool, name)))
