"""Streams over HTTP: of one job, of many topics, of the newest job of a name; and the tokens that open them to browsers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pillars.durations import duration
from pillars.errors import ConfigurationError, UnknownJob
from pillars.jobs.stream_tokens import Grant, checked_topics, token_of
from pillars.service.process import Process
from pillars.store import names
from pillars.store.naming import defined_names
from pillars.store.streams import Topics
from pillars.web import bodies
from pillars.web.api import paths
from pillars.web.gate import GRANT
from pillars.web.problems import answer, problem
from pillars.web.streams import asking
from pillars.web.streams.response import HEADERS, EventStream
from pillars.web.trail import done, note

MOST = 5_000  # streams of a process: beyond, what it costs to write to all of them is felt by each
AGAIN = {"retry-after": "5"}
NEWEST = 1_000  # events of a job with which its stream begins
OTHERS = "the stream token opens other streams than this one"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request wants to follow, and what its token must open."""

    topics: Topics
    granted: Topics


Read: TypeAlias = Callable[[Request], Awaitable[Wanted]]


class Streaming:
    """Answers with a stream of the topics that `read` finds in a request, of each job from its `newest` events on, or the usual thousand."""

    def __init__(
        self,
        process: Process,
        read: Read,
        query: type[msgspec.Struct],
        *,
        newest: int | None = None,
    ) -> None:
        self._process = process
        self._streams = process.database.streams
        self._read = read
        self._query = query
        self._newest = newest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        asking.require_known(request, self._query)
        wanted = await self._read(request)
        if len(self._streams) >= MOST:
            raise HTTPException(503, f"this process has {MOST:,} streams open; try again", AGAIN)
        if self._process.stopping.is_set():
            raise HTTPException(503, "this process stops; try again", AGAIN)
        place = asking.place(request)
        newest = NEWEST if self._newest is None else self._newest
        async with self._streams.stream(wanted.topics, after=place.after, newest=newest) as stream:
            if place.heard_end and stream.reset is None and await stream.is_exhausted():
                await Response(status_code=204, headers=_as_text(HEADERS[1:]))(scope, receive, send)
                return
            told = EventStream(
                stream,
                reset=place.reset,
                grant=scope.get(GRANT),
                stopping=self._process.stopping.is_set,
            )
            await told(scope, receive, send)


class Streams:
    """Finds what a request wants to follow, and makes tokens."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._pool = process.database.pool

    async def job(self, request: Request) -> Wanted:
        return _granted(request, Topics.of(jobs=[paths.job_id(request)]))

    async def many(self, request: Request) -> Wanted:
        return _granted(request, asking.topics(request))

    async def task(self, request: Request) -> Wanted:
        """The newest unfinished job of a name."""
        name = paths.name(request, UnknownJob)
        granted = _granted(request, Topics.of(names=[name])).granted
        found = await names.newest(self._pool, name)
        if found is None:
            defined = await defined_names(self._pool)
            if name in defined:
                raise UnknownJob(f'no job named "{name}" is unfinished; enqueue one')
            raise UnknownJob.among(name, defined)
        return Wanted(Topics.of(jobs=[found.job_id]), granted)

    async def grant(self, request: Request) -> Response:
        """201 with a token that opens these topics for a while."""
        body = await bodies.read_small(request, bodies.Grants)
        topics = checked_topics(jobs=body.job, names=body.name, tags=body.tag)
        expires_in = duration(body.expires_in, what="expires_in")
        try:
            token, grant = token_of(self._process.settings, topics, expires_in)
        except ConfigurationError as error:
            return problem(409, str(error))
        note(request, job=body.job or None, name=body.name or None, tag=body.tag or None)
        note(request, expires_at=grant.expires_at.isoformat(timespec="seconds"))
        done(request)
        return answer({"token": token, "expires_at": grant.expires_at}, status=201)


def _granted(request: Request, topics: Topics) -> Wanted:
    """The topics, where a token that let the request in opens them all."""
    grant: Grant | None = request.scope.get(GRANT)
    if grant is not None and not grant.topics.cover(topics):
        raise HTTPException(403, OTHERS)
    return Wanted(topics, topics)


def _as_text(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}
