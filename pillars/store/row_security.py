"""Row-level security: for whom a transaction acts, and which protected tables one has touched that acts for nobody.

Policies ask settings, `current_setting('pillars.user_id', true)`. Ours are set for one transaction, by Postgres's own rule, so whatever
ends it takes them away: a commit, an error, a lost connection, a pooler that gives the server to somebody else.

What is done is told once, as steps that ask statements of a connection, since some connections are awaited and others block.
"""

import time
from collections.abc import Awaitable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeAlias, TypeVar
from uuid import UUID

from pillars.errors import DatabaseTrouble, Trouble, UsageError
from pillars.settings import Settings
from pillars.store.borrowed import BorrowedNow
from pillars.store.rows import Earlier, Protected, Taken, Touched, Yes
from pillars.store.session import Session
from pillars.store.statements import Portable, Row, Statement

ACT = Portable("session/act", Earlier)
TAKE_ROLE = Portable("session/take_role", Taken)
NOTE_SYSTEM = Portable("audit/note_system", Yes)
PROTECTED = Statement("session/protected", Protected)
TOUCHED = Statement("session/touched", Touched)

LONGEST_USER_ID = 200  # bytes: a UUID has 36, the subject of a token some dozens
LARGEST_USER_ID = 64  # bits, of an int
LONGEST_REASON = 1000  # bytes: it is read in a list
ASKED_EVERY = 60.0  # seconds: so late a database's first policy may be noticed
DENIED = "42501"
USER_SETTING = "pillars.user_id"

NO_TRANSACTION = (
    "connection: expected one in a transaction, which is how long a job may act for somebody, got one outside; "
    "begin one around the block"
)

Ask: TypeAlias = tuple[Portable[Any], dict[str, str | None]]
Answer = TypeVar("Answer")
Steps: TypeAlias = Generator[Ask, Any, Answer]


class Asked(Protocol):
    """What runs a portable statement: a borrowed connection, or a session of ours."""

    def rows(self, statement: Portable[Row], **arguments: str | None) -> Awaitable[list[Row]]: ...


