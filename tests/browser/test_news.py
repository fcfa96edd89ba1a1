"""The page of a job that goes on: it is told of news, and needs no look of its own to show it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, expect

from browser.overseeing import dashboard
from pillars import Context, Handle, job
from pillars.store.database import Database
from support import running, until, worker_for

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]

NEVER = "window.setInterval = () => 0"


@job(name="news.follows")
async def follows(ctx: Context) -> str:
    """Says what it is told."""
    async for message in ctx.inbox:
        if message.data == "enough":
            break
        ctx.progress(message.data, 10, "so far")
    return "done"


@asynccontextmanager
async def at_page(chromium: Browser, database: Database) -> AsyncIterator[tuple[Page, Handle[str]]]:
    """The page of a job that runs, at which nothing happens by the clock."""
    async with (
        dashboard(chromium, database) as visit,
        running(worker_for(database, follows)),
    ):
        await visit.page.add_init_script(NEVER)
        handle = await follows.enqueue()
        await visit.page.goto(f"/dashboard/jobs/{handle.job_id}")
        await until(lambda: len(database.streams) == 1)
        yield visit.page, handle
        await handle.send("enough")
        await expect(visit.page.locator("#result")).to_contain_text("done")
        await until(lambda: len(database.streams) == 0)


async def test_what_a_job_says_and_how_it_ends_comes_to_its_page_by_itself(
    chromium: Browser, database: Database
) -> None:
    async with at_page(chromium, database) as (page, handle):
        bar = page.get_by_role("progressbar", name="Progress")
        for done in (3, 7):
            await handle.send(done)
            await expect(page.locator("#progress-said")).to_contain_text(f"({done} of 10) so far")
            await expect(bar).to_have_js_property("value", done / 10)


async def test_a_page_that_is_paused_hears_nothing_until_it_goes_on(
    chromium: Browser, database: Database
) -> None:
    async with at_page(chromium, database) as (page, handle):
        await page.keyboard.press("p")
        await until(lambda: len(database.streams) == 0)
        await handle.send(5)
        await page.keyboard.press("p")
        await expect(page.locator("#progress-said")).to_contain_text("(5 of 10)")
