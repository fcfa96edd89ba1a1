"""People: accounts, sessions, attempts to log in, and what was done."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Account:
    """Who may log in, with the hash of the password."""

    name: str
    scope: str
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as it is shown; `sessions` are its logins that have not ended."""

    name: str
    scope: str
    created_at: datetime
    password_at: datetime
    sessions: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A login: by an account, or, where that is None, by the token of its scope."""

    account: str | None
    scope: str
    seal: bytes
    password_hash: str | None


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a subject was tried since a moment that is a minute old in `ends_in`."""

    subject: str
    attempts: int
    ends_in: timedelta


@dataclass(frozen=True, slots=True)
class AuditRow:
    """What somebody did; `details` is a JSON object."""

    audit_id: int
    at: datetime
    actor: str
    action: str
    target: str | None
    address: str | None
    details: str
