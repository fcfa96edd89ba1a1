"""How an attempt can end."""

from datetime import timedelta

from msgspec import Struct


class Completed(Struct, frozen=True):
    result: str | None
    """JSON, or None where the function returned None."""


class Failed(Struct, frozen=True):
    """The job fails for good."""

    error: str
    traceback: str | None = None


class Retried(Struct, frozen=True):
    """The attempt failed; there are more."""

    wait: timedelta
    error: str
    traceback: str | None = None


class Snoozed(Struct, frozen=True):
    """The job wants to run later; the attempt does not count."""

    wait: timedelta
    error: str | None = None


class Cancelled(Struct, frozen=True):
    """The job's end was asked for."""

    error: str | None = None


class Released(Struct, frozen=True):
    """The job was stopped through no fault of its own; the attempt does not count."""

    wait: timedelta | None = None


Outcome = Completed | Failed | Retried | Snoozed | Cancelled | Released
