"""Logging in and out in a real browser, which keeps the cookie, or does not."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from browser.overseeing import stock
from browsing import DESK, PHONE, Scheme, Visit, serving, visiting, web_of
from judging import faults
from pillars.service import passwords
from pillars.store import accounts
from pillars.store.database import Database
from pillars.web.dashboard import cookie
from support import ask, tell

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]

TOKEN, VIEW = "operate-0123456789", "view-0123456789abc"
PASSWORD = "correct horse battery"


@asynccontextmanager
async def guarded(browser: Browser, database: Database, **options: Any) -> AsyncIterator[Visit]:
    """A visit to a server with tokens, at which ada has an account."""
    hashed = passwords.hashed(PASSWORD)
    await accounts.add(database.pool, "ada", scope="operate", password_hash=hashed)
    application = web_of(database, token=TOKEN, view_token=VIEW)
    async with serving(application) as url, visiting(browser, url, **options) as visit:
        yield visit


async def enter(page: Page, name: str, password: str) -> None:
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])
async def test_a_person_logs_in_sees_the_page_that_was_asked_for_acts_and_logs_out(
    db: str, chromium: Browser, database: Database, *, scripts: bool
) -> None:
    jobs = await stock(db)
    async with guarded(chromium, database, scripts=scripts) as visit:
        page = visit.page
        await page.goto(f"/dashboard/jobs/{jobs['failed']}?x=1")
        await expect(page).to_have_title("Log in · Three Pillars")
        await expect(page.locator("#live")).to_be_hidden()
        await enter(page, "Ada", PASSWORD)
        await expect(page).to_have_url(re.compile(rf"/dashboard/jobs/{jobs['failed']}\?x=1$"))
        await expect(page.locator("#who")).to_have_text("ada")
        await expect(page.locator("#live")).to_be_visible(visible=scripts)
        await page.get_by_role("button", name="Retry").click()
        await expect(page.get_by_text("The job will run again.")).to_be_visible()
        await page.get_by_role("link", name="Audit").click()
        row = page.locator("#audit-table tbody tr").first
        await expect(row).to_contain_text("ada")
        await expect(row).to_contain_text("job.retry")
        await expect(row).to_contain_text("127.0.0.1")
        await page.get_by_role("button", name="Log out").click()
        await expect(page).to_have_url(re.compile("/dashboard/login$"))
        assert await page.context.cookies() == []
        await page.goto("/dashboard/jobs")
        await expect(page).to_have_url(re.compile(r"/dashboard/login\?next="))


async def test_the_browser_keeps_the_cookie_where_no_script_sees_it(
    chromium: Browser, database: Database
) -> None:
    async with guarded(chromium, database) as visit:
        await visit.page.goto("/dashboard")
        await enter(visit.page, "", TOKEN)
        await expect(visit.page.locator("#who")).to_have_text("PILLARS_TOKEN")
        [kept] = await visit.page.context.cookies()
        assert (kept["name"], kept["path"], kept["sameSite"]) == (cookie.NAME, "/", "Lax")
        assert (kept["secure"], kept["httpOnly"]) == (True, True)
        assert await visit.page.evaluate("document.cookie") == ""


async def test_a_wrong_password_is_told_and_the_name_stays(
    chromium: Browser, database: Database
) -> None:
    async with guarded(chromium, database) as visit:
        page = visit.page
        await page.goto("/dashboard/queues")
        async with visit.expecting("401"):
            await enter(page, "ada", "a wrong password")
            await expect(page.get_by_role("alert")).to_contain_text("No account has this name")
        await expect(page.get_by_label("Name")).to_have_value("ada")
        await expect(page.get_by_label("Password")).to_have_value("")
        await expect(page.get_by_label("Password")).to_be_focused()
        assert await faults(page) == []
        await enter(page, "ada", PASSWORD)
        await expect(page).to_have_url(re.compile("/dashboard/queues$"))


async def test_who_only_reads_sees_no_buttons_but_the_way_out(
    db: str, chromium: Browser, database: Database
) -> None:
    await stock(db)
    async with guarded(chromium, database) as visit:
        page = visit.page
        await page.goto("/dashboard/queues")
        await enter(page, "me", VIEW)
        await expect(page.get_by_role("main").get_by_role("row")).not_to_have_count(0)
        await expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
        await expect(page.get_by_role("link", name="Audit")).to_have_count(0)
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Password")).to_be_visible()


async def test_an_open_page_whose_session_ends_says_so_and_leads_back(
    db: str, chromium: Browser, database: Database
) -> None:
    await stock(db)
    async with guarded(chromium, database) as visit:
        page = visit.page
        await page.clock.install()
        await page.goto("/dashboard/workers")
        await enter(page, "ada", PASSWORD)
        await expect(page.locator("#workers-table")).to_be_visible()
        await tell(db, "delete from pillars.sessions")
        async with visit.expecting("401"):
            await page.clock.fast_forward(3000)
            await expect(page.get_by_role("main")).to_contain_text("Log in, or send the header")
        await page.get_by_role("main").get_by_role("link", name="Log in").click()
        await enter(page, "ada", PASSWORD)
        await expect(page).to_have_url(re.compile("/dashboard/workers$"))
        assert await ask(db, "select count(*) from pillars.sessions") == 1


@pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", DESK), ("dark", DESK), ("light", PHONE), ("dark", PHONE)],
    ids=["light-desk", "dark-desk", "light-phone", "dark-phone"],
)
async def test_the_login_and_the_frame_of_who_is_in_are_easy_to_read_and_use(
    db: str, chromium: Browser, database: Database, scheme: Scheme, size: tuple[int, int]
) -> None:
    await stock(db)
    async with guarded(chromium, database, scheme=scheme, size=size) as visit:
        await visit.page.goto("/dashboard")
        assert await faults(visit.page) == []
        await enter(visit.page, "ada", PASSWORD)
        for path in ("", "/audit"):
            await visit.page.goto(f"/dashboard{path}")
            assert await faults(visit.page) == []
