"""Who may use the API, the dashboard and the metrics: bearers of a token, or, where none is set, this very machine."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from pillars.service.farewell import Scope
from pillars.settings import Settings

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

PROXIED = {b"forwarded", b"via", b"x-real-ip"}  # and X-Forwarded-*
READING = {"GET", "HEAD", "OPTIONS"}  # these change nothing (RFC 9110, section 9.2.1)
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?", re.ASCII)
SET_A_TOKEN = "no token is set: set PILLARS_TOKEN, or ask from this machine a server that is bound to it (HOST or PILLARS_HEALTH_HOST 127.0.0.1)"  # noqa: S105
ASK_WITH_A_TOKEN = "expected the header Authorization: Bearer with the value of PILLARS_TOKEN or PILLARS_VIEW_TOKEN"  # noqa: S105
ANOTHER_SITE = "a page of another site asked for this"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the audit trail calls them."""

    actor: str
    operates: bool
    session: bytes | None = None
    """The digest of the login by which they ask, where they do."""


OPERATOR = Caller("PILLARS_TOKEN", operates=True)
VIEWER = Caller("PILLARS_VIEW_TOKEN", operates=False)
LOOPBACK = Caller("loopback", operates=True)


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    detail: str

    @property
    def headers(self) -> dict[str, str]:
        return {"www-authenticate": "Bearer"} if self.status == 401 else {}


def caller(settings: Settings, scope: Scope, *, bound: str) -> Caller | None:
    """Who asks a server bound to the host `bound`, by what the request itself shows; None where it shows nothing that counts."""
    headers: Headers = scope["headers"]
    if not has_tokens(settings):
        return LOOPBACK if is_loopback(bound) and is_local(headers) else None
    if bears(headers, settings.token):
        return OPERATOR
    return VIEWER if bears(headers, settings.view_token) else None


def refusal(settings: Settings, scope: Scope, asking: Caller | None) -> Refusal | None:
    """Why a request of theirs may not pass; None where it may."""
    changes = scope["method"] not in READING
    if asking is None:
        return Refusal(401, ASK_WITH_A_TOKEN if has_tokens(settings) else SET_A_TOKEN)
    if changes and not asking.operates:
        return only_reads(asking)
    return cross_site(scope)


def only_reads(asking: Caller) -> Refusal:
    """Why somebody may not do what takes more than reading."""
    otherwise = " or an account that operates" if asking.session else ""
    return Refusal(403, f"this needs PILLARS_TOKEN{otherwise}; {asking.actor} only reads")


def cross_site(scope: Scope) -> Refusal | None:
    """Why a request that changes something may not pass, whoever makes it."""
    if scope["method"] not in READING and is_cross_site(scope["headers"]):
        return Refusal(403, ANOTHER_SITE)
    return None


def has_tokens(settings: Settings) -> bool:
    return settings.token is not None or settings.view_token is not None


def given(headers: Headers, name: str) -> list[str]:
    """Every value of a header."""
    wanted = name.encode()
    return [value.decode("latin-1") for key, value in headers if key.lower() == wanted]


def bears(headers: Headers, token: str | None) -> bool:
    """Whether the request bears this token, compared in a time that tells nothing about it."""
    said = given(headers, "authorization")
    if token is None or len(said) != 1:
        return False
    scheme, _, value = said[0].partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        value.strip().encode(), token.encode()
    )


def address(scope: Scope) -> str | None:
    """Where a request comes from: the other end of the connection, or what a proxy that FORWARDED_ALLOW_IPS lists says of it.

    uvicorn has put that into the scope; no header is read here.
    """
    client = scope.get("client")
    try:
        found = ip_address(client[0] if client else "")
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def is_local(headers: Headers) -> bool:
    """Whether the request was made to this machine by its own name, with no proxy between that says so.

    A page that rebinds its domain to 127.0.0.1 still sends that domain as Host.
    """
    hosts = given(headers, "host")
    names = [key.lower() for key, _ in headers]
    if len(hosts) != 1 or any(name in PROXIED or name.startswith(b"x-forwarded") for name in names):
        return False
    match = HOST.fullmatch(hosts[0])
    return match is not None and is_loopback(match["name"])


def is_loopback(host: str) -> bool:
    """Whether this is localhost or a loopback address, by exact parse: 127.0.0.1.example.com is neither."""
    if host.lower() in {"localhost", "::1", "[::1]"}:
        return True
    try:
        return IPv4Address(host).is_loopback
    except AddressValueError:
        return False


def is_cross_site(headers: Headers) -> bool:
    """Whether a browser sent this for a page that is not of this origin: as Go's `http.CrossOriginProtection`.

    Sec-Fetch-Site is the browser's own word; older ones send only Origin. Programs send neither.
    """
    site = given(headers, "sec-fetch-site")
    if site:
        return site not in (["same-origin"], ["none"])
    origins = given(headers, "origin")
    if not origins:
        return False
    host = (given(headers, "host") or [""])[0]
    return len(origins) > 1 or origins[0] not in {f"http://{host}", f"https://{host}"}
