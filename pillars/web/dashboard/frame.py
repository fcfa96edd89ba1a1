"""What all pages share: where they are, what stands around them, the headers that keep them safe."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pillars import moments
from pillars.codec import clean_text
from pillars.durations import words
from pillars.service.access import Caller
from pillars.settings import Settings
from pillars.settings.redaction import masked
from pillars.store.listing import GLANCE
from pillars.store.states import PAUSABLE, REDRIVABLE, UNFINISHED
from pillars.version import __version__
from pillars.web.dashboard import notices
from pillars.web.dashboard.assets import assets
from pillars.web.problems import LONGEST_DETAIL, Said

PATH = "/dashboard"
SAFE = {
    # Scripts and styles are files of ours: an injected one would not run even if escaping had failed.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
UNSTORED = {**SAFE, "cache-control": "no-store"}
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
SHOWN = {"GET", "HEAD"}
LOG_IN = "log in, or send the header Authorization: Bearer with the value of PILLARS_TOKEN or PILLARS_VIEW_TOKEN"
CANCELLABLE = UNFINISHED
RETRIABLE = (*REDRIVABLE, "scheduled")
NEXT_STEPS = {
    400: "Correct the address, or begin again from the menu.",
    403: "Ask whoever runs this application to let you operate it.",
    404: "Begin again from the menu.",
    409: "Look at it as it is now, and decide anew.",
    503: "Nothing is lost; this page asks again by itself.",
}


def arguments(payload: str | None) -> str:
    """How a payload begins, in one line: without the braces that all have."""
    text = (payload or "").replace("\n", " ").removeprefix("{")
    return text.removesuffix("}") if len(payload or "") < GLANCE else text


def _visible(value: object) -> object:
    """Printed text with the characters escaped that show nothing, or turn the reading direction of what follows."""
    return UNSEEN.sub(_escaped, value) if type(value) is str else value


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


@cache
def environment() -> Environment:
    """The templates, each compiled once; whatever they print is escaped, and a name that is not there is an error."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "age": moments.age,
        "span": moments.span,
        "in_full": moments.in_full,
        "words": words,
        "figure": "{:,}".format,
        "arguments": arguments,
        "sentence": lambda text: text[:1].upper() + text[1:],
    }
    made.globals |= {
        "cancellable": CANCELLABLE,
        "pausable": PAUSABLE,
        "retriable": RETRIABLE,
        "version": __version__,
    }
    made.globals["seconds"] = lambda seconds: moments.span(timedelta(seconds=max(seconds, 0)))
    return made


class Frame:
    """Puts pages together for one process's settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._prefix = settings.prefix
        self._root = settings.prefix + PATH

    def covers(self, path: str) -> bool:
        """Whether a path is one of the dashboard's, or would be."""
        return path == self._root or path.startswith(f"{self._root}/")

    def link(self, *parts: object, **query: object) -> str:
        """The address of a page; a slash within a part is encoded, a filter of None left out."""
        path = "/".join([self._root, *(quote(str(part), safe="") for part in parts)])
        said = urlencode({name: value for name, value in query.items() if value is not None})
        return f"{path}?{said}" if said else path

    def api(self, *parts: str) -> str:
        """The path of something of the API."""
        return "/".join([f"{self._prefix}/api", *parts])

    def asset(self, name: str) -> str:
        return self.link("assets", assets()[name].name)

    def show(
        self,
        request: Request,
        template: str,
        *,
        place: str,
        title: str,
        now: datetime | None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> Response:
        """A page; `place` is its entry of the menu, `now` the database's time, which ages are counted from."""
        page = environment().get_template(template)
        who: Caller | None = request.scope.get("caller")
        text = page.render(
            link=self.link,
            asset=self.asset,
            here=_address(request),
            env=self._settings.env,
            who=who,
            may_operate=who is not None and who.operates,
            notice=notices.said(request.query_params),
            place=place,
            title=title,
            now=now,
            **content,
        )
        return HTMLResponse(text, status, {**UNSTORED, **(headers or {})})

    def go(self, link: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """To the page that shows what became of an action."""
        return RedirectResponse(link, 303, {**UNSTORED, **(headers or {})})

    def login(self, request: Request) -> str:
        """The way to the login, and back to the page that is asked for."""
        return self.link("login", next=_address(request) if request.method in SHOWN else None)

    def refused(self, request: Request, said: Said) -> Response:
        """A page that says why there is none."""
        return self.show(
            request,
            "problem.html",
            place="",
            title=HTTPStatus(said.status).phrase,
            now=None,
            status=said.status,
            headers=said.headers,
            detail=clean_text(said.detail, limit=LONGEST_DETAIL, hide=masked),
            advice=NEXT_STEPS.get(said.status, ""),
            repeats=said.status == 503 and request.method in SHOWN,
            login=self.login(request) if said.status == 401 and said.detail == LOG_IN else None,
        )


def _address(request: Request) -> str:
    """The page that is asked for, without the message of the action before."""
    kept = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in notices.FIELDS
    ]
    path = quote(request.scope["path"])
    return f"{path}?{urlencode(kept)}" if kept else path
