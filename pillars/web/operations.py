"""What a route is: served by the application, described by the document, both from one value."""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

JSON = "application/json"


class Anything(PathConvertor):
    """The rest of a path, as `path`; line ends too, with which the path would not be ours."""

    regex = "(?s:.*)"


register_url_convertor("anything", Anything())


@dataclass(frozen=True, slots=True)
class Answer:
    """What a status means, and the type of what comes with it, if anything does."""

    meaning: str
    shape: Any = None
    media: str = JSON
    located: bool = False
    """Whether the header Location names the job."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of a path."""

    name: str
    """As generated clients call it."""
    summary: str
    handler: Handler | ASGIApp
    answers: Mapping[int, Answer]
    problems: tuple[int, ...] = ()
    """Beside those that any operation may have."""
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    needs_body: bool = True
    action: str | None = None
    """What the audit trail calls it; None of what changes nothing, or writes its own row."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A path and what may be done there, by method."""

    path: str
    tag: str
    operations: Mapping[str, Operation]
    is_open: bool = False
    """Whether it needs no token."""
    is_way_in: bool = False
    """Whether it is for those who have yet to say who they are."""
    is_stream: bool = False
    """Whether a stream token may open it, which the handler looks into."""
    is_for_operators: bool = False
    """Whether those who only read may not even look."""

    @property
    def template(self) -> str:
        """The path as RFC 6570 writes it."""
        return re.sub(r":\w+\}", "}", self.path)

    def route(self, prefix: str) -> Route:
        """One route for all methods, so that a wrong one is told all the right ones."""
        methods = {name: _asgi(one.handler) for name, one in self.operations.items()}
        return Route(prefix + self.path, _Methods(methods), methods=list(methods), name=self.path)


@dataclass(frozen=True, slots=True)
class _Methods:
    apps: Mapping[str, ASGIApp]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        await self.apps[method](scope, receive, send)


def _asgi(handler: Any) -> ASGIApp:
    return request_response(handler) if inspect.iscoroutinefunction(handler) else handler
