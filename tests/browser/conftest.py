"""One Chromium for each process that tests, and the database of a test on the loop that it lives on."""

import shutil
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from pillars.jobs.connected import using
from pillars.store.database import Database


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The Chromium that is installed, headless, closed at the end of the run.

    Playwright leaves out its sandbox, which Chromium refuses to root, and which pages of our own do not need.
    """
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def database(db: str) -> AsyncIterator[Database]:
    """As everywhere, opened on the loop of the browser."""
    async with using(Database(db)) as opened:
        yield opened
