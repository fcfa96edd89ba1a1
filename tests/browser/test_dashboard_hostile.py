"""What others wrote, in every text that is stored and in every address, opened in a browser: nothing of it becomes a part of a page.

A page's skeleton, its elements with the names of their attributes, must be that of the same page with a harmless word. Dialogs,
refusals of the policy and whatever else a browser complains about fail the visit.
"""

from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from browser.overseeing import dashboard
from browsing import Visit, serving, visiting, web_of
from hostile import fill
from pillars.jobs.connected import using
from pillars.store.database import Database
from support import ask

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]

PAYLOADS = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    '"><svg/onload=alert(4)>',
    "'><b onmouseover='alert(5)'>",
    "' autofocus onfocus='alert(6)",
    '" autofocus onfocus="alert(7)',
    "` onmouseover=alert(8) `",
    "</title></textarea></pre></code></dialog><script>alert(9)</script>",
    "<!--><script>alert(10)</script-->",
    "]]><script>alert(11)</script>",
    "<iframe srcdoc='<script>parent.alert(12)</script>'></iframe>",
    "<style>*{display:none}</style>",
    "<link rel=stylesheet href=//127.0.0.1:9/>",
    "<base href=//127.0.0.1:9/>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(16)'>",
    "<form action=//127.0.0.1:9/><button>Sign in</button></form>",
    "<a href=javascript:alert(18)>here</a>",
    "javascript:alert(19)",
    "<p hx-get=/api/jobs hx-trigger=load hx-target=body>",
    "<hx-partial hx-target='#main'><b>x</b></hx-partial>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(22)>",
    "&lt;script&gt;alert(23)&lt;/script&gt; &#60;img src=x&#62;",
    "{{ 7 * 7 }}{% raw %}${7*7}#{7*7}<%= 7 %>",
    "\u202e\u2066<b>\u2028\u2029\x1b]8;;javascript:alert(25)\x07\ufeff+ADw-script+AD4-",
]  # fmt: skip
PLAIN = [f"plain words {number}" for number in range(len(PAYLOADS))]
LISTS = ["", "/jobs", "/jobs?state=running", "/jobs?state=waiting", "/jobs?state=failed", "/queues", "/names", "/schedules", "/workers"]  # fmt: skip
SKELETON = """() => [...document.querySelectorAll("*")]
    .filter((one) => !one.matches("p.aside") || !one.textContent.startsWith("Count"))  // as old as the counts are
    .map((one) => [one.localName, ...one.getAttributeNames().filter((name) => !["class", "data-htmx-powered"].includes(name)).sort()].join(" "))
    .join("\\n")"""
OF_PLAIN_TEXT = {"html", "head", "meta", "body", "pre", "div"}  # how Chromium shows what is no page
SUBMIT = """([action, fields]) => {
    const form = Object.assign(document.createElement("form"), { method: "post", action });
    for (const [name, value] of Object.entries(fields)) {
        form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    }
    document.body.append(form);
    HTMLFormElement.prototype.submit.call(form);
}"""


async def skeleton(page: Page) -> str:
    return str(await page.evaluate(SKELETON))


async def shown(visit: Visit, path: str) -> str:
    await visit.page.goto(f"/dashboard{path}")
    return await skeleton(visit.page)


async def looked_again(visit: Visit) -> str:
    """The skeleton after the page has asked for itself anew and merged what it got."""
    async with visit.page.expect_response(lambda one: one.request.resource_type == "fetch"):
        await visit.page.evaluate("htmx.trigger(document.getElementById('main'), 'refresh')")
    await visit.settle()
    return await skeleton(visit.page)


@pytest.mark.slow  # a hundred pages
async def test_nothing_that_is_stored_becomes_a_part_of_a_page(
    db: str, chromium: Browser, database: Database, other_db: str
) -> None:
    hostile, plain = await fill(db, PAYLOADS), await fill(other_db, PLAIN)
    assert len(hostile) == len(PAYLOADS) >= 25
    async with using(Database(other_db)) as harmless, dashboard(chromium, harmless) as visit:
        expected = {path: await shown(visit, path) for path in LISTS}
        job = await shown(visit, f"/jobs/{plain[PLAIN[0]]}")
    assert len({job, *expected.values()}) > 5
    async with dashboard(chromium, database) as visit:
        for path in LISTS:
            assert await shown(visit, path) == expected[path], path
            assert await looked_again(visit) == expected[path], path
        for said, job_id in hostile.items():
            assert await shown(visit, f"/jobs/{job_id}") == job, said
            assert await visit.page.title() != "", said


@pytest.mark.slow  # fifty pages
async def test_nothing_in_an_address_becomes_a_part_of_a_page(
    chromium: Browser, database: Database
) -> None:
    async with dashboard(chromium, database) as visit:
        expected: dict[str, str] = {}
        for said in ["plain words", *PAYLOADS]:
            told = quote(said, safe="")
            async with visit.expecting("400"):
                for path in (f"/jobs?tag={told}&said={told}&done={told}", f"/jobs?name={told}"):
                    found = await shown(visit, path)
                    place = path.replace(told, "")
                    assert found == expected.setdefault(place, found), (path, said)
        async with visit.expecting("404"):
            for said in PAYLOADS[:5]:
                found = await shown(visit, f"/{quote(said, safe='')}")
                assert found == expected.setdefault("/", found), said
    assert len(expected) == 3


async def test_nothing_of_a_form_becomes_a_part_of_its_refusal(
    db: str, chromium: Browser, database: Database
) -> None:
    await fill(db, PAYLOADS[:3])
    running = await ask(db, "select job_id from pillars.jobs where locked_by is not null limit 1")
    async with dashboard(chromium, database) as visit:
        expected: dict[str, str] = {}
        for said in ["plain words", *PAYLOADS[:3]]:
            form = {"job_id": str(running), "action": said, said: said}
            for path, status in ((f"jobs/{running}/retry", "409"), ("jobs", "400"), ("queues/q/pause", "404")):  # fmt: skip
                await visit.page.goto("/dashboard/workers")
                async with visit.expecting(status), visit.page.expect_navigation():
                    await visit.page.evaluate(SUBMIT, [f"/dashboard/{path}", form])
                found = await skeleton(visit.page)
                assert found == expected.setdefault(path, found), (path, said)


async def test_nothing_in_an_answer_of_the_api_is_taken_for_a_page(
    db: str, chromium: Browser, database: Database
) -> None:
    async def theirs(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=204)(scope, receive, send)  # a browser asks for an icon

    hostile = await fill(db, PAYLOADS)
    paths = ["jobs?limit=200", f"jobs/{hostile[PAYLOADS[0]]}", "jobs/stats", "schedules", "queues", "workers"]  # fmt: skip
    async with (
        serving(web_of(database, theirs)) as url,
        visiting(chromium, url) as visit,
    ):
        for path in [*(f"/api/{path}" for path in paths), "/metrics"]:
            await visit.page.goto(path)
            elements = {line.partition(" ")[0] for line in (await skeleton(visit.page)).split("\n")}  # fmt: skip
            assert elements <= OF_PLAIN_TEXT, path
            assert "alert(1)" in await visit.page.content(), path
