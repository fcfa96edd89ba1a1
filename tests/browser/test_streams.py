"""`pillars.js` in the browser that runs it, and the page that docs/howto/streams.md shows."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from browsing import Visit, serving, visiting, web_of
from docs_pages import DOCS, blocks
from pillars.jobs.stream_tokens import Grant, signed
from pillars.store.database import Database
from pillars.store.streams import Topics
from saying import speaking
from support import ask, until

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]

TOKEN = "operate-0123456789"
PAGE = (DOCS / "howto" / "streams.md").read_text("utf-8")
BLANK = '<!doctype html><html lang="en"><title>Jobs</title><link rel="icon" href="data:,"><body>{}</body></html>'
LISTEN = """
async ([topics, token, after]) => {
  const { subscribe } = await import("/api/pillars.js");
  window.told = [];
  const note = (kind) => (...said) => window.told.push([kind, ...said]);
  const to = Object.fromEntries(["Progress", "Log", "Output", "Metadata", "State", "Result", "Reset", "Cut", "End"].map((one) => [`on${one}`, note(one)]));
  window.close_it = subscribe(topics, { ...to, onError: (error) => note("Error")(error.message), token, after });
}
"""


async def show(request: Request) -> Response:
    """The page of the docs, or an empty one."""
    [example] = blocks(PAGE, "html")
    return HTMLResponse(BLANK.format(example if request.url.path == "/example" else ""))


async def fresh(_request: Request) -> Response:
    return PlainTextResponse(signed(TOKEN, Grant(Topics.of(tags=["red"]), soon(60))))


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@asynccontextmanager
async def page_of(
    chromium: Browser, database: Database, path: str = "/", **flags: object
) -> AsyncIterator[Visit]:
    theirs = Starlette(routes=[Route("/token", fresh), Route("/{any:path}", show)])
    async with (
        serving(web_of(database, theirs, **flags)) as url,
        visiting(chromium, url) as visit,
    ):
        await visit.page.goto(path)
        yield visit


async def told(visit: Visit, *kinds: str) -> list[Any]:
    found: list[Any] = await visit.page.evaluate("window.told")
    return [one for one in found if one[0] in kinds]


async def test_the_page_of_the_docs_shows_a_job_to_its_end(
    chromium: Browser, database: Database, db: str
) -> None:
    async with speaking(db) as speaker:
        path = f"/example?job={speaker.job_ids[0]}"
        async with page_of(chromium, database, path) as visit:
            await expect(visit.page.locator("#state")).to_have_text("running")
            await speaker.say(kind="progress", body={"done": 3, "total": 4})
            await speaker.say(body={"name": "first line", "data": None})
            await expect(visit.page.locator("#log li")).to_have_text(["first line"])
            assert await visit.page.locator("#bar").evaluate("(bar) => bar.value") == 0.75
            await speaker.end()
            await expect(visit.page.locator("#state")).to_have_text("completed")


async def test_a_page_misses_nothing_and_repeats_nothing_through_reconnects(
    chromium: Browser, database: Database, db: str
) -> None:
    async with speaking(db) as speaker, page_of(chromium, database) as visit:
        await visit.page.evaluate(LISTEN, [str(speaker.job_ids[0]), None, None])
        for turn in range(4):
            await speaker.say(20)
            if turn < 3:  # the server lets go of every stream, as at a deploy
                await until(lambda: len(database.streams) == 1)
                database.streams._end_all()
                await speaker.say(20)
        await speaker.end(result='{"n": 1}')
        await until(lambda: has_ended(visit))
        assert [one[1] for one in await told(visit, "Output")] == list(range(1, 141))
        ids = [int(one[2]["id"]) for one in await told(visit, "Output")]
        assert ids == sorted(set(ids))
        assert [one[1] for one in await told(visit, "Result")] == [{"n": 1}]
        assert (await told(visit, "State"))[-1][1]["state"] == "completed"
        assert await told(visit, "Reset", "Error") == []
        await until(lambda: len(database.streams) == 0)


async def has_ended(visit: Visit) -> bool:
    return bool(await told(visit, "End", "Error"))


async def test_a_page_that_closes_its_stream_hears_no_more(
    chromium: Browser, database: Database, db: str
) -> None:
    async with speaking(db, tags=["red"]) as speaker, page_of(chromium, database) as visit:
        await visit.page.evaluate(LISTEN, [{"tag": "red"}, None, None])
        await until(lambda: bool(database.streams._wide))
        await speaker.say(1)
        await until(lambda: heard_something(visit))
        await visit.page.evaluate("window.close_it()")
        await until(lambda: len(database.streams) == 0)
        assert await told(visit, "End", "Error") == []


async def heard_something(visit: Visit) -> bool:
    return bool(await told(visit, "Output"))


async def test_a_page_that_cannot_go_on_where_it_was_is_told(
    chromium: Browser, database: Database, db: str
) -> None:
    async with speaking(db) as speaker, page_of(chromium, database) as visit:
        await speaker.say(2)
        await speaker.end()
        ahead = 10 + await ask(db, "select max(event_id) from pillars.job_events")
        await visit.page.evaluate(LISTEN, [{"job": str(speaker.job_ids[0])}, None, ahead])
        await until(lambda: has_ended(visit))
        kinds = [one[0] for one in await visit.page.evaluate("window.told")]
        assert kinds == ["Reset", "Output", "Output", "State", "End"]


async def test_a_page_fetches_another_token_when_one_expires(
    chromium: Browser, database: Database, db: str
) -> None:
    async with (
        speaking(db, tags=["red"]) as speaker,
        page_of(chromium, database, token=TOKEN) as visit,
    ):
        first = signed(TOKEN, Grant(Topics.of(tags=["red"]), soon(1.5)))
        fetching = (
            "token: async () => window.tokens.shift() ?? (await fetch('/token')).text(), after });"
        )
        await visit.page.evaluate(f"window.tokens = {json.dumps([first])}")
        listen = LISTEN.replace("token, after });", fetching)
        await visit.page.evaluate(listen, [{"tag": "red"}, None, None])
        await until(lambda: bool(database.streams._wide))
        begun = database.streams._wide[0]
        await speaker.say(1)
        await until(lambda: bool(database.streams._wide) and database.streams._wide[0] is not begun)
        await speaker.say(1)
        await until(lambda: has_heard(visit, 2))
        assert [one[1] for one in await told(visit, "Output")] == [1, 2]


async def has_heard(visit: Visit, count: int) -> bool:
    return len(await told(visit, "Output")) >= count


async def test_a_page_that_may_not_is_told_once(
    chromium: Browser, database: Database, db: str
) -> None:
    async with speaking(db) as speaker, page_of(chromium, database, token=TOKEN) as visit:
        async with visit.expecting("401"):
            await visit.page.evaluate(LISTEN, [str(speaker.job_ids[0]), "pst_wrong", None])
            await until(lambda: has_ended(visit))
        [[_, why]] = await told(visit, "Error")
        assert "not signed" in why


async def test_a_page_starts_pauses_resumes_and_aborts_a_job(
    chromium: Browser, database: Database, db: str
) -> None:
    async with page_of(chromium, database) as visit:
        states = await visit.page.evaluate(
            """async () => {
              const { start, pause, resume, abort } = await import("/api/pillars.js");
              const job = await start("work", { n: 1 }, { priority: 3 });
              const states = [job.priority];
              for (const verb of [pause, resume, abort]) states.push((await verb(job.job_id)).state);
              return states;
            }"""
        )
        assert states == [3, "paused", "ready", "cancelled"]
        async with visit.expecting("409"):
            why = await visit.page.evaluate(
                """async (id) => (await import("/api/pillars.js")).pause(id).catch((error) => `${error.status} ${error.message}`)""",
                str(await ask(db, "select job_id from pillars.finished_jobs")),
            )
        assert why.startswith("409 the job has ended")


async def test_the_module_is_kept_by_its_tag(chromium: Browser, database: Database) -> None:
    async with page_of(chromium, database) as visit:
        answer = await visit.page.request.get("/api/pillars.js")
        tag = answer.headers["etag"]
        again = await visit.page.request.get("/api/pillars.js", headers={"if-none-match": tag})
        assert (answer.status, again.status, await again.body()) == (200, 304, b"")
        assert re.search(r"^import\b", await answer.text(), re.MULTILINE) is None
