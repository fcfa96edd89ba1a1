"""Server-Sent Events, as the HTML standard has them: what a stream tells, in bytes. Secrets are hidden, as in every answer."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from pillars.codec import to_json
from pillars.settings.redaction import masked, redacted
from pillars.store.rows import JobEvent, Standing
from pillars.store.streams import Item, Said, Turned

RETRY = b"retry: 2000\n\n"  # milliseconds until a browser comes back
KEEP_ALIVE = b": keep-alive\n"
CLOSING = b": closing\n\n"
END = "-end"
"""Behind the id of the last frame: who comes back with it has heard how its jobs ended."""


def of(item: Item) -> bytes:
    """An item's frames, made once for all streams that have it."""
    if item.frame is None:
        item.frame = _said(item) if isinstance(item, Said) else _turned(item)
    return item.frame


def event(name: str, data: Mapping[str, Any] | msgspec.Raw) -> bytes:
    """A frame; JSON has no line ends of its own."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), to_json(data))


def end(event_id: int) -> bytes:
    """The last frame, once all jobs have ended and that was told."""
    return b"id: %d%s\nevent: end\ndata: {}\n\n" % (event_id, END.encode())


def place(event_id: int) -> bytes:
    """Tells a browser after which event to go on, and its page nothing."""
    return b"id: %d\n\n" % event_id


def state(standing: Standing, **more: str | None) -> bytes:
    said = {
        "job_id": standing.job_id,
        "name": standing.name,
        "state": standing.state,
        "attempt": standing.attempt,
    }
    return event("state", {**said, **more})


def cut(job_id: UUID) -> bytes:
    return event("cut", {"job_id": job_id, "left_out": True})


def _said(item: Said) -> bytes:
    one: JobEvent = item.event
    at = one.created_at.isoformat().replace("+00:00", "Z")
    return (
        f"id: {one.event_id}\nevent: {one.kind}\n"
        f'data: {{"job_id":"{one.job_id}","attempt":{one.attempt},"at":"{at}","body":{redacted(one.body)}}}\n\n'
    ).encode()


def _turned(item: Turned) -> bytes:
    """Of a job that has ended, its result first."""
    standing, final = item.standing, item.final
    if final is None:
        return state(standing)
    error = None if final.last_error is None else masked(final.last_error)
    told = state(standing, last_error=error)
    if final.result is None:
        return told
    result = msgspec.Raw(redacted(final.result).encode())
    return event("result", {"job_id": standing.job_id, "result": result}) + told
