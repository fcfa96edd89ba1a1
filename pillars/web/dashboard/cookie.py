"""The cookie by which a browser shows that somebody has logged in; it holds an id that says nothing by itself."""

import re
import secrets

from pillars.service.access import Headers, given
from pillars.store.accounts import LIFE

NAME = "__Host-pillars"  # browsers keep one of this prefix only if it is Secure, of this host, and for all its paths
ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
KEPT = "Path=/; Secure; HttpOnly; SameSite=Lax"


def new_id() -> str:
    """256 random bits, as a cookie carries them."""
    return secrets.token_urlsafe(32)


def session_id(headers: Headers) -> str | None:
    """The id that a request shows; None where it shows none, two, or something else."""
    found = [
        one.partition("=")[2].strip()
        for said in given(headers, "cookie")
        for one in said.split(";")
        if _is_ours(one)
    ]
    return found[0] if len(found) == 1 and ID.fullmatch(found[0]) else None


def setting(session_id: str) -> dict[str, str]:
    """The header that has a browser keep the id for as long as the session can last."""
    return {"set-cookie": f"{NAME}={session_id}; Max-Age={LIFE.total_seconds():.0f}; {KEPT}"}


def forgetting() -> dict[str, str]:
    """The header that has a browser forget it."""
    return {"set-cookie": f"{NAME}=; Max-Age=0; {KEPT}"}


def taken_out(headers: Headers) -> Headers:
    """The headers without our cookie; these very ones where it is not there."""
    if not any(_has_ours(*header) for header in headers):
        return headers
    return [kept for header in headers if (kept := _without(*header))[1]]


def _has_ours(key: bytes, value: bytes) -> bool:
    return key.lower() == b"cookie" and NAME.encode() in value


def _without(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    if not _has_ours(key, value):
        return key, value
    parts = [one for one in value.decode("latin-1").split(";") if not _is_ours(one)]
    return key, ";".join(parts).strip().encode("latin-1")


def _is_ours(part: str) -> bool:
    return part.partition("=")[0].strip() == NAME
