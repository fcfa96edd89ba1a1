"""The pages: what they show, empty and full, and that they stand in their frame."""

import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import httpx2
import pytest
from starlette.datastructures import QueryParams

from pages import PAGES, end, enqueue, run, words
from pillars import crontab, every, job
from pillars.cron.syncing import sync
from pillars.errors import UsageError
from pillars.service.presence import appear
from pillars.service.process import Process, Role
from pillars.store import listing, oversight
from pillars.store.database import Database
from pillars.web import queries
from pillars.web.dashboard import following
from pillars.web.dashboard.jobs import _given
from support import ask, move_clock, tell

Make = Callable[..., Process]
Present = Callable[..., Awaitable[None]]
Define = Callable[..., Awaitable[None]]

AGO = r"(?:now|\d+ s ago)"


@job(name="mail.digest", queue="reports")
async def digest(days: int = 1) -> None: ...


@pytest.fixture
def present(database: Database, process_with: Make) -> Present:
    """Lets a process of this role say that it lives."""

    async def present(
        role: Role, *, queues: list[str] | None = None, listening: bool | None = None
    ) -> None:
        process = Process(role, process_with().settings, database)
        process.listening = listening
        await appear(process, state="running", slots=1, queues=queues)

    return present


async def shown(client: httpx2.AsyncClient, path: str, status: int = 200) -> str:
    """A page's words; it must have come as it should."""
    response = await client.get(path)
    assert response.status_code == status, words(response.text)
    return words(response.text)


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/dashboard", "app jobs enqueue NAME"),
        ("/dashboard/jobs", "app jobs enqueue NAME"),
        ("/dashboard/queues", "app jobs enqueue NAME --queue mail"),
        ("/dashboard/names", "app worker"),
        ("/dashboard/schedules", 'nightly = crontab("0 3 * * *", digest, tz="Europe/Berlin")'),
        ("/dashboard/workers", "app dev"),
    ],
)
async def test_an_empty_page_says_the_next_command(
    client: httpx2.AsyncClient, path: str, command: str
) -> None:
    assert command in await shown(client, path)


async def test_the_overview_shows_figures_queues_ticks_and_failures(
    client: httpx2.AsyncClient, db: str, database: Database, process_with: Make
) -> None:
    await sync(database, [every("1h", digest.call(), name="hourly")], deployment="shop")
    for _ in range(3):
        await enqueue(db, queue="mail")
    await end(db, await enqueue(db), "failed", last_error="ValueError: no such card\nmore")
    await end(db, await enqueue(db), "completed")
    await move_clock(db, timedelta(minutes=20))
    await appear(Process("worker", process_with().settings, database), state="running", slots=100)
    page = (await client.get("/dashboard")).text
    figures = dict(re.findall(r'id="figure-(\w+)">([^<]*)<', page))
    assert figures == {
        "oldest": "20 m", "ready": "3", "running": "0", "failed": "1", "completed": "1", "processes": "1",
    }  # fmt: skip
    for text in ("in mail", "of 100 slots", "hourly", "ValueError: no such card default"):
        assert text in words(page), text


@pytest.mark.parametrize(
    "shape",
    [
        ([], "No worker is alive"),
        ([("worker", {"queues": ["mail"]})], "Queue default has ready jobs"),
        ([("worker", {"listening": False})], "cannot hear notifications and polls"),
        ([("worker", {})], "no cron process is alive"),
    ],
)
async def test_the_overview_warns_of_what_is_missing(
    client: httpx2.AsyncClient, db: str, database: Database, present: Present, shape: Any
) -> None:
    roles, said = shape
    await sync(database, [every("1h", digest.call(), name="hourly")], deployment="shop")
    await enqueue(db)
    for role, facts in roles:
        await present(role, **facts)
    assert said in await shown(client, "/dashboard")


async def test_where_all_is_well_there_is_no_warning(
    client: httpx2.AsyncClient, db: str, database: Database, present: Present
) -> None:
    await sync(database, [every("1h", digest.call(), name="hourly")], deployment="shop")
    await enqueue(db)
    for role in ("worker", "cron"):
        await present(role)
    assert 'class="cautions"' not in (await client.get("/dashboard")).text


