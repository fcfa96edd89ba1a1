"""Every exception of the runtime, in one tree.

    PillarsError
    |-- UsageError                 what the caller wrote cannot be done; nothing was written
    |   |-- ConfigurationError     a setting, or a folder of the app's, is wrong
    |   |-- DefinitionError        a job or a schedule is declared wrongly
    |   |-- PayloadError           an argument or a result is not JSON of its declared type
    |   |-- Unknown                what was named is not there
    |   |   |-- UnknownJob         no such job, or no such job definition
    |   |   |-- UnknownQueue
    |   |   |-- UnknownSchedule
    |   |   `-- UnknownAccount
    |   `-- NotConnected           work was enqueued before `app` or `pillars.connect()` opened a pool
    |-- SchemaError                the database's schema is not the one this code needs
    |-- StartupFailed              the web app's lifespan did not begin
    |-- DatabaseTrouble            Postgres did not do as asked; `kind` says in which way
    |-- LockLost                   the job was given to another worker; nothing was written
    |-- NotSent                    a message to a job that will not take it: it has ended, or has too many
    |-- JobEnded                   what `handle.result()` raises for a job that did not complete
    |   |-- JobFailed
    |   |-- JobCancelled
    |   `-- JobExpired
    `-- Outcome                    what a job raises to say how its attempt ends
        |-- Retry
        |-- Snooze
        `-- Discard

The first docstring line of a class is its message where none is given.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from difflib import SequenceMatcher
from enum import Enum
from typing import ClassVar, Self

__all__ = [
    "ConfigurationError",
    "DatabaseTrouble",
    "DefinitionError",
    "Discard",
    "JobCancelled",
    "JobEnded",
    "JobExpired",
    "JobFailed",
    "LockLost",
    "NotConnected",
    "NotSent",
    "Outcome",
    "PayloadError",
    "PillarsError",
    "Retry",
    "SchemaError",
    "Snooze",
    "StartupFailed",
    "Trouble",
    "Unknown",
    "UnknownAccount",
    "UnknownJob",
    "UnknownQueue",
    "UnknownSchedule",
    "UsageError",
]

MOST_NAMED = 20  # names in one line of an error
MOST_NEAREST = 3
NEAR = 0.6  # of 1 for the same text; what is further off was hardly meant


def nearest(name: str, known: Mapping[str, Iterable[str]]) -> list[str]:
    """The name that was probably meant, by any of the texts it goes by; several where they are equally near, or none."""
    matcher = SequenceMatcher()
    matcher.set_seq2(name)
    best, found = NEAR, list[str]()
    for one, texts in known.items():
        score = max(_likeness(matcher, text, best) for text in texts)
        if score > best:
            best, found = score, []
        if score == best:
            found.append(one)
    return found[:MOST_NEAREST]


def _likeness(matcher: "SequenceMatcher[str]", text: str, least: float) -> float:
    """From 0 to 1; 0 without the work where it is less than `least` for certain."""
    matcher.set_seq1(text)
    far = matcher.real_quick_ratio() < least or matcher.quick_ratio() < least
    return 0.0 if far else matcher.ratio()


class PillarsError(Exception):
    """Something in the runtime went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").partition("\n")[0])


class UsageError(PillarsError):
    """What was asked cannot be done."""


class ConfigurationError(UsageError):
    """A setting is wrong.

    Or the app's code cannot be imported. A command ends with exit code 2.
    """


class DefinitionError(UsageError):
    """A job or a schedule is declared wrongly.

    Raised where it is declared, or at boot where two have one name or a type cannot be carried by JSON.
    """


class PayloadError(UsageError):
    """An argument or a result is not JSON of its declared type.

    Raised at enqueue, so that nothing is silently changed; the message has the path to what does not fit.
    """


class Unknown(UsageError):
    """What was named is not there."""

    thing: ClassVar = "thing"

    @classmethod
    def among(cls, name: str, known: Iterable[str]) -> Self:
        """The error for a name that is none of `known`; it says the nearest, or a few that there are."""
        names = list(known)
        near = nearest(name, {one: (one, one.rpartition(".")[2]) for one in names})
        if near:
            hint = "did you mean " + " or ".join(f'"{one}"' for one in near) + "?"
        elif names:
            hint = f"there are: {', '.join(names[:MOST_NAMED])}" + (
                f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            )
        else:
            hint = "there is none"
        return cls(f'no {cls.thing} named "{name[:100]}"; {hint}')


