"""A real Chromium: it shows pages as users meet them, and a test fails on whatever a browser complains about."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import anyio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    WebError,
    expect,
)
from starlette.types import ASGIApp

from pillars.service.process import Process
from pillars.service.serving import serve
from pillars.store.database import Database
from pillars.web.pillar import Web
from process.pillar import ROOT, app, told
from support import PATIENCE, settings_for, until

Scheme = Literal["light", "dark"]

DESK = (1280, 900)  # CSS pixels
PHONE = (375, 720)
GRACE = timedelta(seconds=3)
SPOKEN = {"error", "warning", "assert"}  # kinds of console messages that are complaints
GIVEN_UP = "net::ERR_ABORTED"  # what the browser says of itself: a page was left, or downloads
TURN = "new Promise((done) => setTimeout(done))"  # what was due before it has happened
expect.set_options(timeout=PATIENCE * 1000)  # a hang limit, as everywhere

# The console tells of refusals in words that change with the browser; the event names what was refused, and where.
WATCH_POLICY = """
document.addEventListener("securitypolicyviolation", (event) =>
  complain(`${event.effectiveDirective} refused ${event.blockedURI} at ${event.sourceFile || event.documentURI}:${event.lineNumber} ${event.sample}`));
"""


@dataclass  # no slots: Playwright keeps its wrapping of a handler on the handler's object
class Complaints:
    """What a browser found wrong with pages, one line each."""

    lines: list[str] = field(default_factory=list)
    answers: list[bool] = field(default_factory=list)
    """What to answer the next questions; a dialog without an answer is a complaint."""

    def of(self, context: BrowserContext) -> None:
        """Collect everything that the pages of a context say from now on."""
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)
        context.on("dialog", self._dialog)

    def policy(self, said: str) -> None:
        self.lines.append(f"policy: {said}")

    @contextmanager
    def expected(self, *words: str) -> Iterator[None]:
        """Let the block cause complaints that contain one of the words; each word must have been heard."""
        before = len(self.lines)
        yield
        new = self.lines[before:]
        unheard = [word for word in words if not any(word in line for line in new)]
        assert not unheard, f"expected a complaint about {unheard}, got {new}"
        self.lines[before:] = [line for line in new if not any(word in line for word in words)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in SPOKEN:
            self.lines.append(f"console {message.type}: {message.text}")

    def _error(self, error: WebError) -> None:
        self.lines.append(f"error: {error.error}")

    def _failed(self, request: Request) -> None:
        if request.failure != GIVEN_UP:
            self.lines.append(f"request: {request.method} {request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.lines.append(f"response: {response.status} {response.url}")

    async def _dialog(self, dialog: Dialog) -> None:
        if not self.answers:
            self.lines.append(f"dialog {dialog.type}: {dialog.message}")
        agreed = self.answers.pop(0) if self.answers else False
        await (dialog.accept() if agreed else dialog.dismiss())


@dataclass(frozen=True, slots=True)
class Visit:
    """One person's look at a site: a page, its address, and what the browser complained about."""

    page: Page
    complaints: Complaints

    async def settle(self) -> None:
        """Let complaints that are on their way arrive."""
        await self.page.evaluate(TURN)

    @asynccontextmanager
    async def expecting(self, *words: str) -> AsyncIterator[None]:
        """As `Complaints.expected`, with what is still on its way."""
        with self.complaints.expected(*words):
            yield
            await self.settle()


@asynccontextmanager
async def visiting(
    browser: Browser,
    url: str,
    *,
    scheme: Scheme = "light",
    size: tuple[int, int] = DESK,
    scripts: bool = True,
    **options: Any,
) -> AsyncIterator[Visit]:
    """A page of a browser that knows nothing yet, with addresses relative to `url`; complaints fail the block."""
    width, height = size
    context = await browser.new_context(
        base_url=url,
        color_scheme=scheme,
        java_script_enabled=scripts,
        viewport={"width": width, "height": height},
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
        **options,
    )
    context.set_default_timeout(PATIENCE * 1000)
    try:
        complaints = Complaints()
        complaints.of(context)
        if scripts:
            await context.expose_function("complain", complaints.policy)
            await context.add_init_script(WATCH_POLICY)
        visit = Visit(await context.new_page(), complaints)
        yield visit
        if scripts:
            await visit.settle()
        assert not complaints.lines, "\n".join(complaints.lines)
    finally:
        await context.close()


@asynccontextmanager
async def serving(application: ASGIApp) -> AsyncIterator[str]:
    """An application on a real socket, in this process; its address."""
    stopping, addresses = anyio.Event(), list[str]()
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        served = partial(
            serve, application, host="127.0.0.1", port=0, grace=GRACE,
            stopping=stopping, started=addresses.append,
        )  # fmt: skip
        group.start_soon(served)
        await until(lambda: bool(addresses))
        try:
            yield addresses[0]
        except Exception as error:  # noqa: BLE001 - raised below: a task group would wrap it
            failure = error
        stopping.set()
    if failure is not None:
        raise failure


def web_of(database: Database, application: object | None = None, **flags: object) -> ASGIApp:
    """What `app web` serves, without tokens, to this machine."""
    process = Process("web", settings_for(database.address.url, **flags), database, ready=True)
    return Web(process, application).asgi


@asynccontextmanager
async def starter(folder: Path, dsn: str, *pillars: str, **more: str) -> AsyncIterator[str]:
    """This repository's app as real processes: `web`, whose address it is, and those of `worker` and `cron` that are named."""
    environ = {
        "HOST": "127.0.0.1",
        "PORT": "0",
        "PILLARS_LOCK": "5s",
        "PILLARS_DRAIN": "1s",
        **more,
    }
    with ExitStack() as stack:
        web, *others = [
            stack.enter_context(app(folder, dsn, pillar, project=ROOT, **environ))
            for pillar in ("web", *pillars)
        ]
        for one in (web, *others):
            await one.ready()
        (line,) = told(web, "web.ready")
        yield str(line["url"])