async def test_a_list_shows_each_job_in_a_line(client: httpx2.AsyncClient, db: str) -> None:
    job_id = await enqueue(db, name="mail.send", payload={"order": 42, "to": "ada"}, queue="mail")
    await end(db, job_id, "failed", last_error="OSError: gone\nline two", attempt=2, max_attempts=5)
    page = (await client.get("/dashboard/jobs")).text
    [row] = re.findall(rf'<tr id="job-{job_id}".*?</tr>', page, re.DOTALL)
    assert words(row) == 'failed mail.send "to": "ada", "order": 42 OSError: gone mail 2 /5 now'


async def test_the_tabs_count_each_state_until_something_else_narrows_the_list(
    client: httpx2.AsyncClient, db: str
) -> None:
    for _ in range(2):
        await enqueue(db)
    await end(db, await enqueue(db), "failed")
    page = await shown(client, "/dashboard/jobs")
    assert "all scheduled 0 ready 2 running 0 waiting 0 paused 0 completed 0 failed 1" in page
    narrowed = await shown(client, "/dashboard/jobs?queue=default")
    assert "all scheduled ready running waiting paused completed failed" in narrowed


async def test_pages_of_fifty_show_every_job_once(client: httpx2.AsyncClient, db: str) -> None:
    await tell(
        db,
        "insert into pillars.jobs (job_id, name, queue) select pillars.uuid7(), 'a', 'q' from generate_series(1, 120)",
    )
    path, seen, sizes = "/dashboard/jobs?queue=q", list[str](), list[int]()
    while path:
        page = (await client.get(path)).text
        found = re.findall(r'<tr id="job-([0-9a-f-]{36})"', page)
        seen += found
        sizes.append(len(found))
        older = re.search(r'id="older" rel="next" href="([^"]+)"', page)
        path = older[1].replace("&amp;", "&") if older else ""
        assert not path or "queue=q" in path
    assert sizes == [50, 50, 20]
    assert len(set(seen)) == 120
    assert seen == sorted(seen, reverse=True)


async def test_a_page_that_has_looked_far_enough_says_how_to_go_on(
    client: httpx2.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOKED_AT", 3)
    wanted = await enqueue(db, name="rare")
    for _ in range(4):
        await enqueue(db)
    page = (await client.get("/dashboard/jobs?name=rare")).text
    assert "None of the 3 jobs looked at match." in words(page)
    older = re.search(r'id="older" rel="next" href="([^"]+)"', page)
    assert older is not None
    page = (await client.get(older[1].replace("&amp;", "&"))).text
    assert re.findall(r'<tr id="job-([0-9a-f-]{36})"', page) == [wanted]


@pytest.mark.parametrize("name", ["name", "queue", "tag", "state"])
async def test_each_filter_narrows_the_list(client: httpx2.AsyncClient, db: str, name: str) -> None:
    wanted = await enqueue(db, name="a.b", queue="fast", tags=["vip"])
    await run(db, wanted)
    await enqueue(db, name="c.d", queue="slow", tags=["other"])
    value = {"name": "a.b", "queue": "fast", "tag": "vip", "state": "running"}[name]
    page = (await client.get("/dashboard/jobs", params={name: value})).text
    assert re.findall(r'<tr id="job-([0-9a-f-]{36})"', page) == [wanted]


async def test_an_empty_field_of_the_form_asks_for_nothing(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueue(db)
    page = await client.get("/dashboard/jobs?name=&queue=&tag=&state=")
    assert job_id in page.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("state=nope", 'State: expected one of scheduled, ready, running, waiting, paused, completed, failed, cancelled, expired, got "nope".'),
        ("name=no spaces", 'Name: expected 1 to 100 of A-Z a-z 0-9 . _ : / - (the first a letter or digit), got "no spaces".'),
        ("limit=0x", 'Limit: expected a whole number from 1 to 200, got "0x".'),
        ("cursor=zzz", "Cursor: expected the `next` of an earlier page."),
        ("colour=red", 'Query: expected only state, name, queue, tag, limit, cursor, got "colour".'),
        ("state=ready&state=failed", "State: expected once, got 2 times."),
    ],
)  # fmt: skip
async def test_a_wrong_filter_is_a_400_that_says_what_was_got(
    client: httpx2.AsyncClient, query: str, said: str
) -> None:
    assert said in await shown(client, f"/dashboard/jobs?{query}", 400)


