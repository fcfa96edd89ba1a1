"""What the query of a listing asks for."""

from collections.abc import Collection
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.datastructures import QueryParams

from pillars.errors import UsageError
from pillars.jobs import options
from pillars.store.cursors import opened
from pillars.store.listing import STATES, Wanted
from pillars.web.shapes import NAMED, State

DEFAULT_LIMIT, MOST = 50, 200
TAG = {"minLength": 1, "maxLength": options.LONGEST_TAG}


class Filters(msgspec.Struct):
    """What a listing of jobs may be asked."""

    state: Annotated[State, Meta(description="Only jobs in this state.")] | UnsetType = UNSET
    name: (
        Annotated[str, Meta(description="Only jobs of this definition.", extra_json_schema=NAMED)]
        | UnsetType
    ) = UNSET
    queue: (
        Annotated[str, Meta(description="Only jobs in this queue.", extra_json_schema=NAMED)]
        | UnsetType
    ) = UNSET
    tag: (
        Annotated[str, Meta(description="Only jobs that bear this tag.", extra_json_schema=TAG)]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=MOST, description="Jobs on a page.")] = DEFAULT_LIMIT
    cursor: Annotated[str, Meta(description="The `next` of the page before.")] | UnsetType = UNSET


class Strictness(msgspec.Struct):
    """How health may be asked."""

    strict: (
        Annotated[Literal["1", "true", "yes"], Meta(description="Answer 503 where it is degraded.")]
        | UnsetType
    ) = UNSET


FILTERS = Filters.__struct_fields__


def wanted(query: QueryParams) -> Wanted:
    """Read a listing's filters; raises `UsageError` for one that is unknown, given twice or not of its form."""
    given = once(query)
    state, cursor = given.get("state"), given.get("cursor")
    if state is not None and state not in STATES:
        raise UsageError(f"state: expected one of {', '.join(STATES)}, got {options.shown(state)}")
    return Wanted(
        state=state,
        name=options.checked_name(given["name"], "name") if "name" in given else None,
        queue=options.checked_name(given["queue"], "queue") if "queue" in given else None,
        tag=options.checked_text(given["tag"], "tag", longest=options.LONGEST_TAG)
        if "tag" in given
        else None,
        limit=_limit(given.get("limit")),
        older_than=None if cursor is None else opened(cursor),
    )


def once(query: QueryParams, *, besides: Collection[str] = ()) -> dict[str, str]:
    """The filters that were said; raises `UsageError` at the first that is unknown, nor one of `besides`, or given twice."""
    given: dict[str, str] = {}
    for name, text in query.multi_items():
        if name not in FILTERS and name not in besides:
            raise UsageError(
                f"query: expected only {', '.join(FILTERS)}, got {options.shown(name)}"
            )
        if name in given:
            raise UsageError(f"{name}: expected once, got {len(query.getlist(name))} times")
        given[name] = text
    return given


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise UsageError(
            f"limit: expected a whole number from 1 to {MOST}, got {options.shown(text)}"
        )
    return options.checked_whole(int(text), "limit", 1, MOST)
