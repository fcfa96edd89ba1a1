"""Jobs of the starter's page, live in a browser: watched, held and ended from there, from a second one, the command line and SQL."""

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from browsing import Visit, starter, visiting
from process.pillar import ROOT
from support import ask, tell

pytestmark = [
    pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow,
]  # fmt: skip

TOKEN = "operate-0123456789"
ROWS = 400_000
UPLOAD = """
insert into uploads (name, state, finished_at, bytes, parsed_bytes, row_count, kind, encoding, columns)
values ('giant.csv', 'done', now(), 1, 1, $1, 'csv', 'utf-8', array['id', 'name', 'note']) returning upload_id
"""
FILL = """
insert into upload_rows (upload_id, number, cells)
select $1, n, array[n::text, 'customer ' || n, repeat('x', 40)] from generate_series(1, $2::bigint) n
"""
EXPORT_JOB = "select job_id from exports"


def box(page: Page) -> Locator:
    return page.get_by_role("region", name="Writing XML")


async def at_export(visit: Visit, db: str) -> tuple[Page, UUID]:
    """A page on which a giant export is under way, and its job."""
    upload_id = await ask(db, UPLOAD, ROWS)
    await tell(db, FILL, upload_id, ROWS)
    page = visit.page
    await page.goto(f"/uploads/{upload_id}")
    await page.get_by_role("button", name=f"Write {ROWS:,} rows as XML").click()
    await expect(box(page).locator(".state")).to_have_text("running")
    await moves(page)
    return page, await ask(db, EXPORT_JOB)


async def done(page: Page) -> float:
    return float(await box(page).get_by_role("progressbar").evaluate("bar => bar.value"))


async def moves(page: Page) -> None:
    """It shows more than it does now."""
    before = await done(page)
    await page.wait_for_function(
        "before => document.querySelector('[data-job] progress')?.value > before", arg=before
    )


async def stands(page: Page, db: str, job_id: UUID) -> None:
    """The page says that it is paused, and nothing more is written."""
    await expect(box(page).locator(".state")).to_have_text("paused")
    written = "select row_count from exports"
    before = await ask(db, written)
    for _ in range(20):
        await ask(db, "select pg_sleep(0.02)")
    assert await ask(db, written) == before
    assert await ask(db, "select paused_at is not null from pillars.jobs where job_id = $1", job_id)


async def test_an_export_is_watched_held_and_ended_from_wherever_one_is(
    db: str, chromium: Browser, tmp_path: Path
) -> None:
    async with (
        starter(tmp_path, db, "worker", PILLARS_TOKEN=TOKEN) as url,
        visiting(chromium, url) as visit,
        visiting(chromium, url) as other,
    ):
        page, job_id = await at_export(visit, db)
        # From the page.
        await box(page).get_by_role("button", name="Pause").click()
        await stands(page, db, job_id)
        await box(page).get_by_role("button", name="Resume").click()
        await moves(page)
        # Reloaded in the middle, it shows all that there was, and goes on.
        before = await done(page)
        await page.reload()
        await expect(box(page).get_by_role("progressbar")).to_be_visible()
        assert await done(page) >= before
        await moves(page)
        # From a second browser.
        await other.page.goto(page.url)
        await box(other.page).get_by_role("button", name="Pause").click()
        await stands(page, db, job_id)
        await expect(box(other.page).locator(".state")).to_have_text("paused")
        # From the command line, and from SQL.
        command(db, "jobs", "resume", str(job_id))
        await moves(page)
        await ask(db, "select pillars.pause($1, 'psql')", job_id)
        await stands(page, db, job_id)
        await ask(db, "select pillars.resume($1)", job_id)
        await moves(page)
        # Ended from the other browser, it is ended here.
        await box(other.page).get_by_role("button", name="Abort").click()
        await expect(page.get_by_text("cancelled by a visitor of the page")).to_be_visible()
        ended = "select state, last_error from pillars.all_jobs where job_id = $1"
        assert await ask(db, f"select state from ({ended}) found", job_id) == "cancelled"


async def test_the_crawler_goes_on_until_it_is_aborted(
    db: str, chromium: Browser, tmp_path: Path
) -> None:
    async with starter(tmp_path, db, PILLARS_TOKEN=TOKEN) as url:
        environ = {"SITE_URL": url, "PILLARS_TOKEN": TOKEN}
        async with starter(tmp_path, db, "worker", **environ), visiting(chromium, url) as visit:
            page = visit.page
            await page.goto("/")
            await page.get_by_role("button", name="Start the crawler").click()
            crawler = page.get_by_role("region", name="Looking at every page")
            await expect(crawler.get_by_role("list")).to_contain_text(f"url={url}/ ")
            await expect(crawler.get_by_role("list")).to_contain_text("crawl.round_ended")
            await crawler.get_by_role("button", name="Abort").click()
            await expect(page.get_by_text("The last one was aborted.")).to_be_visible()
            await expect(page.get_by_role("button", name="Start the crawler")).to_be_visible()


def command(db: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pillars", *words],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DATABASE_URL": db,
            "PILLARS_ENV": "prod",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return json.dumps(done.stdout)
