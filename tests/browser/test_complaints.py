"""The browser of these tests finds fault: with each thing that a page can do wrong, and with nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from browsing import Visit, serving, visiting
from support import until

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]


@asynccontextmanager
async def showing(browser: Browser, body: str, policy: str | None = None) -> AsyncIterator[Visit]:
    """A visit to a page with this body, at `/`."""

    async def page(_request: Request) -> Response:
        headers = {} if policy is None else {"content-security-policy": policy}
        return HTMLResponse(f"<!doctype html><title>page</title>{body}", headers=headers)

    async def blank(_request: Request) -> Response:
        return Response(status_code=204)

    async def elsewhere(_request: Request) -> Response:
        return RedirectResponse("/")

    routes = [Route("/", page), Route("/elsewhere", elsewhere)]
    routes += [Route(path, blank) for path in ("/blank", "/favicon.ico")]
    async with serving(Starlette(routes=routes)) as url, visiting(browser, url) as visit:
        yield visit


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<script>console.error('broken', 1)</script>", "console error: broken 1"),
        ("<script>console.warn('odd')</script>", "console warning: odd"),
        ("<script>console.assert(1 > 2, 'no')</script>", "console assert: no"),
        ("<script>null.nothing</script>", "error: Cannot read properties of null"),
        ("<script>setTimeout(() => { throw Error('late') })</script>", "error: late"),
        ("<script>Promise.reject(Error('unheard'))</script>", "error: unheard"),
        ("<script>alert('xss')</script>", "dialog alert: xss"),
        ("<img src=/missing alt=x>", "response: 404 http://127.0.0.1"),
        ("<script>fetch('/missing')</script>", "response: 404 http://127.0.0.1"),
        ("<img src=http://127.0.0.1:9 alt=x>", "request: GET http://127.0.0.1:9/: net::ERR_"),
    ],
)  # fmt: skip
async def test_what_a_page_does_wrong_fails_its_test(
    chromium: Browser, body: str, complaint: str
) -> None:
    async def visit() -> None:
        async with showing(chromium, body) as visit:
            await visit.page.goto("/", wait_until="networkidle")

    with pytest.raises(AssertionError, match=complaint):
        await visit()


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ("<script>run()</script>", "script-src-elem refused inline"),
        ("<p onclick='run()'>", "script-src-attr refused inline"),
        ("<style>p { color: red }</style>", "style-src-elem refused inline"),
        ("<p style='color: red'>", "style-src-attr refused inline"),
        ("<img src=data:image/gif;base64,R0lGODlhAQABAAAAACw= alt=x>", "img-src refused data"),
        ("<script src=//127.0.0.1:9/></script>", "script-src-elem refused http://127.0.0.1:9/"),
        ("<form action=/blank></form>", "form-action refused http"),
    ],
)  # fmt: skip
async def test_what_the_policy_refuses_fails_its_test(
    chromium: Browser, body: str, refused: str
) -> None:
    policy = "default-src 'none'; form-action 'none'"

    async def visit() -> None:
        async with showing(chromium, body, policy) as visit:
            await visit.page.goto("/")
            await visit.page.evaluate("document.forms[0]?.requestSubmit()")
            await until(lambda: any("policy" in line for line in visit.complaints.lines))

    with pytest.raises(AssertionError, match=f"policy: {refused}"):
        await visit()


async def test_a_page_that_opens_another_answers_for_it(chromium: Browser) -> None:
    body = """<a href="/?2" target=_blank>more</a>
        <script>if (location.search) console.error("from another")</script>"""

    async def visit() -> None:
        async with showing(chromium, body) as visit:
            await visit.page.goto("/")
            async with visit.page.context.expect_page() as opened:
                await visit.page.get_by_role("link").click()
            await (await opened.value).wait_for_load_state()

    with pytest.raises(AssertionError, match="console error: from another"):
        await visit()


async def test_a_page_without_fault_passes(chromium: Browser) -> None:
    body = "<script>console.log('well'); fetch('/blank')</script>"
    async with showing(chromium, body) as visit:
        await visit.page.goto("/elsewhere")
        await visit.page.reload()


async def test_a_complaint_that_is_expected_must_come(chromium: Browser) -> None:
    async with showing(chromium, "") as visit:
        async with visit.expecting("404"):
            await visit.page.goto("/missing")
        with pytest.raises(AssertionError, match="expected a complaint about"):
            async with visit.expecting("404"):
                await visit.page.goto("/")


async def test_a_visit_knows_nothing_of_the_one_before(chromium: Browser) -> None:
    body = "<script>document.title = localStorage.seen ?? 'new'; localStorage.seen = 'old'</script>"
    async with showing(chromium, body) as visit:
        for title in ("new", "old"):
            await visit.page.goto("/")
            assert await visit.page.title() == title
        url = visit.page.url
    async with showing(chromium, body) as visit:
        assert url != visit.page.url
        await visit.page.goto("/")
        assert await visit.page.title() == "new"
