"""The way into the dashboard: who is let in, the page that asks for a name and a password, and the way out."""

import hashlib
import math
from datetime import timedelta
from ipaddress import ip_network
from urllib.parse import unquote, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pillars.service.access import LOOPBACK, Caller, Refusal, address
from pillars.service.process import Process
from pillars.store import accounts
from pillars.web.dashboard import cookie, forms
from pillars.web.dashboard.frame import LOG_IN, Frame
from pillars.web.dashboard.sessions import Sessions
from pillars.web.dashboard.turns import Turns

NO_WAY_IN = (
    "no token is set and there is no account: set PILLARS_TOKEN, or make an account (app accounts add), or ask from this machine "
    "a server that is bound to it (HOST 127.0.0.1)"
)
WRONG = "No account has this name and password, and no token is this password."
NOT_KEPT = (
    "You were let in, but your browser did not keep the cookie that says so: it does only over HTTPS, and most do on this very machine "
    "(localhost, 127.0.0.1). Open this page by its https:// address."
)
MANY_ASK = "many log in at once; try again"
OF_A_NAME, OF_AN_ADDRESS = 5, 20  # tries a minute
PATIENCE = timedelta(seconds=20)  # two are verified at a time, which takes most of a core each
HOME_NETWORK = 64  # bits of an IPv6 address that belong to one customer
LONGEST_PLACE = 2000  # characters


class Entrance:
    """Lets people in to the dashboard, and out."""

    def __init__(self, process: Process) -> None:
        self.frame = self._frame = Frame(process.settings)
        self._sessions = Sessions(process.settings, process.database)
        self._pool = process.database.pool
        self._logins = Turns(patience=PATIENCE, full=MANY_ASK)

    def covers(self, path: str) -> bool:
        """Whether a login counts on this path."""
        return self._frame.covers(path)

    async def caller(self, request: Request, asking: Caller | None) -> Caller | None:
        """Who asks for a page: who bears a token, else who has logged in, else whoever is on this machine."""
        if asking is not None and asking is not LOOPBACK:
            return asking
        return await self._sessions.caller(request.scope["headers"]) or asking

    async def turned_away(self, request: Request) -> Response | Refusal:
        """The way to the login for who looks at a page; 401 for programs and for forms, whose content would be lost."""
        if not await self._sessions.can_be():
            return Refusal(401, NO_WAY_IN)
        if request.method == "GET" and _is_looking(request):
            return self._frame.go(self._frame.login(request))
        return Refusal(401, LOG_IN)

    async def show(self, request: Request) -> Response:
        """The form; past it, whoever is in already."""
        place = self._place(request.query_params.getlist("next"))
        asking: Caller | None = request.scope["caller"]
        if asking is not None and (asking.session or not await self._sessions.can_be()):
            return self._frame.go(place)
        if not await self._sessions.can_be():
            raise HTTPException(401, NO_WAY_IN, {"www-authenticate": "Bearer"})
        was_let_in = request.query_params.get("entered") == "yes"
        return self._form(request, place, trouble=NOT_KEPT if was_let_in else "")

    async def log_in(self, request: Request) -> Response:
        """Let in, with a cookie, who knows an account's password, or a token."""
        # Before its turn: who sends it slowly holds up nobody else.
        form = await forms.read(request)
        async with self._logins.turn():
            return await self._log_in(request, form)

    async def log_out(self, request: Request) -> Response:
        asking: Caller | None = request.scope["caller"]
        if asking is not None:
            await self._sessions.log_out(asking, address=address(request.scope))
        return self._frame.go(self._frame.link("login"), headers=cookie.forgetting())

    async def _log_in(self, request: Request, form: dict[str, list[str]]) -> Response:
        name = _only(form.get("name")).strip().lower()
        place = self._place(form.get("next", []))
        if not await self._sessions.can_be():
            raise HTTPException(401, NO_WAY_IN, {"www-authenticate": "Bearer"})
        came_from = address(request.scope)
        wait = await self._has_to_wait(name, came_from)
        if wait is not None:
            seconds = max(1, math.ceil(wait.total_seconds()))
            return self._form(
                request, place, name=name, status=429, headers={"retry-after": str(seconds)},
                trouble=f"There were too many tries. Wait {seconds} seconds, then try again.",
            )  # fmt: skip
        made = await self._sessions.log_in(
            name, _only(form.get("password")), before=request.scope["headers"], address=came_from
        )
        if made is None:
            headers = {"www-authenticate": "Bearer"}
            return self._form(request, place, name=name, status=401, headers=headers, trouble=WRONG)
        # By way of the login page: that can tell whether the cookie was kept.
        link = self._frame.link("login", entered="yes", next=place)
        return self._frame.go(link, headers=cookie.setting(made))

    async def _has_to_wait(self, name: str, came_from: str | None) -> timedelta | None:
        """Count this try; how long to wait where there have been too many from the address, or of a name that an account can have.

        A name is counted only while its address may try, or names that somebody makes up would fill the table.
        """
        wait = await self._over(_of_address(came_from), OF_AN_ADDRESS)
        if wait is None and accounts.NAME.fullmatch(name):
            wait = await self._over(_of_name(name), OF_A_NAME)
        return wait

    async def _over(self, subject: str, most: int) -> timedelta | None:
        tries = (await accounts.count(self._pool, [subject]))[subject]
        return tries.ends_in if tries.attempts > most else None

    def _form(
        self,
        request: Request,
        place: str,
        *,
        trouble: str,
        name: str = "",
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        return self._frame.show(
            request, "login.html", place="", title="Log in", now=None, status=status,
            headers=headers, next=place, name=name[:100], trouble=trouble,
        )  # fmt: skip

    def _place(self, said: list[str]) -> str:
        """Where to go then: a page of the dashboard, by exact parse; the overview where anything else was said."""
        return said[0] if len(said) == 1 and self._is_page(said[0]) else self._frame.link()

    def _is_page(self, text: str) -> bool:
        if len(text) > LONGEST_PLACE or not _is_plain(text):
            return False
        try:
            parts = urlsplit(text)
        except ValueError:
            return False
        ways = {self._frame.link("login"), self._frame.link("logout")}
        inside = self._frame.covers(parts.path) and parts.path not in ways
        turns_back = any(unquote(one) in {".", ".."} for one in parts.path.split("/"))
        return inside and not turns_back and not (parts.scheme or parts.netloc or parts.fragment)


def _is_plain(text: str) -> bool:
    """Only what needs no encoding in an address, and nothing that browsers read as another character."""
    return text.isascii() and text.isprintable() and not set(text) & set(' \\"<>')


def _is_looking(request: Request) -> bool:
    """Whether a browser asks for what its window is to show: not a script, which would take the form for the page."""
    if "hx-request" in request.headers:
        return False
    mode = request.headers.get("sec-fetch-mode")
    if mode is not None:
        return mode == "navigate"
    return "text/html" in request.headers.get("accept", "")


def _only(said: list[str] | None) -> str:
    return said[0] if said and len(said) == 1 else ""


def _of_name(name: str) -> str:
    """Hashed: some type their password where the name belongs."""
    return "name " + hashlib.sha256(name.encode()).hexdigest()[:32]


def _of_address(came_from: str | None) -> str:
    if came_from is None or ":" not in came_from:
        return f"address {came_from}"
    home = ip_network(f"{came_from.partition('%')[0]}/{HOME_NETWORK}", strict=False)
    return f"address {home}"
