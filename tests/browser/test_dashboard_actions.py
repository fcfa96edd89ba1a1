"""What people do on the dashboard: by mouse, by keys, without scripts; each effect is seen in the database and on the page."""

import re
from uuid import UUID

import pytest
from playwright.async_api import Browser, Page, expect

from browser.overseeing import dashboard, stock
from pillars.store.database import Database
from support import ask, tell

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]

LOOK = 3000  # ms between two looks of the page's script
STATE = "select state from pillars.all_jobs where job_id = $1"
NEW = "select pillars.enqueue('jobs.orders.send_receipt')"


async def look(page: Page) -> None:
    """Let the page's own clock run on to its next look."""
    await page.clock.fast_forward(LOOK)


async def test_a_failed_job_is_retried_and_a_scheduled_one_is_run_now(
    db: str, chromium: Browser, database: Database
) -> None:
    jobs = await stock(db)
    async with dashboard(chromium, database) as visit:
        page = visit.page
        for state, button in (("failed", "Retry"), ("scheduled", "Run now")):
            await page.goto(f"/dashboard/jobs/{jobs[state]}")
            await page.get_by_role("button", name=button).click()
            await expect(page.get_by_text("The job will run again.")).to_be_visible()
            await expect(page.get_by_role("main").get_by_text("ready", exact=True)).to_be_visible()
            assert await ask(db, STATE, UUID(jobs[state])) == "ready"


async def test_a_refusal_stays_until_somebody_goes_on(
    db: str, chromium: Browser, database: Database
) -> None:
    jobs = await stock(db)
    async with dashboard(chromium, database) as visit:
        page = visit.page
        await page.clock.install()
        await page.goto(f"/dashboard/jobs/{jobs['failed']}")
        await tell(db, "delete from pillars.finished_jobs")
        async with visit.expecting("404"):
            await page.get_by_role("button", name="Retry").click()
            await expect(page.get_by_role("heading", name="Not Found")).to_be_visible()
        for _ in range(2):
            await look(page)
        await visit.settle()
        await expect(page.get_by_role("heading", name="Not Found")).to_be_visible()


async def test_a_job_is_cancelled_only_by_who_is_sure(
    db: str, chromium: Browser, database: Database
) -> None:
    jobs = await stock(db)
    async with dashboard(chromium, database) as visit:
        page = visit.page
        await page.goto(f"/dashboard/jobs/{jobs['ready']}")
        visit.complaints.answers += [False, True]
        await page.get_by_role("button", name="Cancel").click()
        assert await ask(db, STATE, UUID(jobs["ready"])) == "ready"
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_text("The job is cancelled.")).to_be_visible()
        await expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
        assert await ask(db, STATE, UUID(jobs["ready"])) == "cancelled"
        assert visit.complaints.answers == []


async def test_selected_jobs_are_retried_and_the_page_keeps_its_filters(
    db: str, chromium: Browser, database: Database
) -> None:
    jobs = await stock(db)
    async with dashboard(chromium, database) as visit:
        page = visit.page
        await page.goto("/dashboard/jobs?queue=reports.weekly")
        await expect(page.get_by_role("button", name="Retry selected")).to_be_disabled()
        await page.get_by_label("Select all jobs on this page").check()
        await expect(page.get_by_text("8 selected")).to_be_visible()
        await page.get_by_role("button", name="Retry selected").click()
        await expect(page.get_by_text("3 jobs will run again, 5 left as they were")).to_be_visible()
        await expect(page).to_have_url(re.compile(r"jobs\?queue=reports\.weekly$"))
        for state in ("failed", "cancelled", "expired"):
            assert await ask(db, STATE, UUID(jobs[state])) == "ready"


