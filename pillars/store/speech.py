"""What a job has said, as people are shown it: how far it is, a few facts, the last lines of its log; without secrets."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pillars.codec import from_json, to_json
from pillars.settings.redaction import redacted
from pillars.store import job_events
from pillars.store.results import not_ended_before
from pillars.store.rows import JobEvent, Newest
from pillars.store.session import Executor


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is; without a total nobody knows how much is left."""

    done: int | float
    total: int | float | None
    message: str | None
    at: datetime

    @property
    def share(self) -> float | None:
        """From 0 to 1; an estimate that was too low is 1."""
        return None if not self.total else min(self.done / self.total, 1.0)

    @property
    def counted(self) -> str:
        """As "42 % (42 of 100)", or "42" where nobody knows of how many."""
        done = amount(self.done)
        if self.total is None:
            return done
        share = 1.0 if self.share is None else self.share
        return f"{int(share * 100)} % ({done} of {amount(self.total)})"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of its log, or of a stream of a child's, which then has no level."""

    at: datetime
    attempt: int
    level: str | None
    text: str
    fields: tuple[tuple[str, str], ...]
    """Values as they are read: texts as they are, all else as JSON."""


@dataclass(frozen=True, slots=True)
class Speech:
    """All of it; nothing where it has said nothing, or that is not kept any more."""

    progress: Progress | None
    metadata: dict[str, Any]
    lines: tuple[Line, ...]
    """The oldest first."""


async def speech(executor: Executor, job_id: UUID, *, lines: int) -> Speech:
    """What a job has said, and the last lines of it."""
    since = not_ended_before(job_id)
    newest = {one.kind: one for one in await job_events.newest(executor, [job_id], since)}
    told = await job_events.lines(executor, job_id, since, lines)
    progress, metadata = newest.get("progress"), newest.get("metadata")
    return Speech(
        None if progress is None else _progress(progress),
        {} if metadata is None else _read(metadata.body),
        tuple(_line(one) for one in reversed(told)),
    )


def amount(number: float) -> str:
    """With thousands separated, and no more of a fraction than says something."""
    return f"{number:,}" if isinstance(number, int) else f"{number:,.6g}"


def as_text(value: object) -> str:
    """A text as it is, all else as JSON."""
    return value if isinstance(value, str) else to_json(value).decode()


def _read(body: str) -> dict[str, Any]:
    """A body; a hand may have put anything there."""
    read = from_json(redacted(body))
    return read if isinstance(read, dict) else {"line": as_text(read)}


def _progress(newest: Newest) -> Progress | None:
    body = _read(newest.body)
    done, total, message = body.get("done"), body.get("total"), body.get("message")
    if not isinstance(done, int | float) or not isinstance(total, int | float | None):
        return None
    return Progress(done, total, None if message is None else as_text(message), newest.created_at)


def _line(event: JobEvent) -> Line:
    body, at, attempt = _read(event.body), event.created_at, event.attempt
    if "line" in body:
        return Line(at, attempt, None, as_text(body["line"]), ())
    fields = body.get("fields")
    shown = (
        tuple((name, as_text(value)) for name, value in fields.items())
        if isinstance(fields, dict)
        else ()
    )
    level = body.get("level")
    return Line(
        at, attempt, None if level is None else as_text(level), as_text(body.get("event")), shown
    )
