"""What a request for a stream asks for."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request

from pillars.errors import UsageError
from pillars.jobs import options
from pillars.jobs.stream_tokens import checked_topics
from pillars.store.streams import Topics
from pillars.web.api.paths import read_id
from pillars.web.shapes import NAMED
from pillars.web.streams import frames

LARGEST = 2**63 - 1
NO_NUMBER = "Last-Event-ID is not the id of an event"
After = Annotated[
    int, Meta(ge=0, le=LARGEST, description="Begin after this event; the header Last-Event-ID goes before it.")
]  # fmt: skip
Token = Annotated[str, Meta(description="A stream token, where no header can be sent.")]


class OfOne(msgspec.Struct):
    """How the stream of one job may be asked for."""

    after: After | UnsetType = UNSET
    token: Token | UnsetType = UNSET


class OfMany(msgspec.Struct):
    """How a stream of many topics may be asked for: at least one, at most a hundred."""

    job: Annotated[list[str], Meta(description="The jobs of these ids.")] | UnsetType = UNSET
    name: (
        Annotated[list[Annotated[str, Meta(extra_json_schema=NAMED)]], Meta(description="All jobs of these definitions.")]
        | UnsetType
    ) = UNSET  # fmt: skip
    tag: (
        Annotated[list[str], Meta(description="All jobs that bear one of these tags.")] | UnsetType
    ) = UNSET
    after: After | UnsetType = UNSET
    token: Token | UnsetType = UNSET


def topics(request: Request) -> Topics:
    """The topics of the query; raises `UsageError`."""
    query = request.query_params
    return checked_topics(
        jobs=[read_id(one) for one in query.getlist("job")],
        names=query.getlist("name"),
        tags=query.getlist("tag"),
    )


def require_known(request: Request, query: type[msgspec.Struct]) -> None:
    """Raise `UsageError` for a word of the query that means nothing here."""
    known = query.__struct_fields__
    for one in request.query_params:
        if one not in known:
            raise UsageError(f"query: expected only {', '.join(known)}, got {options.shown(one)}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream is to begin."""

    after: int | None = None
    reset: str | None = None
    """Why not where the header says."""
    heard_end: bool = False
    """Whether the reader has been told that all its jobs have ended."""


def place(request: Request) -> Place:
    """Where to begin: as the header says, or else the query. The header is the newer: a browser keeps its address."""
    said = request.headers.get("last-event-id", "").strip()
    if said:
        number = _number(said.removesuffix(frames.END))
        if number is None:
            return Place(reset=NO_NUMBER)
        return Place(number, heard_end=said.endswith(frames.END))
    asked = request.query_params.get("after")
    if asked is None:
        return Place()
    if (number := _number(asked)) is None:
        raise UsageError(f"after: expected the id of an event, got {options.shown(asked)}")
    return Place(number)


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    number = int(text)
    return number if number <= LARGEST else None
