"""What a check is, and what it finds."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, StrEnum

from pillars.cli.doctor.subject import Subject


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works; it will not do so for ever, or not as meant."""
    FAIL = "fail"
    """Work is not done, or not safe."""
    SKIP = "skip"
    """It could not be looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: the evidence, and where something is wrong, what to do; each one line."""

    status: Status
    evidence: str
    fix: str | None = None


Look = Callable[[Subject], Awaitable[Finding]]


class Needs(Enum):
    """What must be there for a check to look at all."""

    NOTHING = "nothing"
    DATABASE = "database"
    DIRECT = "direct"
    SCHEMA = "schema"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at, by an id such as "database.latency"."""

    id: str
    look: Look
    needs: Needs = Needs.NOTHING

    @property
    def group(self) -> str:
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        return self.id.partition(".")[2]


def ok(evidence: str) -> Finding:
    return Finding(Status.OK, evidence)


def warn(evidence: str, *, fix: str) -> Finding:
    return Finding(Status.WARN, evidence, fix)


def fail(evidence: str, *, fix: str) -> Finding:
    return Finding(Status.FAIL, evidence, fix)


def skip(reason: str) -> Finding:
    return Finding(Status.SKIP, reason)


def in_prod(subject: Subject, evidence: str, *, fix: str) -> Finding:
    """What fails in production and is only a warning while somebody works on it."""
    status = Status.FAIL if subject.settings.env == "prod" else Status.WARN
    return Finding(status, evidence, fix)


def some(items: list[str], *, most: int = 3) -> str:
    """A few of them, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return f"{'; '.join(items[:most])}{more}"
