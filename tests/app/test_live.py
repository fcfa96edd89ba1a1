"""Jobs that visitors of the page watch, hold and end: the export, which goes on where it was cut off, and the crawler."""

import xml.etree.ElementTree as ET
from typing import Any
from uuid import UUID

import httpx2
import pytest

from app.visiting import analysed, ask, orders
from jobs import crawling, exports
from jobs.crawling import Links, crawl, walk
from jobs.exports import export_rows
from jobs.uploads import examine
from pillars.testing import Jobs

HTML = {"accept": "text/html", "sec-fetch-site": "same-origin"}


async def test_an_export_goes_on_where_it_was_cut_off(
    client: httpx2.AsyncClient, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await analysed(client, jobs, "orders.csv", orders(9_000))
    url = (await client.post("/exports", data={"upload_id": upload["upload_id"]})).json()["url"]
    write = exports.Document.write

    def breaks(self: exports.Document, rows: Any) -> bytes:
        if self.rows == 4_000:
            raise OSError("the machine is gone")
        return write(self, rows)

    monkeypatch.setattr(exports.Document, "write", breaks)
    [ran] = await jobs.drain(with_failures=True)
    assert isinstance(ran.error, OSError)
    assert await ask("select (row_count, chunks)::text from exports") == "(4000,2)"
    monkeypatch.undo()
    jobs.move_time("1m")
    await jobs.drain()
    rows = list(ET.fromstring((await client.get(url)).content))
    assert [int(row.attrib["number"]) for row in rows] == list(range(1, 9_001))


async def test_an_export_says_how_far_it_is(client: httpx2.AsyncClient, jobs: Jobs) -> None:
    upload = await analysed(client, jobs, "orders.csv", orders(5_000))
    await client.post("/exports", data={"upload_id": upload["upload_id"]})
    page = await client.get(f"/uploads/{upload['upload_id']}", headers=HTML)
    assert "data-job=" in page.text
    [ran] = await jobs.drain()
    assert ran.said[-1].kind == "progress"
    assert ran.said[-1].body == {"done": 5_000, "total": 5_000, "message": "rows written"}


@pytest.mark.parametrize(
    ("acts", "state"),
    [(["pause"], "paused"), (["pause", "resume"], "ready"), (["abort"], "cancelled")],
)
async def test_a_visitor_pauses_resumes_and_aborts(
    client: httpx2.AsyncClient, jobs: Jobs, acts: list[str], state: str
) -> None:
    del jobs
    job_id = (await client.post("/crawls")).json()["job_id"]
    for act in acts:
        answer = await client.post(f"/jobs/{job_id}/{act}")
        assert (answer.status_code, answer.json()["done"]) == (200, True)
    assert await crawl.handle(job_id).state() == state
    if state == "cancelled":
        error = "select last_error from pillars.all_jobs where job_id = $1"
        assert await ask(error, UUID(job_id)) == "cancelled by a visitor of the page"


async def test_without_a_script_the_buttons_lead_back_to_the_page(
    client: httpx2.AsyncClient, jobs: Jobs
) -> None:
    del jobs
    job_id = (await client.post("/crawls")).json()["job_id"]
    back = {**HTML, "referer": "http://app/uploads/1"}
    answer = await client.post(f"/jobs/{job_id}/pause", headers=back)
    assert (answer.status_code, answer.headers["location"]) == (303, "http://app/uploads/1")
    elsewhere = {**HTML, "referer": "http://evil.example/"}
    answer = await client.post(f"/jobs/{job_id}/resume", headers=elsewhere)
    assert answer.headers["location"] == "/"
    assert "Looking at every page" in (await client.get("/", headers=HTML)).text


async def test_visitors_may_do_nothing_to_other_jobs(
    client: httpx2.AsyncClient, jobs: Jobs
) -> None:
    del jobs
    handle = await examine.configure(run_in="1h").enqueue(UUID(int=1))
    assert (await client.post(f"/jobs/{handle.job_id}/abort")).status_code == 404
    assert (await client.post(f"/jobs/{UUID(int=7)}/abort")).status_code == 404
    crawler = (await client.post("/crawls")).json()["job_id"]
    assert (await client.post(f"/jobs/{crawler}/retry")).status_code == 404
    for path in ("/crawls", f"/jobs/{crawler}/abort"):
        answer = await client.post(path, headers={"sec-fetch-site": "cross-site"})
        assert answer.status_code == 403
    assert await handle.state() == "scheduled"
    assert await crawl.handle(crawler).state() == "ready"


async def test_there_is_one_crawler(client: httpx2.AsyncClient, jobs: Jobs) -> None:
    del jobs
    first = (await client.post("/crawls")).json()["job_id"]
    assert (await client.post("/crawls")).json()["job_id"] == first


class Said:
    """What a crawl says, kept."""

    def __init__(self) -> None:
        self.pages: list[dict[str, Any]] = []
        self.metadata: dict[str, Any] = {}

    def emit(self, name: str, data: dict[str, Any]) -> None:
        assert name == "page"
        self.pages.append(data)

    def progress(self, done: float, total: float, message: str) -> None:
        assert done <= total
        assert message == "round 1"


def test_a_round_sees_each_page_of_the_site_once(monkeypatch: pytest.MonkeyPatch) -> None:
    site = {
        "http://shop/": ["http://shop/a", "http://shop/b", "http://elsewhere/"],
        "http://shop/a": ["http://shop/", "http://shop/c"],
        "http://shop/b": ["http://shop/c"],
        "http://shop/c": [],
    }

    def look(url: str) -> dict[str, Any]:
        return {"url": url, "status": 200, "ms": 3, "bytes": 10, "links": site[url]}

    monkeypatch.setattr(crawling, "look", look)
    monkeypatch.setattr(crawling, "PAUSE", 0)
    said: Any = Said()
    assert walk(said, "http://shop", 1) == (4, 3)
    assert sorted(page["url"] for page in said.pages) == sorted(site)


def test_links_lead_to_pages_and_to_nothing_else() -> None:
    links = Links("http://shop/a/")
    links.feed(
        '<a href="b#part">b</a><a href="/c">c</a><a href="mailto:x@y">mail</a><a href="/x" download>file</a>'
        '<a href="/dashboard/jobs">ours</a><a href="javascript:void(0)">script</a><a name="top">top</a><a href="http://other/d">d</a>'
    )
    assert links.found == ["http://shop/a/b", "http://shop/c", "http://other/d"]


def test_a_site_that_does_not_answer_is_a_page_of_status_0() -> None:
    page = crawling.look("http://127.0.0.1:9/")
    assert (page["status"], page["bytes"], page["links"]) == (0, 0, [])


def test_both_run_in_processes_of_their_own() -> None:
    assert {export_rows.kind, crawl.kind} == {"process"}
