"""The gate in front of our routes. What is open is listed; so a route that is added is closed."""

from collections.abc import Collection
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pillars.errors import DatabaseTrouble
from pillars.jobs.stream_tokens import PREFIX, Grant, opened
from pillars.service.access import (
    ANOTHER_SITE,
    LOOPBACK,
    READING,
    Caller,
    Refusal,
    caller,
    cross_site,
    given,
    is_cross_site,
    only_reads,
    refusal,
)
from pillars.settings import Settings
from pillars.web.dashboard.entrance import Entrance
from pillars.web.problems import Said, Show, of_database, of_http

GRANT = "pillars.grant"
"""Of a request's scope: what the stream token opens that let it in."""
NOT_OURS = "the stream token was not signed by the PILLARS_TOKEN of this process: ask for another"
OVER = "the stream token has expired: ask for another"
STREAMS_ALONE = "a stream token opens streams alone: this needs PILLARS_TOKEN or PILLARS_VIEW_TOKEN"


class Gate:
    """Lets requests through to `app` that may read or operate, and says who asks; answers 401 or 403, put into words by `show`, otherwise.

    The routes `is_open` need nothing; those that are `ways_in` are for everybody, too, but for pages of other sites. On the paths
    that the `entrance` covers a login counts as well. Those `for_operators` are not even looked at by who may only read.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: Settings,
        is_open: Collection[Route],
        ways_in: Collection[Route],
        for_operators: Collection[Route],
        streams: Collection[Route],
        entrance: Entrance,
        show: Show,
    ) -> None:
        self._app = app
        self._settings = settings
        self._is_open = is_open
        self._ways_in = ways_in
        self._for_operators = for_operators
        self._streams = streams
        self._entrance = entrance
        self._show = show

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_one(scope, self._is_open):
            answer = None
        else:
            answer = await self._refused(Request(scope))
        await (answer or self._app)(scope, receive, send)

    async def _refused(self, request: Request) -> Response | None:
        try:
            refused = await self._refusal(request)
        except DatabaseTrouble as trouble:
            return self._show(request, of_database(request, trouble))
        except HTTPException as error:
            return self._show(request, of_http(request, error))
        if isinstance(refused, Refusal):
            said = Said(refused.status, refused.detail, refused.headers)
            return self._show(request, said)
        return refused

    async def _refusal(self, request: Request) -> Refusal | Response | None:
        scope = request.scope
        asking = caller(self._settings, scope, bound=self._settings.host)
        if not self._entrance.covers(scope["path"]):
            scope["caller"] = asking
            if asking is None and (token := stream_token(scope)) and self._settings.token:
                return self._of_stream_token(scope, opened(self._settings.token, token))
            return self._of_another_site(scope, asking) or refusal(self._settings, scope, asking)
        scope["caller"] = asking = await self._entrance.caller(request, asking)
        if _is_one(scope, self._ways_in):
            return cross_site(scope)
        if asking is None:
            return await self._entrance.turned_away(request)
        if _is_one(scope, self._for_operators) and not asking.operates:
            return only_reads(asking)
        return self._of_another_site(scope, asking) or refusal(self._settings, scope, asking)

    def _of_another_site(self, scope: Scope, asking: Caller | None) -> Refusal | None:
        """Why a page of another site may not hold streams of this machine open, which it could not even read."""
        if asking is LOOPBACK and is_cross_site(scope["headers"]) and self._is_stream(scope):
            return Refusal(403, ANOTHER_SITE)
        return None

    def _of_stream_token(self, scope: Scope, grant: Grant | None) -> Refusal | None:
        """Why a request that bears a stream token may not pass; of a stream, its handler sees to which."""
        if grant is None:
            return Refusal(401, NOT_OURS)
        if grant.expired:
            return Refusal(401, OVER)
        if not self._is_stream(scope) or scope["method"] not in READING:
            return Refusal(403, STREAMS_ALONE)
        scope[GRANT] = grant
        scope["caller"] = Caller("stream token", operates=False)
        return None

    def _is_stream(self, scope: Scope) -> bool:
        return _is_one(scope, self._streams)


def stream_token(scope: Scope) -> str | None:
    """What may be a stream token, as a bearer or, since a browser's EventSource sends no headers, in the query."""
    for said in given(scope["headers"], "authorization"):
        scheme, _, value = said.partition(" ")
        if scheme.lower() == "bearer" and value.strip().startswith(PREFIX):
            return value.strip()
    words = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
    return words[0] if len(words) == 1 and words[0].startswith(PREFIX) else None


def _is_one(scope: Scope, routes: Collection[Route]) -> bool:
    return any(route.matches(scope)[0] is not Match.NONE for route in routes)
