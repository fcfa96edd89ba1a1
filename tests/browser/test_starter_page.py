"""The starter's page as people use it: in a browser, by mouse and by keyboard, on a desk and on a phone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from playwright.async_api import Browser, FilePayload, Page, expect

from browsing import PHONE, Scheme, Visit, serving, starter, visiting, web_of
from jobs import exports, findings, uploads
from judging import faults
from page import receiving
from page.app import app
from pillars import Job
from pillars.store.database import Database
from process.pillar import ROOT, ready_app
from support import ask, running, worker_for

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]

JOBS = [
    one
    for module in (uploads, findings, exports)
    for one in vars(module).values()
    if isinstance(one, Job)
]
ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>"
STAYED = "() => window.stayed = true"
HAS_STAYED = "() => window.stayed === true"


def orders(count: int) -> FilePayload:
    rows = "".join(f"{n},Zoë,{n % 7}.50,2024-05-{n % 28 + 1:02}\n" for n in range(count))
    content = f"id,customer,amount,day\n{rows}".encode()
    return {"name": "orders.csv", "mimeType": "text/csv", "buffer": content}


@asynccontextmanager
async def at_home(
    browser: Browser, database: Database, *, worker: bool = True, **options: object
) -> AsyncIterator[Visit]:
    """The page, and a worker for what it asks."""
    async with serving(web_of(database, app)) as url, visiting(browser, url, **options) as visit:  # type: ignore[arg-type]
        await visit.page.goto("/")
        if not worker:
            yield visit
            return
        async with running(worker_for(database, *JOBS, project=ROOT)):
            yield visit


async def send(page: Page, file: FilePayload) -> None:
    await page.get_by_label("Upload a file").set_input_files(file)
    await page.get_by_role("button", name="Upload", exact=True).click()
    await page.wait_for_url("**/uploads/*")


@pytest.mark.slow  # two processes begin
async def test_a_file_is_uploaded_analysed_and_downloaded_on_one_page(
    db: str, chromium: Browser, tmp_path: Path
) -> None:
    async with starter(tmp_path, db) as url, visiting(chromium, url) as visit:
        page = visit.page
        await page.goto("/")
        await send(page, orders(2000))
        await expect(page.get_by_role("list", name="Stages")).to_contain_text("Received")
        await expect(page.get_by_role("heading", name="Columns")).to_be_hidden()
        await page.evaluate(STAYED)
        async with ready_app(tmp_path, db, "worker", project=ROOT):
            await expect(page.get_by_text("2,000 rows", exact=True)).to_be_visible()
            await expect(page.get_by_role("row", name="customer text")).to_contain_text("Zoë")
            assert await page.evaluate(HAS_STAYED)
            await page.get_by_role("button", name="Write 2,000 rows as XML").click()
            async with page.expect_download() as download:
                await page.get_by_role("link", name="Download XML").click()
        file = await download.value
        assert file.suggested_filename == "orders.csv.xml"
        rows = list(ET.parse(await file.path()).getroot())
        assert [cell.text for cell in rows[-1]] == ["1999", "Zoë", "4.50", "2024-05-12"]
        assert len(rows) == 2000


@pytest.mark.slow  # the page asks again after 10 s
async def test_the_pulse_of_cron_arrives_by_itself(
    db: str, chromium: Browser, tmp_path: Path
) -> None:
    async with starter(tmp_path, db, "worker") as url, visiting(chromium, url) as visit:
        await visit.page.goto("/")
        await expect(visit.page.get_by_text("no pulse yet")).to_be_visible()
        await visit.page.evaluate(STAYED)
        await ask(db, "select pillars.enqueue('jobs.upkeep.pulse')")
        await expect(visit.page.get_by_text("last pulse")).to_be_visible()
        assert await visit.page.evaluate(HAS_STAYED)


async def test_a_file_that_cannot_be_read_is_told_in_words(
    chromium: Browser, database: Database
) -> None:
    async with at_home(chromium, database) as visit:
        await send(visit.page, {"name": "a.out", "mimeType": "", "buffer": b"\x7fELF\x02\x01\0"})
        told = "This file cannot be analysed. It is a program."
        await expect(visit.page.get_by_text(told)).to_be_visible()
        assert await faults(visit.page) == []
        await visit.page.get_by_role("link", name="Three Pillars").click()
        await expect(visit.page.get_by_role("row", name="a.out")).to_contain_text("refused")


async def test_a_file_that_is_too_large_is_told_beside_the_button(
    chromium: Browser, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "LARGEST", 1000)
    async with at_home(chromium, database, worker=False) as visit:
        await visit.page.get_by_label("Upload a file").set_input_files(orders(100))
        button = visit.page.get_by_role("button", name="Upload", exact=True)
        async with visit.expecting("413"):
            await button.click()
            await expect(visit.page.get_by_text("A file may have 1,000 bytes.")).to_be_visible()
        await expect(button).to_be_enabled()


async def test_an_upload_that_breaks_off_is_told_beside_the_button(
    chromium: Browser, database: Database
) -> None:
    async with at_home(chromium, database, worker=False) as visit:
        await visit.page.get_by_label("Upload a file").set_input_files(orders(100))
        await visit.page.context.set_offline(True)
        async with visit.expecting("ERR_INTERNET_DISCONNECTED"):
            await visit.page.get_by_role("button", name="Upload", exact=True).click()
            await expect(visit.page.get_by_text("The upload broke off. Try again.")).to_be_visible()


async def test_nothing_is_sent_before_a_file_is_chosen(
    chromium: Browser, database: Database
) -> None:
    async with at_home(chromium, database, worker=False) as visit:
        await visit.page.get_by_role("button", name="Upload", exact=True).click()
        assert await visit.page.evaluate("document.querySelector('input:invalid').name") == "file"
    assert await ask(database.address.url, "select count(*) from uploads") == 0


async def test_it_works_by_keyboard_alone(chromium: Browser, database: Database) -> None:
    async with at_home(chromium, database) as visit:
        page, keys = visit.page, visit.page.keyboard
        async with page.expect_file_chooser() as chooser:
            await tab_to(page, "#file")
            await keys.press("Space")
        await (await chooser.value).set_files(orders(10))
        await keys.press("Tab")
        await expect(page.get_by_role("button", name="Upload", exact=True)).to_be_focused()
        assert (
            await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        )
        await keys.press("Enter")
        await page.wait_for_url("**/uploads/*")
        write = page.get_by_role("button", name="Write 10 rows as XML")
        await expect(write).to_be_visible()
        await tab_to(page, "button")
        await keys.press("Enter")
        await expect(page.get_by_role("link", name="Download XML")).to_be_visible()
        await tab_to(page, "a.button")
        async with page.expect_download() as download:
            await keys.press("Enter")
        assert (await download.value).suggested_filename == "orders.csv.xml"


async def tab_to(page: Page, selector: str) -> None:
    """Press Tab until this has the focus; it must come within ten."""
    for _ in range(10):
        await page.keyboard.press("Tab")
        if await page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"no {selector} within ten presses of Tab")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_easy_to_read_on_a_desk_and_on_a_phone(
    chromium: Browser, database: Database, scheme: Scheme
) -> None:
    async with at_home(chromium, database, scheme=scheme) as visit:
        page = visit.page
        assert await faults(page) == []
        await send(page, orders(50))
        await expect(page.get_by_role("button", name="Write 50 rows as XML")).to_be_visible()
        for width, height in ((1280, 900), PHONE):
            await page.set_viewport_size({"width": width, "height": height})
            assert await faults(page) == []


@pytest.mark.slow  # the page asks again every 2 s
async def test_it_works_without_scripts(chromium: Browser, database: Database) -> None:
    async with at_home(chromium, database, scripts=False) as visit:
        await send(visit.page, orders(10))
        await visit.page.get_by_role("button", name="Write 10 rows as XML").click()
        await expect(visit.page.get_by_role("link", name="Download XML")).to_be_visible()


async def test_names_and_cells_of_files_are_shown_and_never_run(
    chromium: Browser, database: Database
) -> None:
    name = f"{ATTACK}.csv".replace("/", "")
    content = f"{ATTACK},b\n{ATTACK},{ATTACK}\n".encode()
    async with at_home(chromium, database) as visit:
        await send(visit.page, {"name": name, "mimeType": "text/csv", "buffer": content})
        await expect(visit.page.get_by_role("cell", name=ATTACK).first).to_be_visible()
        await expect(visit.page.get_by_role("heading", name="<img src=x")).to_be_visible()
        await visit.page.goto("/")
        await expect(visit.page.get_by_role("link", name="<img src=x")).to_be_visible()
