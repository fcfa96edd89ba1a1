"""The processes of the application: listed."""

from starlette.requests import Request
from starlette.responses import Response

from pillars.store import listing, workers
from pillars.store.database import Database
from pillars.web.problems import answer


class Processes:
    """Reads the processes' rows for requests that were let in."""

    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    async def list(self, _request: Request) -> Response:
        found = await workers.listed(self._pool)
        return answer({"items": [listing.plain(process) for process in found]})