class UnknownJob(Unknown):
    """There is no such job."""

    thing = "job"

    @classmethod
    def gone(cls, job_id: object) -> Self:
        """The error for an id of which no row is left."""
        return cls(
            f"no row is left of job {job_id}: it was pruned, kept by no rule, or never existed"
        )


class UnknownQueue(Unknown):
    """There is no such queue."""

    thing = "queue"


class UnknownSchedule(Unknown):
    """There is no such schedule."""

    thing = "schedule"


class UnknownAccount(Unknown):
    """There is no such account."""

    thing = "account"


class NotConnected(UsageError):
    """No database: run this inside `app`, or inside `async with pillars.connect():`."""


class SchemaError(PillarsError):
    """The database's schema is not the one this code needs."""


class StartupFailed(PillarsError):
    """The web application did not start."""


class Trouble(Enum):
    """The ways in which Postgres does not do as asked, by what a caller can do about each."""

    UNREACHABLE = "unreachable"
    """No connection could be made: nothing was sent."""
    LOST = "lost"
    """The connection broke, or the answer was late: the outcome is unknown."""
    CONFLICT = "conflict"
    """Deadlock, serialization failure or lock timeout: rolled back, try again."""
    READ_ONLY = "read_only"
    """The server is a standby: find the primary."""
    BUSY = "busy"
    """Too many connections, a full queue of notifications, or starting up or shutting down: try again later."""
    REFUSED = "refused"
    """The data broke a rule of the schema: the same again fails again."""
    DENIED = "denied"
    """Password, role, database or permission: a person must act."""
    BUG = "bug"
    """The statement is wrong for this schema."""


class DatabaseTrouble(PillarsError):
    """Postgres did not do as asked.

    `kind` says in which way, `sqlstate` and `constraint` what the server said, None where it said nothing.
    """

    def __init__(
        self,
        kind: Trouble,
        message: str,
        *,
        sqlstate: str | None = None,
        constraint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.sqlstate = sqlstate
        self.constraint = constraint

    @property
    def may_have_happened(self) -> bool:
        """Whether the statement may have taken effect although no answer came."""
        return self.kind is Trouble.LOST


class LockLost(PillarsError):
    """The job is no longer held by this attempt; nothing was written.

    Let it travel: the transaction rolls back, and the attempt of the other worker stands.
    """


class NotSent(PillarsError):
    """The message was not sent.

    Nobody would take it: the job has ended, or 1,000 messages wait for it already.
    """


class JobEnded(PillarsError):
    """The job ended without a result.

    `job_id` is its id as text, `last_error` what its last attempt that failed said, or None.
    """

    def __init__(self, message: str, *, job_id: str, last_error: str | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.last_error = last_error


class JobFailed(JobEnded):
    """The job failed.

    For good: it had no attempt left, was discarded, or its worker died too often holding it.
    """


class JobCancelled(JobEnded):
    """The job was cancelled."""


class JobExpired(JobEnded):
    """The job was not started in time."""


class Outcome(PillarsError):
    """How an attempt ends, said by raising it inside a job."""


class Retry(Outcome):
    """The job asked for another attempt.

    `after` is the wait, a timedelta, seconds or words ("90s"); without it the job's backoff decides.
    Counts as an attempt: the last one fails the job.
    """

    def __init__(self, reason: str | None = None, *, after: timedelta | float | str | None = None):
        super().__init__(reason)
        self.after = after


class Snooze(Outcome):
    """The job asked to run later.

    `for_` is the wait, a timedelta, seconds or words. Does not count as an attempt.
    """

    def __init__(self, for_: timedelta | float | str, reason: str | None = None) -> None:
        super().__init__(reason)
        self.for_ = for_


class Discard(Outcome):
    """The job gave up: it fails now, whatever attempts are left.

    What it is given is the reason, and becomes the job's last error.
    """
