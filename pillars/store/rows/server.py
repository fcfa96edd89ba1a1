"""The database itself: its clock, its schema, its days of history."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Now:
    now: datetime


@dataclass(frozen=True, slots=True)
class Yes:
    yes: bool


@dataclass(frozen=True, slots=True)
class Backend:
    """A process of the server."""

    pid: int


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that a database has."""

    track: str
    version: int
    name: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Invalid:
    """An index whose build did not end, by its name with its schema."""

    name: str


@dataclass(frozen=True, slots=True)
class Command:
    """A statement made by SQL, to be run by itself and unchanged."""

    statement: str


@dataclass(frozen=True, slots=True)
class Made:
    made: int


@dataclass(frozen=True, slots=True)
class Prune:
    """One step towards the history's retention; `statement` runs outside a transaction, and `removes` says whether a day is gone then."""

    history: str
    removes: bool
    patient: bool
    """Whether it may wait for long."""
    statement: str
