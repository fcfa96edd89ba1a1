"""Every page of the dashboard: shown without a complaint, easy to read and use, whatever stands in the database."""

import re

import pytest
from playwright.async_api import Browser, expect

from browser.overseeing import STATES, dashboard, stock
from browsing import DESK, PHONE, Scheme
from judging import faults
from pillars.store.database import Database

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]

PLACES = ["", "/jobs", "/queues", "/names", "/schedules", "/workers", "/audit"]
LISTS = [f"/jobs?state={state}" for state in STATES]
A_SENTENCE = re.compile(r"^[A-Z].+\.$", re.DOTALL)
UNKNOWN = "00000000-0000-7000-8000-000000000000"
MISTAKEN = {
    "/jobs?state=lost": "400",
    "/jobs?cursor=x": "400",
    "/jobs?limit=0": "400",
    f"/jobs/{UNKNOWN}": "404",
    "/jobs/1": "404",
}
HOSTILE = "".join(
    [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(2)>",
        "\"'><svg onload=alert(3)>",
        "' onfocus='alert(4)' autofocus='",
        "</textarea></title></code></pre><b id=main>",
        "<style>*{display:none}</style>",
        "<iframe srcdoc='<script>alert(5)</script>'></iframe>",
        "<form action=//evil.example><button>Sign in</button></form>",
        "<a href=javascript:alert(6)>here</a>",
        "<meta http-equiv=refresh content=0;url=//evil.example>",
        "<base href=//evil.example>",
        "<p hx-get=/api/jobs hx-trigger=load>",
        "{{ 7 * 7 }}{% raw %}${7*7}<!--",
        "javascript:alert(7)",
        "\u202e\u0000".replace("\u0000", "\x1b[31m"),
    ]
)
ODD = ["javascript:alert", "a/../b", "a//b", "a/pause", "A.b_c-d:e/f"]  # names, as they may be
INJECTED = "script:not([src]), [onerror], [onload], [onfocus], iframe, style, base, meta[http-equiv], [hx-trigger=load], a[href^='javascript:' i], a[href^='//']"


@pytest.mark.slow  # twenty pages
@pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", DESK), ("dark", DESK), ("light", PHONE), ("dark", PHONE)],
    ids=["light-desk", "dark-desk", "light-phone", "dark-phone"],
)
async def test_every_page_is_easy_to_read_and_use(
    db: str, chromium: Browser, database: Database, scheme: Scheme, size: tuple[int, int]
) -> None:
    jobs = await stock(db)
    async with dashboard(chromium, database, scheme=scheme, size=size) as visit:
        found = {}
        for path in [*PLACES, *LISTS, *(f"/jobs/{job_id}" for job_id in jobs.values())]:
            await visit.page.goto(f"/dashboard{path}")
            found[path] = await faults(visit.page)
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_database_with_nothing_in_it_says_what_to_do_first(
    chromium: Browser, database: Database, scheme: Scheme
) -> None:
    async with dashboard(chromium, database, scheme=scheme, size=PHONE) as visit:
        for path in [*PLACES, LISTS[0]]:
            await visit.page.goto(f"/dashboard{path}")
            await expect(visit.page.get_by_role("main").locator(".empty")).to_be_visible()
            assert await faults(visit.page) == []


async def test_a_wrong_address_is_told_in_words(chromium: Browser, database: Database) -> None:
    async with dashboard(chromium, database) as visit:
        for path, status in MISTAKEN.items():
            async with visit.expecting(status):
                await visit.page.goto(f"/dashboard{path}")
            await expect(visit.page.locator("#detail")).to_have_text(A_SENTENCE)
            assert await faults(visit.page) == []
            await visit.page.get_by_role("main").get_by_role("link", name="Overview").click()
            await visit.page.wait_for_url("**/dashboard")


@pytest.mark.slow  # twenty pages
async def test_what_others_wrote_into_the_database_is_shown_and_never_run(
    db: str, chromium: Browser, database: Database
) -> None:
    jobs = await stock(db, HOSTILE)
    async with dashboard(chromium, database) as visit:
        for path in [*PLACES, *LISTS, *(f"/jobs/{job_id}" for job_id in jobs.values())]:
            await visit.page.goto(f"/dashboard{path}")
            assert await visit.page.locator(INJECTED).count() == 0, path
            assert await faults(visit.page) == [], path
        await expect(visit.page.get_by_role("heading", level=1)).to_contain_text("<img src=x")


@pytest.mark.parametrize("said", ODD)
async def test_links_lead_to_what_they_name(
    db: str, chromium: Browser, database: Database, said: str
) -> None:
    jobs = await stock(db, said)
    async with dashboard(chromium, database) as visit:
        page = visit.page
        await page.goto("/dashboard/queues")
        await page.get_by_role("rowheader", name=said, exact=True).get_by_role("link").click()
        await expect(page.get_by_label("Queue", exact=True)).to_have_value(said)
        await expect(page.locator("tbody tr")).to_have_count(8)
        await page.locator(f"#job-{jobs['failed']}").get_by_role("link").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(said)
        await page.goto("/dashboard/schedules")
        await page.get_by_role("button", name=f"Resume {said}", exact=True).click()
        await expect(page.get_by_role("button", name=f"Pause {said}", exact=True)).to_be_visible()
        await page.goto("/dashboard/queues")
        await page.get_by_role("button", name=f"Pause {said}", exact=True).click()
        await expect(page.get_by_role("button", name=f"Resume {said}", exact=True)).to_be_visible()
