"""The bodies of an enqueue and of a message: JSON read strictly, so that what is stored is what was meant."""

from datetime import datetime
from typing import Annotated, Any, TypeVar

import anyio
import msgspec
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request

from pillars.codec import MAX_PAYLOAD, checks
from pillars.codec.strict import strictly
from pillars.errors import PayloadError, UsageError
from pillars.jobs import options
from pillars.jobs.saying import MOST_OUTPUT
from pillars.store.ids import new_id
from pillars.store.rows import Defaults, NewJob
from pillars.web.shapes import NAMED

PRIORITIES = {"minimum": options.LOWEST, "maximum": options.HIGHEST}
ATTEMPTS = {"minimum": 1, "maximum": options.MOST_ATTEMPTS}
TEXT = {"minLength": 1, "maxLength": options.LONGEST_TEXT}  # bytes, which a schema cannot say
TOO_LARGE = f"expected at most {MAX_PAYLOAD:,} bytes; store the bulk elsewhere and pass a reference"
SMALL = 64 * 1024  # bytes
PATIENCE = 30.0  # seconds for a body of 5 MB; slower, and it only holds a connection

Shape = TypeVar("Shape", bound=msgspec.Struct)


class EnqueueNamed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The parameters of `pillars.enqueue` but the name, which is in the path; what is null or not said comes from its definition."""

    payload: Annotated[
        msgspec.Raw,
        Meta(description="Its arguments by name.", extra_json_schema={"type": "object"}),
    ] = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))
    queue: Annotated[str, Meta(extra_json_schema=NAMED)] | None = None
    priority: (
        Annotated[int, Meta(description="Higher runs first.", extra_json_schema=PRIORITIES)] | None
    ) = None
    run_at: (
        Annotated[datetime, Meta(description="Not before; from 2000 to 2200, with a time zone.")]
        | None
    ) = None
    max_attempts: (
        Annotated[int, Meta(description="Tries in all.", extra_json_schema=ATTEMPTS)] | None
    ) = None
    unique_key: (
        Annotated[
            str, Meta(description="At most one unfinished job holds it.", extra_json_schema=TEXT)
        ]
        | None
    ) = None
    context: Annotated[str, Meta(description="Why, for people.", extra_json_schema=TEXT)] | None = (
        None
    )


class Enqueue(EnqueueNamed, forbid_unknown_fields=True, kw_only=True):
    """The parameters of `pillars.enqueue`; what is null or not said comes from the job's definition."""

    name: Annotated[str, Meta(description="Which definition.", extra_json_schema=NAMED)]


class Grants(msgspec.Struct, forbid_unknown_fields=True):
    """What a stream token is to open, a hundred topics at most, and for how long."""

    job: Annotated[list[str], Meta(description="Jobs by their ids.")] = []
    name: Annotated[
        list[Annotated[str, Meta(extra_json_schema=NAMED)]],
        Meta(description="All jobs of these definitions."),
    ] = []
    tag: Annotated[list[str], Meta(description="All jobs that bear one of these tags.")] = []
    expires_in: Annotated[
        str | float, Meta(description="A duration such as 90s, 15m, 1d, or seconds; 30d at most.")
    ] = "1h"


class Send(msgspec.Struct, forbid_unknown_fields=True):
    """What is said to a job."""

    data: Annotated[
        msgspec.Raw, Meta(description="Any JSON, of at most 64 KiB.", extra_json_schema={})
    ]


async def read(request: Request) -> Enqueue:
    """Read and check an enqueue's body; raises 408, 413 or 415 as `HTTPException`, else `UsageError`."""
    return parse(await _of_json(request, most=MAX_PAYLOAD, said=TOO_LARGE))


async def read_named(request: Request, name: str) -> Enqueue | None:
    """As `read`, of a job whose name is in the path; None where no body was sent, or one that says nothing: `{}`."""
    content = await received(request, most=MAX_PAYLOAD, said=TOO_LARGE)
    if not content:
        return None
    _expect_json(request)
    body, whole = _decoded(content, EnqueueNamed)
    if not whole:
        return None
    named = Enqueue(name=name, **{field: getattr(body, field) for field in body.__struct_fields__})
    _check(named, whole)
    return named


