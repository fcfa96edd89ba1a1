"""Who may use the API: bearers of a token, or, where none is set, this very machine.

The gate stands in front of the routes, and what is open is listed; so a route that is added is closed.
"""

import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pillars.settings import Settings
from pillars.web.problems import problem

READING = {"GET", "HEAD", "OPTIONS"}  # these change nothing (RFC 9110, section 9.2.1)
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?", re.ASCII)
SET_A_TOKEN = "no token is set: set PILLARS_TOKEN, or ask from this machine with HOST=127.0.0.1"  # noqa: S105
ASK_WITH_A_TOKEN = "expected the header Authorization: Bearer with the value of PILLARS_TOKEN or PILLARS_VIEW_TOKEN"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    detail: str


class Gate:
    """Lets requests through to `app` that may read or operate; answers 401 or 403 for it otherwise."""

    def __init__(self, app: ASGIApp, *, settings: Settings, is_open: Collection[str]) -> None:
        self._app = app
        self._settings = settings
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = None
        if scope["type"] == "http" and scope["path"] not in self._is_open:
            refused = refusal(self._settings, scope["method"], Headers(scope=scope))
        if refused is None:
            await self._app(scope, receive, send)
            return
        headers = {"www-authenticate": "Bearer"} if refused.status == 401 else None
        await problem(refused.status, refused.detail, headers=headers)(scope, receive, send)


def refusal(settings: Settings, method: str, headers: Headers) -> Refusal | None:
    """Why a request may not pass; None where it may."""
    changes = method not in READING
    if settings.token is None and settings.view_token is None:
        if not (is_loopback(settings.host) and is_local(headers)):
            return Refusal(401, SET_A_TOKEN)
    elif not bears(headers, settings.token):
        if not bears(headers, settings.view_token):
            return Refusal(401, ASK_WITH_A_TOKEN)
        if changes:
            return Refusal(403, "PILLARS_VIEW_TOKEN only reads; this needs PILLARS_TOKEN")
    if changes and is_cross_site(headers):
        return Refusal(403, "a page of another site asked for this")
    return None


def bears(headers: Headers, token: str | None) -> bool:
    """Whether the request bears this token, compared in a time that tells nothing about it."""
    given = headers.getlist("authorization")
    if token is None or len(given) != 1:
        return False
    scheme, _, value = given[0].partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        value.strip().encode(), token.encode()
    )


def is_local(headers: Headers) -> bool:
    """Whether the request was made to this machine by its own name, with no proxy between.

    A page that rebinds its domain to 127.0.0.1 still sends that domain as Host.
    """
    hosts = headers.getlist("host")
    if len(hosts) != 1 or any(
        name == "forwarded" or name.startswith("x-forwarded") for name in headers
    ):
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
    site = headers.getlist("sec-fetch-site")
    if site:
        return site not in (["same-origin"], ["none"])
    origins = headers.getlist("origin")
    if not origins:
        return False
    host = headers.get("host", "")
    return len(origins) > 1 or origins[0] not in {f"http://{host}", f"https://{host}"}
