"""How an attempt can end."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Completed:
    result: str | None
    """JSON, or None where the function returned None."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The job fails for good."""

    error: str
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class Retried:
    """The attempt failed; there are more."""

    wait: timedelta
    error: str
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The job wants to run later; the attempt does not count."""

    wait: timedelta
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The job's end was asked for."""

    error: str | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """The job was stopped through no fault of its own; the attempt does not count."""

    wait: timedelta | None = None


Outcome = Completed | Failed | Retried | Snoozed | Cancelled | Released
