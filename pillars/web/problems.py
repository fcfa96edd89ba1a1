"""Answers in JSON: what was asked for, or why not (RFC 9457)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pillars import log
from pillars.codec import clean_text, to_json
from pillars.errors import DatabaseTrouble, Trouble, Unknown, UsageError
from pillars.settings.redaction import masked
from pillars.store import listing
from pillars.store.rows import JobRow

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
LONGEST_DETAIL = 1000  # characters
HOLDER_ENDED = "the job that held the unique key has ended just now; run it again"
BRIEF = {Trouble.UNREACHABLE, Trouble.LOST, Trouble.CONFLICT, Trouble.READ_ONLY, Trouble.BUSY}
UNCERTAIN = "the database did not answer in time; whether anything was changed is not known"


@dataclass(frozen=True, slots=True)
class Said:
    """Why a request was refused or failed."""

    status: int
    detail: str
    headers: Mapping[str, str] | None = None


Show: TypeAlias = Callable[[Request, Said], Response]
Handler: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]


def answer(
    content: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(to_json(content), status, {**HEADERS, **(headers or {})}, "application/json")


def enqueued(job: JobRow, *, created: bool, location: str) -> Response:
    """201 with a new job, 200 with the unfinished one that holds its unique key."""
    status = 201 if created else 200
    return answer(listing.as_json(job), status=status, headers={"location": location})


def problem(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: str
) -> Response:
    """A refusal or a failure; `members` are further facts for programs, such as the job's `state`."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": clean_text(detail, limit=LONGEST_DETAIL, hide=masked),
        **members,
    }
    return Response(
        to_json(content), status, {**HEADERS, **(headers or {})}, "application/problem+json"
    )


def show(_request: Request, said: Said) -> Response:
    """Why a request came to nothing, as JSON."""
    return problem(said.status, said.detail, headers=said.headers)


def handlers(shown: Show) -> dict[Any, Any]:
    """What an application does with what its routes raise: every error in words, `shown` in the form that its reader wants."""

    def handler(words: Callable[[Request, Any], Said]) -> Handler:
        async def handle(request: Request, error: Exception) -> Response:
            return shown(request, words(request, error))

        return handle

    return {
        HTTPException: handler(of_http),
        UsageError: handler(of_usage),
        DatabaseTrouble: handler(of_database),
        Exception: handler(of_failure),
    }


def of_http(_request: Request, error: HTTPException) -> Said:
    return Said(error.status_code, error.detail, error.headers)


def of_usage(_request: Request, error: UsageError) -> Said:
    return Said(404 if isinstance(error, Unknown) else 400, str(error))


def of_database(request: Request, error: DatabaseTrouble) -> Said:
    """What Postgres says goes to the log: it may name hosts and roles."""
    if error.kind is Trouble.REFUSED:
        return Said(400, str(error))
    status = 503 if error.kind in BRIEF else 500
    log.get("pillars.web").warning(
        log.Event.REQUEST_SERVED,
        method=request.method,
        path=request.scope["path"],
        status=status,
        trouble=error.kind.value,
        error=str(error),
    )
    if status == 500:
        return Said(500, "the database refused this statement; the log says why")
    detail = (
        UNCERTAIN if error.may_have_happened else "the database cannot serve this now; try again"
    )
    return Said(503, detail, {"retry-after": "1"})


def of_failure(_request: Request, _error: Exception) -> Said:
    return Said(500, "this is a bug here, or in the database's schema; the log says more")
