"""What an exception says of itself, in texts that can be stored: whatever it does when it is looked at."""

import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from pillars.codec import clean_text
from pillars.errors import PillarsError
from pillars.jobs.definition import Job
from pillars.settings.redaction import masked

LONGEST_TRACEBACK = 30  # frames


def line(error: BaseException, hide: Callable[[str], str] = masked) -> str:
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


def from_the_job_on(job: Job[..., Any], frames: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of the runtime that called the job's code; all of it where that was never reached."""
    code = getattr(job.function, "__code__", None)
    frame = frames
    while frame is not None and frame.tb_frame.f_code is not code:
        frame = frame.tb_next
    return frame or frames


def traceback_of(job: Job[..., Any], error: BaseException, hide: Callable[[str], str]) -> str:
    try:
        frames = from_the_job_on(job, error.__traceback__)
        told = "".join(
            traceback.format_exception(type(error), error, frames, limit=-LONGEST_TRACEBACK)
        )
    except BaseException:  # noqa: BLE001 - as above
        told = type(error).__name__
    return clean_text(told, hide=hide)
