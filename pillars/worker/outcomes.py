"""How an attempt can end."""

from datetime import timedelta

from msgspec import Struct


class Completed(Struct, frozen=True, gc=False):
    result: str | None
    """JSON, or None where the function returned None."""


class Failed(Struct, frozen=True, gc=False):
    """The job fails for good."""

    error: str
    traceback: str | None = None


class Retried(Struct, frozen=True, gc=False):
    """The attempt failed; there are more."""

    wait: timedelta
    error: str
    traceback: str | None = None


class Snoozed(Struct, frozen=True, gc=False):
    """The job wants to run later; the attempt does not count."""

    wait: timedelta
    error: str | None = None


class Cancelled(Struct, frozen=True, gc=False):
    """The job's end was asked for; `traceback` is of what its code raised on its way out."""

    traceback: str | None = None


class Released(Struct, frozen=True, gc=False):
    """The job was stopped through no fault of its own; the attempt does not count."""

    wait: timedelta | None = None


Outcome = Completed | Failed | Retried | Snoozed | Cancelled | Released
