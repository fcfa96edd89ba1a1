"""What a job's code raised, judged: whether it is tried again and when, and what is told of it."""

import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal

from msgspec import Struct

from pillars.codec import clean_text
from pillars.durations import Duration, duration
from pillars.errors import Discard, LockLost, PillarsError, Retry, Snooze, UsageError
from pillars.settings.redaction import masked

LONGEST_TRACEBACK = 30  # frames
UNTELLABLE = "it raised an exception that nothing can be told of"

Function = Callable[..., Any]
Hide = Callable[[str], str]


class Raised(Struct, frozen=True, gc=False, omit_defaults=True):
    """What an attempt's code raised: what it wants, and what is told of it. Crosses from a child process as JSON."""

    error: str
    """One line."""
    traceback: str | None = None
    wish: Literal["retry", "snooze", "discard", "release"] = "retry"
    wait: float | None = None
    """Seconds; None where it asked for none."""


def judged(error: BaseException, function: Function, hide: Hide) -> Raised:
    """Never raises, whatever the exception does when it is looked at."""
    try:
        return _judged(error, function, hide)
    except BaseException:  # noqa: BLE001 - such as a hostile __class__
        return Raised(UNTELLABLE)


def _judged(error: BaseException, function: Function, hide: Hide) -> Raised:
    if isinstance(error, LockLost):
        return Raised("", wish="release")
    said = one_line(error, hide)
    told = None if isinstance(error, PillarsError) else frames_of(error, function, hide)
    match error:
        case Discard():
            return Raised(said, told, "discard")
        case Snooze():
            wait = _asked(error.for_)
            return Raised(said, told, "retry" if wait is None else "snooze", wait)
        case Retry():
            return Raised(said, told, wait=_asked(error.after))
    return Raised(said, told)


def _asked(wait: Duration | None) -> float | None:
    """The wait that a job asked for; None where it asked for none, or for nonsense: failing must not fail."""
    try:
        return None if wait is None else duration(wait).total_seconds()
    except UsageError:
        return None


def one_line(error: BaseException, hide: Hide = masked) -> str:
    """The error in one storable line, without secrets; an exception's own text may be anything."""
    try:
        said = str.__str__(str(error))  # which may give a subclass, hostile in its turn
    except BaseException:  # noqa: BLE001 - a hostile __str__ must not stop a job from failing
        said = ""
    named = (
        said
        if isinstance(error, PillarsError) and said
        else f"{type(error).__name__}: {said}".rstrip(": ")
    )
    return clean_text(named, limit=2_000, hide=hide)


def frames_of(error: BaseException, function: Function, hide: Hide) -> str:
    """The traceback from the job's own code on, without secrets; or the error's type where it cannot be told."""
    try:
        frames = from_the_job_on(function, error.__traceback__)
        told = "".join(
            traceback.format_exception(type(error), error, frames, limit=-LONGEST_TRACEBACK)
        )
    except BaseException:  # noqa: BLE001 - as above
        told = type(error).__name__
    return clean_text(told, hide=hide)


def from_the_job_on(function: Function, frames: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of the runtime that called the job's code; all of it where that was never reached."""
    code = getattr(function, "__code__", None)
    frame = frames
    while frame is not None and frame.tb_frame.f_code is not code:
        frame = frame.tb_next
    return frame or frames
