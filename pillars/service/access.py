"""Who may use the API, the dashboard and the metrics: bearers of a token, or, where none is set, this very machine."""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import TypeAlias

from pillars.service.farewell import Scope
from pillars.settings import Settings

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

PROXIED = {b"forwarded", b"via", b"x-real-ip"}  # and X-Forwarded-*
READING = {"GET", "HEAD", "OPTIONS"}  # these change nothing (RFC 9110, section 9.2.1)
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?", re.ASCII)
SET_A_TOKEN = "no token is set: set PILLARS_TOKEN, or ask from this machine a server that is bound to it (HOST or PILLARS_HEALTH_HOST 127.0.0.1)"  # noqa: S105
ASK_WITH_A_TOKEN = "expected the header Authorization: Bearer with the value of PILLARS_TOKEN or PILLARS_VIEW_TOKEN"  # noqa: S105
LOG_IN = (
    "expected the value of PILLARS_TOKEN or PILLARS_VIEW_TOKEN as the password, with any user name"
)
BEARER = "Bearer"
BASIC = 'Basic realm="Three Pillars", charset="UTF-8"'


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    detail: str
    challenge: str = BEARER
    """How to ask again, of a 401."""

    @property
    def headers(self) -> dict[str, str]:
        return {"www-authenticate": self.challenge} if self.status == 401 else {}


def refusal(
    settings: Settings, scope: Scope, *, bound: str, browsers: bool = False
) -> Refusal | None:
    """Why a request may not pass, by a server bound to the host `bound`; None where it may.

    `browsers` may send the token as the password of HTTP Basic, too. Where none is set they are not asked for one.
    """
    headers: Headers = scope["headers"]
    changes = scope["method"] not in READING
    if settings.token is None and settings.view_token is None:
        if not (is_loopback(bound) and is_local(headers)):
            return Refusal(401, SET_A_TOKEN)
    elif not bears(headers, settings.token, browsers=browsers):
        if not bears(headers, settings.view_token, browsers=browsers):
            return Refusal(401, LOG_IN, BASIC) if browsers else Refusal(401, ASK_WITH_A_TOKEN)
        if changes:
            return Refusal(403, "PILLARS_VIEW_TOKEN only reads; this needs PILLARS_TOKEN")
    if changes and is_cross_site(headers):
        return Refusal(403, "a page of another site asked for this")
    return None


def may_operate(settings: Settings, scope: Scope, *, browsers: bool = False) -> bool:
    """Whether a request that may read may change things as well."""
    if settings.token is None and settings.view_token is None:
        return True
    return bears(scope["headers"], settings.token, browsers=browsers)


def given(headers: Headers, name: str) -> list[str]:
    """Every value of a header."""
    wanted = name.encode()
    return [value.decode("latin-1") for key, value in headers if key.lower() == wanted]


def bears(headers: Headers, token: str | None, *, browsers: bool = False) -> bool:
    """Whether the request bears this token, compared in a time that tells nothing about it."""
    said = given(headers, "authorization")
    if token is None or len(said) != 1:
        return False
    scheme, _, value = said[0].partition(" ")
    match scheme.lower():
        case "bearer":
            return hmac.compare_digest(value.strip().encode(), token.encode())
        case "basic" if browsers:
            return hmac.compare_digest(password(value.strip()), token.encode())
    return False


def without_password(settings: Settings, headers: Headers) -> Headers:
    """The headers without our tokens as passwords, which browsers send to every path of an origin once one was asked for there."""
    return [one for one in headers if not _is_our_password(settings, one)]


def _is_our_password(settings: Settings, header: tuple[bytes, bytes]) -> bool:
    if header[0].lower() != b"authorization" or header[1][:6].lower() != b"basic ":
        return False
    tokens = (settings.token, settings.view_token)
    return any(bears([header], token, browsers=True) for token in tokens)


def password(credentials: str) -> bytes:
    """The password of HTTP Basic's credentials (RFC 7617); empty, which no token is, where they are none."""
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


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
