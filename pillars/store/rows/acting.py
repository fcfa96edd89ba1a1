"""For whom a transaction acts, as row-level security asks it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was said before somebody began to act: the user, the system's reason, the role."""

    user_id: str
    reason: str
    role: str
    said: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether a role was taken; `acting` is false outside a transaction, `remedy` the statement that lets the role be taken."""

    acting: bool
    known: bool
    taken: bool
    remedy: str


@dataclass(frozen=True, slots=True)
class Protected:
    """Whether policies hold for a session, and the role that it has."""

    protected: bool
    role: str


@dataclass(frozen=True, slots=True)
class Touched:
    """A table, with its schema."""

    table: str