async def test_a_name_that_finds_nothing_is_told_the_nearest(
    client: httpx2.AsyncClient, db: str, define: Define
) -> None:
    await define("mail.send", queue="letters")
    assert 'did you mean "mail.send"?' in await shown(client, "/dashboard/jobs?name=mail.sent")
    assert 'did you mean "letters"?' in await shown(client, "/dashboard/jobs?queue=leters")
    assert "There are no jobs with these filters" in await shown(
        client, "/dashboard/jobs?name=mail.send"
    )


async def test_a_job_page_tells_all_about_it_digit_by_digit(
    client: httpx2.AsyncClient, db: str
) -> None:
    big = "18446744073709551616"
    job_id = await enqueue(db, payload={"n": 9007199254740993}, context="order 7", tags=["vip"])
    await end(db, job_id, "failed", last_error="ValueError: boom", attempt=1)
    await tell(
        db, "update pillars.finished_jobs set result = $1", f'{{"big": {big}, "cost": 1.10}}'
    )
    await tell(
        db,
        """insert into pillars.attempts (job_id, attempt, outcome, error, traceback, started_at, ended_at)
           values ($1, 1, 'failed', 'ValueError: boom', 'Traceback: line 7', now() - interval '3 s', now())""",
        UUID(job_id),
    )
    page = await shown(client, f"/dashboard/jobs/{job_id}")
    for text in (
        '"n": 9007199254740993', f'"big": {big}', '"cost": 1.10', "order 7", "vip", "Traceback: line 7", "ValueError: boom",
        "app jobs enqueue mail.send --payload '{\"n\": 9007199254740993}'", "await send.enqueue(n=9007199254740993)",
    ):  # fmt: skip
        assert text in page, text


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("", "No live worker serves its queue, default; start one: app worker."),
        ("insert into pillars.queues (name, paused_at) values ('default', now())", "Its queue is paused."),
        ("select pillars.pause_name('mail.send', 'ada')", "Its name is paused, by ada now."),
        ("delete from pillars.definitions", "Waits for a process whose code has this name."),
        ("update pillars.jobs set run_at = now() + interval '130 m', attempt = 1", "Its next attempt is due in 2 h."),
    ],
)  # fmt: skip
async def test_a_job_page_says_why_it_waits(
    client: httpx2.AsyncClient, db: str, define: Define, setting: str, said: str
) -> None:
    await define("mail.send")
    job_id = await enqueue(db)
    if setting:
        await tell(db, setting)
    assert said in await shown(client, f"/dashboard/jobs/{job_id}")