@dataclass(frozen=True, slots=True)
class Own:
    """A session of ours, as a borrowed connection is asked."""

    session: Session

    async def rows(self, statement: Portable[Row], **arguments: str | None) -> list[Row]:
        return await self.session.rows(statement.numbered, *arguments.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """By which setting an app's policies know the user, and which roles its jobs take, if any."""

    user_setting: str = USER_SETTING
    user_role: str | None = None
    system_role: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            user_setting=settings.rls_user,
            user_role=settings.rls_user_role,
            system_role=settings.rls_system_role,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A job's attempt, and for whom it acts: a user, or, for a reason, the system."""

    job_id: str
    job_name: str
    attempt: int
    user_id: str = ""
    reason: str = ""

    def begun(self, convention: Convention, *, unsure: bool) -> Steps[Earlier]:
        """Act from here on; `unsure` whether the connection is in a transaction. Returns what was said before.

        The audit trail comes before the role, which need not be allowed to write there.
        """
        role = convention.system_role if self.reason else convention.user_role
        [earlier] = yield self._saying(convention, self.user_id, self.reason, None)
        if self.reason and not (yield NOTE_SYSTEM, self._noted()):
            raise UsageError(NO_TRANSACTION)
        if role is not None or unsure:
            [taken] = yield TAKE_ROLE, {"role": role, "job_id": self.job_id}
            self._look_at(taken, role)
        known: Earlier = earlier
        return known

    def ended(self, convention: Convention, earlier: Earlier) -> Steps[None]:
        """Say again what was said before. The job stays named: what the transaction touches was looked after."""
        yield self._saying(convention, earlier.user_id, earlier.reason, earlier.role)

    def _saying(self, convention: Convention, user_id: str, reason: str, role: str | None) -> Ask:
        return ACT, {
            "setting": convention.user_setting,
            "user_id": user_id,
            "reason": reason,
            "job_id": self.job_id,
            "job_name": self.job_name,
            "role": role,
        }

    def _noted(self) -> dict[str, str | None]:
        return {
            "job_id": self.job_id,
            "job_name": self.job_name,
            "attempt": str(self.attempt),
            "reason": self.reason,
        }

    def _look_at(self, taken: Taken, role: str | None) -> None:
        if not taken.acting:
            raise UsageError(NO_TRANSACTION)
        if role is None or taken.taken:
            return
        setting = "PILLARS_RLS_SYSTEM_ROLE" if self.reason else "PILLARS_RLS_USER_ROLE"
        said = f"this connection's role may not take it; run: {taken.remedy}"
        if not taken.known:
            said = f"there is no such role; create it, and run: {taken.remedy}"
        raise DatabaseTrouble(
            Trouble.DENIED, f"{setting}: the role {role}: {said}", sqlstate=DENIED
        )


def user_id_of(value: object) -> str:
    """A user's id as text; raises `UsageError`. What is text and more, such as a member of an enumeration, is its text."""
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        raise UsageError(f"user_id: expected a str, an int or a UUID, got {type(value).__name__}")
    if isinstance(value, int):
        if value.bit_length() > LARGEST_USER_ID:
            raise UsageError(
                f"user_id: expected an int of at most {LARGEST_USER_ID} bits, got more"
            )
        return str(int(value))
    text = str.__str__(value) if isinstance(value, str) else str(value)
    return _checked(text, "user_id", LONGEST_USER_ID)


def reason_of(value: object) -> str:
    """Why the system acts, in words; raises `UsageError`."""
    if not isinstance(value, str) or not value.strip():
        raise UsageError('reason: expected words that say why, such as "nightly export", got none')
    return _checked(value, "reason", LONGEST_REASON)


def _checked(text: str, what: str, longest: int) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise UsageError(f"{what}: expected text, got a lone surrogate") from None
    if "\0" in text:
        raise UsageError(f"{what}: expected text that Postgres can hold, got one with a NUL")
    if not 1 <= size <= longest:
        raise UsageError(f"{what}: expected 1 to {longest} bytes, got {size}")
    return text


async def done(steps: Steps[Answer], by: Asked) -> Answer:
    """Do the steps on a connection that is awaited; raises what it raises."""
    found: list[Any] | None = None
    while True:
        try:
            statement, arguments = steps.send(found)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        found = await by.rows(statement, **arguments)


def done_now(steps: Steps[Answer], by: BorrowedNow) -> Answer:
    """Do the steps on a connection that blocks; raises what it raises."""
    found: list[Any] | None = None
    while True:
        try:
            statement, arguments = steps.send(found)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        found = by.rows(statement, **arguments)


class RowSecurity:
    """How the jobs of a database act for users and the system, and who has touched protected tables without."""

    def __init__(self, convention: Convention) -> None:
        self.convention = convention
        self._asked_at = -ASKED_EVERY
        self._role: str | None = None
        """Of the pool's sessions, where any table's policies hold for it."""
        self._named: set[tuple[str, str]] = set()

    async def ask(self, session: Session) -> None:
        """Learn whether there is anything to watch, at most once a minute: where no table is protected, transactions cost nothing more."""
        now = time.monotonic()
        if now - self._asked_at >= ASKED_EVERY:
            [found] = await session.rows(PROTECTED)
            self._asked_at, self._role = now, found.role if found.protected else None

    async def touched(self, session: Session) -> list[str]:
        """The protected tables that the session's open transaction has touched for nobody."""
        if self._role is None:
            return []
        found = await session.rows(TOUCHED, self.convention.user_setting, self._role)
        return [one.table for one in found]

    def is_news(self, job_name: str, table: str) -> bool:
        """Whether this is the first time that the job touches the table, here."""
        known = (job_name, table) in self._named
        self._named.add((job_name, table))
        return not known
