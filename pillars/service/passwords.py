"""Passwords: hashed by scrypt, and verified in the same time whether or not there is somebody of that name."""

import base64
import binascii
import hashlib
import hmac
import secrets
import unicodedata

from pillars.errors import UsageError

SHORTEST, LONGEST = 12, 1000  # characters
# One of the settings that OWASP's cheat sheet on password storage gives as equals: 32 MB, where N = 2^17 would take 128.
COST, BLOCK, LANES = 2**15, 8, 3
SALT, KEY = 16, 32  # bytes
ROOM = (
    2 * 128 * COST * BLOCK
)  # bytes that OpenSSL lets scrypt take; its own limit is just below what it needs


def checked(password: str) -> str:
    """A password that somebody chose; raises `UsageError`, which never repeats it."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(
            f"the password: expected {SHORTEST} to {LONGEST:,} characters, got {len(password):,}"
        )
    if not _is_text(password):
        raise UsageError("the password: expected text in UTF-8, without control characters")
    return password


def hashed(password: str) -> str:
    """What is stored of a password; takes a tenth of a second and more, so call it in a thread."""
    salt = secrets.token_bytes(SALT)
    key = derived(password, salt, cost=COST, block=BLOCK, lanes=LANES)
    return "$".join(("scrypt", str(COST), str(BLOCK), str(LANES), _text(salt), _text(key)))


def verified(password: str, stored: str | None) -> bool:
    """Whether this is the password; without a `stored` one it is not, after just as much work. Call it in a thread."""
    # Nobody has a longer one, and Unicode's forms of a long text take seconds, in which no thread runs.
    if len(password) > LONGEST:
        password, stored = "", None
    known = (COST, BLOCK, LANES, bytes(SALT), bytes(KEY)) if stored is None else _read(stored)
    cost, block, lanes, salt, key = known
    found = derived(password, salt, cost=cost, block=block, lanes=lanes)
    return hmac.compare_digest(found, key) and stored is not None


def derived(password: str, salt: bytes, *, cost: int, block: int, lanes: int) -> bytes:
    """scrypt (RFC 7914) of the password, in the one form in which Unicode writes it for any keyboard (NFKC)."""
    typed = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(typed, salt=salt, n=cost, r=block, p=lanes, maxmem=ROOM, dklen=KEY)


def _is_text(password: str) -> bool:
    return not any(unicodedata.category(one) in {"Cc", "Cs"} for one in password)


def _read(stored: str) -> tuple[int, int, int, bytes, bytes]:
    kind, cost, block, lanes, salt, key = stored.split("$")
    if kind != "scrypt":
        raise ValueError(f"expected a hash by scrypt, got {kind}")
    return int(cost), int(block), int(lanes), _bytes(salt), _bytes(key)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("expected a hash in base64") from None
