"""Logins: who a browser's session belongs to, and opening one for a name and a password."""

import hashlib
import hmac
import time
from dataclasses import dataclass, field, replace

import anyio
import anyio.to_thread

from pillars.service import passwords
from pillars.service.access import OPERATOR, VIEWER, Caller, Headers, has_tokens
from pillars.settings import Settings
from pillars.store import accounts
from pillars.store.accounts import Opening
from pillars.store.database import Database
from pillars.store.rows import Account, SessionRow
from pillars.web.dashboard import cookie
from pillars.web.dashboard.turns import Turns

FRESH = 5.0  # seconds: how often one asks whether there is an account at all
MANY_ASK = "many ask to be let in at once; try again"
BY_TOKEN = {"operate": OPERATOR, "view": VIEWER}


@dataclass(frozen=True, slots=True)
class Proof:
    """What somebody logged in by: an account's password, or, where that is None, the token of this scope."""

    account: str | None
    scope: str
    secret: str = field(repr=False)
    """The token, or the stored hash of the password."""


class Sessions:
    """Finds, opens and ends sessions. However many ask, they take few of the application's connections."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._pool = database.pool
        self._tokens = {"operate": settings.token, "view": settings.view_token}
        self._has_tokens = has_tokens(settings)
        self._looks = Turns(full=MANY_ASK)
        self._has_accounts = False
        self._asked_at = float("-inf")

    async def caller(self, headers: Headers) -> Caller | None:
        """Whose session the browser shows; None where it shows none that holds. Raises `DatabaseTrouble`, or 503 as `HTTPException`."""
        session_id = cookie.session_id(headers)
        if session_id is None:
            return None
        async with self._looks.turn():
            found = await accounts.find_session(self._pool, digest(session_id))
        if found is None or not self._holds(found, session_id):
            return None
        if found.account is None:
            return replace(BY_TOKEN[found.scope], session=digest(session_id))
        return Caller(found.account, found.scope == "operate", digest(session_id))

    async def can_be(self) -> bool:
        """Whether anybody could log in: a token is set, or there is an account."""
        if self._has_tokens:
            return True
        async with self._looks.turn():
            if time.monotonic() - self._asked_at >= FRESH:
                self._has_accounts = await accounts.are_any(self._pool)
                self._asked_at = time.monotonic()
        return self._has_accounts

    async def log_in(
        self, name: str, password: str, *, before: Headers, address: str | None
    ) -> str | None:
        """The id of a new session, by an account's password or by a token, whatever the name; None where neither fits.

        As much work is done for a name that nobody has. The session that the browser had `before` ends.
        """
        account = await accounts.find(self._pool, name) if accounts.NAME.fullmatch(name) else None
        proof = self._by_token(password)
        if proof is None and await self._is_password(password, account) and account is not None:
            proof = Proof(account.name, account.scope, account.password_hash)
        if proof is None:
            known = None if account is None else account.name
            await accounts.note_failure(self._pool, known, address)
            return None
        made, old = cookie.new_id(), cookie.session_id(before)
        opening = Opening(
            digest=digest(made),
            account=proof.account,
            scope=proof.scope,
            seal=seal(proof.secret, made),
            before=None if old is None else digest(old),
            actor=proof.account or BY_TOKEN[proof.scope].actor,
            address=address,
        )
        await accounts.open_session(self._pool, opening)
        return made

    async def log_out(self, asking: Caller, *, address: str | None) -> None:
        if asking.session is not None:
            await accounts.close_session(
                self._pool, asking.session, actor=asking.actor, address=address
            )

    def _by_token(self, password: str) -> "Proof | None":
        """The token that this password is; each is compared, in a time that tells nothing of it."""
        fits = [
            Proof(None, scope, token)
            for scope, token in self._tokens.items()
            if token is not None and hmac.compare_digest(_octets(password), _octets(token))
        ]
        return fits[0] if fits else None

    async def _is_password(self, password: str, account: Account | None) -> bool:
        stored = None if account is None else account.password_hash
        return await anyio.to_thread.run_sync(passwords.verified, password, stored)

    def _holds(self, session: SessionRow, session_id: str) -> bool:
        """Whether what opened the session is still as it was."""
        secret = self._tokens[session.scope] if session.account is None else session.password_hash
        return secret is not None and hmac.compare_digest(seal(secret, session_id), session.seal)


def digest(session_id: str) -> bytes:
    """What the table has instead of the id: who reads it can show no browser's cookie."""
    return hashlib.sha256(session_id.encode()).digest()


def seal(secret: str, session_id: str) -> bytes:
    """Ties a session to the secret that opened it, of which the table so learns nothing."""
    return hmac.digest(_octets(secret), session_id.encode(), "sha256")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