async def test_a_queue_and_a_schedule_are_paused_and_resumed_and_a_schedule_is_run(
    db: str, chromium: Browser, database: Database
) -> None:
    await stock(db)
    paused = "select paused_at is not null from pillars.{} where name = $1"
    async with dashboard(chromium, database) as visit:
        page = visit.page
        for place, name, table in (
            ("queues", "reports.weekly", "queues"),
            ("schedules", "crons.pulse", "schedules"),
        ):
            await page.goto(f"/dashboard/{place}")
            row = page.get_by_role("row", name=name)
            for button, held in (("Pause", True), ("Resume", False)):
                await row.get_by_role("button", name=button).click()
                await expect(page.locator("#notice")).to_be_visible()
                assert await ask(db, paused.format(table), name) is held
                await expect(row.get_by_text("paused", exact=True)).to_be_visible(visible=held)
        await page.get_by_role("button", name="Run now crons.nightly").click()
        await expect(page.locator("#notice")).to_contain_text("The schedule's job was made now")
        assert await ask(
            db,
            "select count(*) = 2 from pillars.jobs where name = 'jobs.orders.send_receipt'",
        )


async def test_everything_works_without_scripts(
    db: str, chromium: Browser, database: Database
) -> None:
    jobs = await stock(db)
    async with dashboard(chromium, database, scripts=False) as visit:
        page = visit.page
        await page.goto("/dashboard")
        await page.get_by_role("link", name="Jobs", exact=True).click()
        await page.get_by_role("link", name="failed").click()
        await page.get_by_label(re.compile("^Select reports.weekly")).check()
        await page.get_by_role("button", name="Retry selected").click()
        await expect(page.get_by_text("1 job will run again.")).to_be_visible()
        assert await ask(db, STATE, UUID(jobs["failed"])) == "ready"
        await page.goto(f"/dashboard/jobs/{jobs['paused']}")
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_text("The job is cancelled.")).to_be_visible()
        await page.goto("/dashboard/jobs")
        await page.get_by_label("Job", exact=True).fill("jobs.orders.send_receipt")
        await page.get_by_role("button", name="Filter").click()
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.goto("/dashboard/queues")
        await page.get_by_role("button", name="Resume mail").click()
        await expect(page.get_by_role("button", name="Pause mail")).to_be_visible()


async def test_a_look_brings_what_is_new_and_keeps_ticks_focus_and_text(
    db: str, chromium: Browser, database: Database
) -> None:
    jobs = await stock(db)
    async with dashboard(chromium, database) as visit:
        page = visit.page
        await page.clock.install()
        await page.goto("/dashboard/jobs")
        rows = page.locator("tbody tr")
        await expect(rows).to_have_count(10)
        box = page.locator(f"#tick-{jobs['failed']}")
        await box.check()
        tag = page.get_by_label("Tag")
        await tag.fill("half a wo")
        new = await ask(db, NEW)
        await look(page)
        await expect(rows).to_have_count(11)
        await expect(box).to_be_checked()
        await expect(tag).to_be_focused()
        await expect(tag).to_have_value("half a wo")
        await expect(page.get_by_text("1 selected")).to_be_visible()
        link = page.locator(f"#to-{jobs['ready']}")
        await link.focus()
        await tell(db, "delete from pillars.jobs where job_id = $1", new)
        await look(page)
        await expect(rows).to_have_count(10)
        await expect(link).to_be_focused()
        await expect(box).to_be_checked()


async def test_a_look_keeps_what_was_opened_and_closed(
    db: str, chromium: Browser, database: Database
) -> None:
    job_id = (await stock(db))["running"]
    await tell(db, "update pillars.attempts set job_id = $1", UUID(job_id))
    async with dashboard(chromium, database) as visit:
        page = visit.page
        await page.clock.install()
        await page.goto(f"/dashboard/jobs/{job_id}")
        newest, oldest = (page.locator(f"#attempt-{n}-{n}") for n in (2, 1))
        await newest.locator("summary").click()
        await oldest.locator("summary").click()
        await tell(db, "update pillars.jobs set context = 'seen' where job_id = $1", UUID(job_id))  # fmt: skip
        await look(page)
        await expect(page.get_by_text("seen", exact=True)).to_be_visible()
        await expect(oldest).to_have_attribute("open", "")
        await expect(newest).not_to_have_attribute("open", "")