async def read_small(request: Request, shape: type[Shape]) -> Shape:
    """Read a body of a few KB; raises as `read`."""
    content = await _of_json(request, most=SMALL, said=f"expected at most {SMALL:,} bytes")
    return _decoded(content, shape)[0]


async def read_message(request: Request) -> str:
    """Read and check what is said to a job: its JSON. Raises as `read`."""
    said = f"expected at most {MOST_OUTPUT:,} bytes; store the bulk elsewhere and pass a reference"
    body, _ = _decoded(await _of_json(request, most=MOST_OUTPUT, said=said), Send)
    return bytes(body.data).decode()


async def _of_json(request: Request, *, most: int, said: str) -> bytes:
    _expect_json(request)
    return await received(request, most=most, said=said)


def _expect_json(request: Request) -> None:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if (
        media != "application/json"
        or request.headers.get("content-encoding", "identity").lower() != "identity"
    ):
        raise HTTPException(
            415, "expected the header Content-Type: application/json, and no Content-Encoding"
        )


async def received(request: Request, *, most: int, said: str) -> bytes:
    """A body of at most so many bytes; raises 408, or 413 with what is `said`."""
    try:
        with anyio.fail_after(PATIENCE):
            return await _content(request, most, said)
    except TimeoutError:
        raise HTTPException(
            408, f"the body did not arrive within {PATIENCE:g} s", {"connection": "close"}
        ) from None


def parse(content: bytes) -> Enqueue:
    """The checked parameters; raises `UsageError`."""
    body, whole = _decoded(content, Enqueue)
    _check(body, whole)
    return body


def _decoded(content: bytes, shape: type[Shape]) -> tuple[Shape, dict[str, Any]]:
    """A body in its shape, and whole; raises `UsageError`.

    Read twice: msgspec gives types and the payload's very text, the standard library tells of duplicate keys and of numbers
    that are none.
    """
    try:
        text = content.decode()
        whole = strictly(text)
        misfit = checks.anything(
            whole, 0
        )  # so the payload, an object of arguments, is the first level
        if misfit is not None:
            raise PayloadError(f"{misfit.path.removeprefix('.') or 'the body'}: {misfit.reason}")
        body = msgspec.json.decode(text, type=shape)
    except UnicodeDecodeError:
        raise UsageError("the body: expected JSON in UTF-8") from None
    except RecursionError:
        raise UsageError(f"the body is nested over {checks.MAX_DEPTH} deep") from None
    except (ValueError, msgspec.MsgspecError) as error:
        raise UsageError(f"the body: {ascii(str(error)[:200])[1:-1]}") from None
    return body, whole


def new_job(body: Enqueue, defaults: Defaults | None) -> NewJob:
    """The row to store; what was not said comes from the name's definition."""
    known = defaults or Defaults("default", 0, None, [])
    return NewJob(
        job_id=new_id(),
        name=body.name,
        queue=body.queue or known.queue,
        payload=bytes(body.payload).decode(),
        context=body.context,
        priority=known.priority if body.priority is None else body.priority,
        run_at=body.run_at,
        run_in=None,
        expires_in=None,
        max_attempts=body.max_attempts or known.max_attempts,
        timeout=None,
        unique_key=body.unique_key,
        tags=known.tags or None,
        trace=None,
    )


def _check(body: Enqueue, whole: dict[str, Any]) -> None:
    options.checked_name(body.name, "name")
    if not isinstance(whole.get("payload", {}), dict):
        raise PayloadError("payload: expected an object of parameter names")
    if body.queue is not None:
        options.checked_name(body.queue, "queue")
    if body.priority is not None:
        options.checked_priority(body.priority)
    if body.max_attempts is not None:
        options.checked_attempts(body.max_attempts)
    if body.run_at is not None:
        options.checked_time(body.run_at)
    if body.unique_key is not None:
        options.checked_text(body.unique_key, "unique_key")
    if body.context is not None:
        options.checked_text(body.context, "context")


async def _content(request: Request, most: int, said: str) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise HTTPException(413, said, {"connection": "close"})
    return bytes(content)
