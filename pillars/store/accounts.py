"""People who may log in to the dashboard, their logins, and how often somebody tried to."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pillars.errors import UnknownAccount, UsageError
from pillars.store.rows import Account, AccountRow, Named, SessionRow, Tries, Yes
from pillars.store.session import Executor
from pillars.store.statements import Nothing, Statement

ADD = Statement("accounts/add", Named)
FIND = Statement("accounts/find", Account)
LIST = Statement("accounts/list", AccountRow)
ANY = Statement("accounts/any", Yes)
SET_PASSWORD = Statement("accounts/set_password", Named)
REMOVE = Statement("accounts/remove", Named)
OPEN = Statement("sessions/open", Nothing)
FIND_SESSION = Statement("sessions/find", SessionRow)
CLOSE = Statement("sessions/close", Nothing)
COUNT = Statement("logins/count", Tries)
FAIL = Statement("logins/fail", Nothing)

NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}", re.ASCII)
RESERVED = {"loopback", "nobody"}  # what the audit trail calls those who have no name
LIFE = timedelta(hours=12)  # of a session, from the login on, whatever is done in it
MOST_STRANGERS = 5  # rows a minute about logins that failed and fit no account


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A login that succeeded; `before` is the session that the browser had."""

    digest: bytes
    account: str | None
    scope: str
    seal: bytes
    before: bytes | None
    actor: str
    address: str | None


def checked_name(name: str) -> str:
    """A name that an account can have; raises `UsageError`."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise UsageError(
            f'the name: expected 1 to 100 of a-z 0-9 . _ @ + -, beginning with a letter or digit, and not {" or ".join(sorted(RESERVED))}; got "{name[:100]}"'
        )
    return name


async def add(executor: Executor, name: str, *, scope: str, password_hash: str) -> None:
    """Add an account; raises `UsageError` where there is one of this name."""
    if not await executor.rows(ADD, name, scope, password_hash):
        raise UsageError(
            f'there is an account named "{name}"; another password: app accounts password {name}'
        )


async def find(executor: Executor, name: str) -> Account | None:
    found = await executor.rows(FIND, name)
    return found[0] if found else None


async def listed(executor: Executor) -> list[AccountRow]:
    """Every account, by name."""
    return await executor.rows(LIST)


async def are_any(executor: Executor) -> bool:
    """Whether there is an account at all."""
    [answer] = await executor.rows(ANY)
    return answer.yes


async def set_password(executor: Executor, name: str, password_hash: str) -> None:
    """Give an account another password and end its sessions. Raises `UnknownAccount`."""
    if not await executor.rows(SET_PASSWORD, name, password_hash):
        raise await _unknown(executor, name)


async def remove(executor: Executor, name: str) -> None:
    """Remove an account and end its sessions. Raises `UnknownAccount`."""
    if not await executor.rows(REMOVE, name):
        raise await _unknown(executor, name)


async def require(executor: Executor, name: str) -> None:
    """Raise `UnknownAccount`, with the nearest name, for an account that is not there."""
    if await find(executor, name) is None:
        raise await _unknown(executor, name)


async def open_session(executor: Executor, opening: Opening) -> None:
    """Store a session, and write the login down."""
    await executor.rows(
        OPEN, opening.digest, opening.account, opening.scope, opening.seal, LIFE, opening.before,
        opening.actor, opening.address,
    )  # fmt: skip


async def find_session(executor: Executor, digest: bytes) -> SessionRow | None:
    """The session of this digest, where it has not ended; whether its seal still holds is for the caller to say."""
    found = await executor.rows(FIND_SESSION, digest)
    return found[0] if found else None


async def close_session(
    executor: Executor, digest: bytes, *, actor: str, address: str | None
) -> None:
    """End a session, and write the logout down."""
    await executor.rows(CLOSE, digest, actor, address)


async def count(executor: Executor, subjects: Sequence[str]) -> dict[str, Tries]:
    """Count an attempt for each subject; how many there have been in their minute."""
    return {one.subject: one for one in await executor.rows(COUNT, list(subjects))}


async def note_failure(executor: Executor, account: str | None, address: str | None) -> None:
    """Write a login down that failed; nothing of what was typed, but the account that it was for."""
    await executor.rows(FAIL, account, address, MOST_STRANGERS)


async def _unknown(executor: Executor, name: str) -> UnknownAccount:
    return UnknownAccount.among(name, [one.name for one in await listed(executor)])