async def test_no_look_while_paused_and_one_at_once_when_it_goes_on(
    db: str, chromium: Browser, database: Database
) -> None:
    await stock(db)
    async with dashboard(chromium, database) as visit:
        page = visit.page
        await page.clock.install()
        await page.goto("/dashboard/jobs")
        await page.keyboard.press("p")
        await expect(page.get_by_role("status").get_by_text("paused")).to_be_visible()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await ask(db, NEW)
        for _ in range(3):
            await look(page)
        await visit.settle()
        assert asked == []
        await page.reload()
        await expect(page.get_by_role("status").get_by_text("paused")).to_be_visible()
        await ask(db, NEW)
        await page.keyboard.press("p")
        await expect(page.locator("tbody tr")).to_have_count(12)


async def test_a_server_that_is_away_is_told_and_forgotten_once_it_is_back(
    db: str, chromium: Browser, database: Database
) -> None:
    await stock(db)
    async with dashboard(chromium, database) as visit:
        page = visit.page
        await page.clock.install()
        await page.goto("/dashboard/jobs")
        await page.context.set_offline(True)
        async with visit.expecting("ERR_INTERNET_DISCONNECTED", "Failed to fetch"):
            await look(page)
            await expect(page.get_by_text("no answer")).to_be_visible()
        await expect(page.locator("tbody tr")).to_have_count(10)
        await page.context.set_offline(False)
        await look(page)
        await expect(page.get_by_role("status").get_by_text("live")).to_be_visible()


async def test_keys_go_everywhere(db: str, chromium: Browser, database: Database) -> None:
    await stock(db)
    async with dashboard(chromium, database) as visit:
        page, press = visit.page, visit.page.keyboard.press
        await page.goto("/dashboard")
        for key, place in (("j", "/jobs"), ("q", "/queues"), ("n", "/names"), ("s", "/schedules"), ("w", "/workers"), ("o", "")):  # fmt: skip
            await press("g")
            await press(key)
            await page.wait_for_url(f"**/dashboard{place}")
        await press("?")
        help_ = page.get_by_role("dialog", name="Keys")
        await expect(help_).to_be_visible()
        await press("g")  # while it is open, keys are its own
        await press("j")
        await press("Escape")
        await expect(help_).to_be_hidden()
        assert page.url.endswith("/dashboard")
        await press("/")
        await page.wait_for_url("**/jobs#filter-name")
        await expect(page.get_by_label("Job", exact=True)).to_be_focused()
        await page.keyboard.type("jobs.orders.send_receipt")
        await press("Enter")
        await expect(page.locator("tbody tr")).to_have_count(1)


async def test_keys_move_select_and_retry(db: str, chromium: Browser, database: Database) -> None:
    jobs = await stock(db)
    async with dashboard(chromium, database) as visit:
        page, press = visit.page, visit.page.keyboard.press
        await page.goto("/dashboard/jobs")
        links = page.locator("tbody tr th a")
        for key, at in (("j", 0), ("j", 1), ("j", 2), ("k", 1), ("k", 0), ("k", 0)):
            await press(key)
            await expect(links.nth(at)).to_be_focused()
        await page.locator(f"#to-{jobs['failed']}").focus()
        await press("x")
        await expect(page.locator(f"#tick-{jobs['failed']}")).to_be_checked()
        await expect(page.get_by_text("1 selected")).to_be_visible()
        await press("r")
        await expect(page.get_by_text("1 job will run again.")).to_be_visible()
        assert await ask(db, STATE, UUID(jobs["failed"])) == "ready"
        await page.locator(f"#to-{jobs['expired']}").focus()
        await press("r")
        await expect(page.get_by_text("1 job will run again.")).to_be_visible()
        await page.goto(f"/dashboard/jobs/{jobs['cancelled']}")
        await press("r")
        await expect(page.get_by_text("The job will run again.")).to_be_visible()
        assert await ask(db, "select count(*) = 4 from pillars.all_jobs where state = 'ready'")