async def test_a_very_long_payload_is_cut_and_says_where_all_of_it_is(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueue(db, payload={"text": "x" * 300_000})
    page = await shown(client, f"/dashboard/jobs/{job_id}")
    assert len(page) < 150_000
    assert f"GET /api/jobs/{job_id}" in page


@pytest.mark.parametrize("deep", [62, 1900, 5000])
async def test_what_nests_deep_is_shown_as_it_is_stored(
    client: httpx2.AsyncClient, db: str, deep: int
) -> None:
    job_id = await enqueue(db, name="jobs.mail.send")
    nested = '{"x":' * deep + "1" + "}" * deep
    await tell(db, "update pillars.jobs set payload = $1", nested)
    page = await shown(client, f"/dashboard/jobs/{job_id}")
    assert '{"x": {"x": {"x":' in page
    assert "As it is stored: it nests too deep" in page
    assert "await send.enqueue" not in page


async def test_what_is_long_and_deep_makes_a_page_of_its_length(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueue(db)
    nested = "[" * 61 + ",".join("[1]" for _ in range(40_000)) + "]" * 61
    await tell(db, "update pillars.jobs set payload = $1", f'{{"x": {nested}}}')
    assert len(await shown(client, f"/dashboard/jobs/{job_id}")) < 150_000


async def test_no_more_of_a_text_is_read_than_is_shown(db: str, database: Database) -> None:
    job_id = await enqueue(db, payload={"text": "x" * 5000})
    await end(db, job_id, "failed", last_error="e" * 5000)
    await tell(db, "update pillars.finished_jobs set result = to_jsonb($1::text)", "r" * 5000)
    await tell(
        db,
        """insert into pillars.attempts (job_id, attempt, outcome, error, traceback, ended_at)
           values ($1, 1, 'failed', $2, $2, pillars.now())""",
        UUID(job_id), "t" * 5000,
    )  # fmt: skip
    seen = await oversight.seen(database.pool, UUID(job_id), attempts=5, longest=100)
    job, [attempt] = seen.job, seen.attempts
    texts = (job.payload, job.result, job.last_error, attempt.error, attempt.traceback)
    assert [len(text or "") for text in texts] == [100] * 5


async def test_attempts_of_less_than_a_second_are_told_in_milliseconds(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueue(db)
    await end(db, job_id, "failed")
    await tell(
        db,
        """insert into pillars.attempts (job_id, attempt, outcome, error, started_at, ended_at)
           values ($1, 1, 'failed', 'boom', pillars.now() - interval '42 ms', pillars.now())""",
        UUID(job_id),
    )
    assert "ran 42 ms" in await shown(client, f"/dashboard/jobs/{job_id}")


async def test_only_the_page_of_an_unfinished_job_looks_again(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueue(db)
    assert 'data-repeats="no"' not in (await client.get(f"/dashboard/jobs/{job_id}")).text
    await end(db, job_id, "completed")
    assert 'data-repeats="no"' in (await client.get(f"/dashboard/jobs/{job_id}")).text


async def test_news_of_a_job_end_after_a_while_so_that_who_has_logged_out_hears_no_more(
    client: httpx2.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LASTING", timedelta(0))
    job_id = await enqueue(db)
    page = (await client.get(f"/dashboard/jobs/{job_id}")).text
    [address] = re.findall(r'data-news="(.*?)"', page)
    told = (await client.get(address)).text
    assert '"state":"ready"' in told
    assert "event: expired" in told


async def test_the_command_over_http_names_no_address_of_the_servers_guess(
    client: httpx2.AsyncClient, db: str
) -> None:
    page = await shown(client, f"/dashboard/jobs/{await enqueue(db)}")
    assert 'curl "$APP_URL"/api/jobs \\' in page
    assert "http://" not in page


async def test_a_repeated_filter_is_refused_at_its_second_time(client: httpx2.AsyncClient) -> None:
    class Counted(QueryParams):
        calls = 0

        def getlist(self, key: Any) -> list[str]:
            type(self).calls += 1
            return super().getlist(key)

    for query in ("&".join(f"x{n}=1" for n in range(500)), "name=a&" * 500):
        with pytest.raises(UsageError):
            queries.wanted(Counted(query))
        with pytest.raises(UsageError):
            _given(Counted(query))
    assert Counted.calls <= 2


async def test_the_queues_show_what_waits_and_since_when_they_are_paused(
    client: httpx2.AsyncClient, db: str
) -> None:
    await enqueue(db, queue="mail")
    await run(db, await enqueue(db, queue="mail"))
    await tell(db, "insert into pillars.queues (name, paused_at) values ('mail', pillars.now())")
    await move_clock(db, timedelta(minutes=5))
    assert "mail 1 1 0 0 5 m none paused 5 m ago" in await shown(client, "/dashboard/queues")


async def test_the_names_show_what_waits_since_when_they_are_paused_and_by_whom(
    client: httpx2.AsyncClient, db: str, define: Define
) -> None:
    await define("mail.send")
    await enqueue(db, queue="mail")
    await run(db, await enqueue(db, queue="mail"))
    await tell(db, "select pillars.pause_name('mail.send', 'ada')")
    await move_clock(db, timedelta(minutes=5))
    seen = await shown(client, "/dashboard/names")
    assert "mail.send async default 1 1 0 0 paused 5 m ago by ada" in seen


async def test_the_schedules_show_rule_zone_ticks_and_who_leads(
    client: httpx2.AsyncClient, db: str, database: Database, process_with: Make
) -> None:
    nightly = crontab("0 3 * * *", digest.call(), tz="Europe/Berlin", name="nightly")
    await sync(database, [nightly, every("90s", digest.call(), name="pulse")], deployment="shop")
    await tell(
        db,
        """insert into pillars.ticks (schedule, tick, outcome, missed, created_at)
           values ('pulse', pillars.now() - interval '2 m', 'overlapped', 3, pillars.now())""",
    )
    cron = Process("cron", process_with().settings, database)
    cron.leads = True
    await appear(cron, state="running")
    page = await shown(client, "/dashboard/schedules")
    assert "0 3 * * * Europe/Berlin At 03:00 every day" in page
    assert "every 1m30s" in page
    assert "2 m ago overlapped, 3 missed" in page
    assert f"Ticked by {cron.host}:{cron.pid}" in page


async def test_the_workers_show_who_lives_and_who_is_lost(
    client: httpx2.AsyncClient, db: str, database: Database, process_with: Make
) -> None:
    worker = Process("worker", process_with().settings, database)
    worker.listening = True
    await appear(worker, state="running", queues=["a", "b"], slots=9)
    await tell(db, "update pillars.workers set running = 4")
    row = f"worker {worker.host}:{worker.pid} running 4 /9 a, b notification 0.1.0 local"
    assert re.search(rf"{re.escape(row)} {AGO} {AGO} ", await shown(client, "/dashboard/workers"))
    await move_clock(db, timedelta(minutes=1))
    assert f"{worker.host}:{worker.pid} lost 4 /9" in await shown(client, "/dashboard/workers")


async def test_ages_are_by_the_databases_clock(client: httpx2.AsyncClient, db: str) -> None:
    await end(db, await enqueue(db), "completed")
    await move_clock(db, timedelta(hours=3))
    page = await client.get("/dashboard/jobs")
    assert "3 h ago" in page.text
    now = await ask(db, "select pillars.now()")
    [said] = re.findall(r'data-now="([^"]+)"', page.text)
    assert said[:13] == now.isoformat()[:13]


@pytest.mark.parametrize("text", ["01890a5d-ac96-774b-bcce-b302099a8057", "abc", "<script>"])
async def test_an_unknown_job_is_a_404_in_the_frame(client: httpx2.AsyncClient, text: str) -> None:
    response = await client.get(f"/dashboard/jobs/{text}")
    assert response.status_code == 404
    assert 'id="nav-jobs"' in response.text
    assert "<script>" not in response.text.replace("<script src", "")


async def test_a_database_that_does_not_answer_is_a_503_in_the_frame(
    process_with: Make, client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    settings = process_with().settings
    async with Database("postgresql://nobody@127.0.0.1:1/none").opened() as nowhere:
        client = client_of(Process("web", settings, nowhere))
        for path in PAGES:
            response = await client.get(path)
            assert response.status_code == 503, path
            assert response.headers["retry-after"]
            assert 'id="nav-jobs"' in response.text
            assert "127.0.0.1:1" not in response.text


async def test_a_bug_is_a_500_in_the_frame(client: httpx2.AsyncClient, db: str) -> None:
    await tell(db, "drop function pillars.unfinished() cascade")
    response = await client.get("/dashboard/queues")
    assert response.status_code == 500
    assert 'id="nav-jobs"' in response.text
    assert "unfinished()" not in response.text


async def test_a_page_is_headed_as_it_is_got(client: httpx2.AsyncClient) -> None:
    for path in PAGES:
        head = await client.head(path)
        assert (head.status_code, head.headers["content-type"]) == (200, "text/html; charset=utf-8")


async def test_behind_a_prefix_every_link_stays_behind_it(
    process_with: Make, client_of: Callable[..., httpx2.AsyncClient], db: str
) -> None:
    client = client_of(process_with(prefix="/ops"))
    job_id = await enqueue(db)
    for path in (*PAGES, f"/dashboard/jobs/{job_id}"):
        page = Links((await client.get(f"/ops{path}")).text)
        assert len(page.addresses) > 8
        assert [one for one in page.addresses if not one.startswith(("/ops/dashboard", "#"))] == []
    assert (await client.get("/dashboard")).status_code == 404
    answer = await client.post(f"/ops/dashboard/jobs/{job_id}/cancel")
    assert answer.headers["location"] == f"/ops/dashboard/jobs/{job_id}?said=job-cancelled"


class Links(HTMLParser):
    """Every address that a page names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {"href", "src", "action", "hx-get", "data-root"}
        self.addresses += [value or "" for name, value in attrs if name in names]


def test_a_payload_is_given_back_in_python_as_json_had_it() -> None:
    from pillars.web.dashboard.again import _in_python

    payload = json.dumps({"a": 1.10, "b": [True, None, "x'y"], "class": 10**30})
    said = _in_python("jobs.mail.send", payload)
    assert said is not None
    assert (
        "**{'a': 1.1, 'b': [True, None, \"x'y\"], 'class': 1000000000000000000000000000000}" in said
    )
    assert _in_python("odd/name", "{}") is None
