"""Names that would end a string, a statement, a path or a page are refused by every door, or do no harm inside."""

from urllib.parse import quote

import anyio.to_thread
import asyncpg
import httpx2
import pytest
from click.testing import CliRunner

from pillars import every, job
from pillars.cli import main
from pillars.errors import DefinitionError, UsageError
from pillars.store.database import Database
from stepping import define
from support import ask, counts, running, tell, until, worker_for

NAMES = [
    "'", "''", '"', "';--", "'; drop table pillars.jobs; --", '"; drop table pillars.jobs; --', "' or '1'='1", "a'b", "$1", "$$", "$x$;$x$", "%s", "%I", "%(name)s", "{0}",
    "\\", "\\'; select pg_sleep(9); --", "a;b", "a--b'", "/*", "*", "a b", " a", "a\n", "\n", "a\0b", "\u202ea", "m\u0430il", "a\u00a0b", "\ud800", "", "-q", "--help", "..", "../x",
    "/etc/passwd", "a?x=1", "a#b", "a%00b", "a%2fb", "<script>", "{{7*7}}", "${HOME}", "$(id)", "`id`", "|id", "&& id", "x" * 101, "pillars_*", "_a", ".a", ":a", "a,b:5", "a:b@c",
]  # fmt: skip
UNSAID = ("a\0b", "\ud800")  # what no shell, and no driver, carries at all
HARMLESS = ["drop", "select", "public", "pillars", "null", "true", "0", "a.b", "a--b", "a:b", "a/../b", "pg_catalog.now"]  # fmt: skip


async def nothing() -> None: ...


@pytest.mark.parametrize("name", NAMES)
def test_in_code_they_are_no_names(name: str) -> None:
    work = job(name="work")(nothing)
    for said in (
        lambda: job(name=name)(nothing),
        lambda: job(name="w", queue=name)(nothing),
        lambda: work.configure(queue=name),
        lambda: every("1h", work, name=name),
    ):
        with pytest.raises((DefinitionError, UsageError), match="expected"):
            said()


async def test_to_sql_they_are_no_names(db: str) -> None:
    before = await counts(db)
    for name in NAMES:
        for call in ("$1", "'work', queue => $1"):
            with pytest.raises(asyncpg.PostgresError) as refused:
                await ask(
                    db,
                    f"select pillars.enqueue({call})",
                    name.encode("utf-8", "replace").decode().replace("\0", "\1"),
                )
            assert refused.value.sqlstate == "22023"
    assert await counts(db) == before


async def test_over_http_they_name_nothing(client: httpx2.AsyncClient, db: str) -> None:
    before = await counts(db)
    for name in NAMES:
        for body in ({"name": name}, {"name": "work", "queue": name}):
            if "\ud800" not in name:
                assert (await client.post("/api/jobs", json=body)).status_code == 400, name
        path = quote(name.encode("utf-8", "replace"), safe="")
        for route in (
            f"queues/{path}/pause",
            f"queues/{path}/resume",
            f"schedules/{path}/run",
            f"schedules/{path}/pause",
            f"jobs/{path}/cancel",
        ):
            assert (await client.post(f"/api/{route}")).status_code in {400, 404, 405}, (
                name,
                route,
            )
        for query in (
            f"queue={path}",
            f"name={path}",
            f"tag={path}",
            f"state={path}",
            f"cursor={path}",
        ):
            answer = await client.get(f"/api/jobs?{query}")
            assert answer.status_code in {200, 400}, (name, query)
            assert answer.status_code == 400 or answer.json()["items"] == []
        page = await client.get(f"/dashboard/jobs?queue={path}&name={path}")
        assert page.status_code in {200, 400}
        assert name != "<script>" or "<script>" not in page.text.replace("<script ", "")
    assert await counts(db) == before


async def test_on_the_command_line_they_name_nothing(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", db)
    monkeypatch.setenv("PILLARS_ENV", "prod")
    before = await counts(db)
    for name in NAMES[::3]:
        if name in UNSAID:
            continue
        for words in (
            ("jobs", "enqueue", "--", name),
            ("queues", "pause", "--", name),
            ("schedules", "run", "--", name),
            ("jobs", "list", f"--queue={name}"),
        ):

            def call(said: tuple[str, ...] = words) -> int:
                return CliRunner().invoke(main, list(said)).exit_code

            code = await anyio.to_thread.run_sync(call)
            assert code in {0, 1, 2}, (name, words)
            assert code or words[1] == "list"
    assert await counts(db) == before


@pytest.mark.parametrize("name", HARMLESS)
async def test_names_that_only_look_like_sql_are_names(
    database: Database, db: str, name: str
) -> None:
    done = job(name=name, queue=name)(nothing)
    async with running(worker_for(database, done)):
        handle = await done.enqueue()
        await until(lambda: _is_done(handle.job_id, db))


async def _is_done(job_id: str, db: str) -> bool:
    return bool(
        await ask(
            db,
            "select count(*) from pillars.finished_jobs where job_id = $1 and state = 'completed'",
            job_id,
        )
    )


async def test_a_notification_that_says_anything_at_all_wakes_and_does_nothing_else(
    database: Database, db: str
) -> None:
    await define(db)
    done = job(name="work")(nothing)
    async with running(worker_for(database, done)) as worker:
        for name in NAMES:
            if name not in UNSAID:
                await tell(db, "select pg_notify('pillars', $1)", name)
                await tell(
                    db,
                    "select pg_notify(pillars.own_channel($1), $2)",
                    worker.process.worker_id,
                    name,
                )
        handle = await done.enqueue()
        await until(lambda: _is_done(handle.job_id, db))
