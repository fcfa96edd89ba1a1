"""What the query of a listing asks for."""

from starlette.datastructures import QueryParams

from pillars.errors import UsageError
from pillars.jobs import options
from pillars.store.cursors import opened
from pillars.store.listing import STATES, Wanted

FILTERS = ("state", "name", "queue", "tag", "limit", "cursor")
DEFAULT_LIMIT, MOST = 50, 200


def wanted(query: QueryParams) -> Wanted:
    """Read a listing's filters; raises `UsageError` for one that is unknown, given twice or not of its form."""
    given = dict(query)
    for name in given:
        if name not in FILTERS:
            raise UsageError(f"query: expected only {', '.join(FILTERS)}")
        if len(query.getlist(name)) > 1:
            raise UsageError(f"{name}: expected once, got {len(query.getlist(name))} times")
    state, cursor = given.get("state"), given.get("cursor")
    if state is not None and state not in STATES:
        raise UsageError(f"state: expected one of {', '.join(STATES)}")
    return Wanted(
        state=state,
        name=options.checked_name(given["name"], "name") if "name" in given else None,
        queue=options.checked_name(given["queue"], "queue") if "queue" in given else None,
        tag=options.checked_text(given["tag"], "tag", longest=200) if "tag" in given else None,
        limit=_limit(given.get("limit")),
        older_than=None if cursor is None else opened(cursor),
    )


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise UsageError(f"limit: expected a whole number from 1 to {MOST}")
    return options.checked_whole(int(text), "limit", 1, MOST)
