"""What stands in a path: an id or a name."""

import re
from uuid import UUID

from starlette.requests import Request

from pillars.errors import Unknown, UnknownJob
from pillars.jobs.options import NAME

ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def job_id(request: Request) -> UUID:
    """The id in the path, in its one usual form; what was got is not repeated: it may be anything."""
    return read_id(request.path_params["job_id"])


def read_id(text: str) -> UUID:
    """An id as it was sent, in a path or in a form."""
    if not ID.fullmatch(text):
        raise UnknownJob(
            "no job has this id: expected one such as 01890a5d-ac96-774b-bcce-b302099a8057"
        )
    return UUID(text)


def name(request: Request, unknown: type[Unknown]) -> str:
    """The name in the path; what can be nobody's name is not asked for, nor repeated."""
    text: str = request.path_params["name"]
    if not NAME.fullmatch(text):
        raise unknown(
            f"no {unknown.thing} has this name: expected 1 to 100 of A-Z a-z 0-9 . _ : / -"
        )
    return text
