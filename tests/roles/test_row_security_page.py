"""The SQL and the Python of docs/howto/rls.md, run as they stand there."""

import re
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from roles.standing import Standing
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from callers import sqlalchemy_url
from docs_pages import REFERENCE, blocks
from pillars.jobs.connected import using
from pillars.store.database import Database
from pillars.store.row_security import Convention
from support import ask, asking, running, settings_for, tell, worker_for

PAGE = (REFERENCE.parent / "howto" / "rls.md").read_text("utf-8")
POLICIES, ACTIVE, TRAIL, ROLES = blocks(PAGE, "sql")
JOBS, REQUEST, SESSION, THREAD, CLOSING = blocks(PAGE, "python")
ADA, BOB = UUID(int=1), UUID(int=2)


def defined(**given: Any) -> dict[str, Any]:
    """All that the page defines, one example after another."""
    names: dict[str, Any] = {"__name__": "jobs.notes", **given}
    for code in (JOBS, REQUEST, SESSION, THREAD, CLOSING):
        exec(compile(code, "rls.md", "exec"), names)
    return names


@pytest.fixture
async def notes(standing: Standing) -> Standing:
    await tell(standing.admin, POLICIES)
    return standing


async def with_notes(names: dict[str, Any]) -> None:
    await names["add_note"](ADA, "one two three")
    await names["add_note"](ADA, "four")
    await names["add_note"](BOB, "five")


async def test_a_user_and_the_system_as_the_page_has_it(notes: Standing) -> None:
    worker = notes.as_("app_worker")
    engine = create_async_engine(sqlalchemy_url(worker, "asyncpg"))
    names = defined(sessions=async_sessionmaker(engine))
    jobs = [names[name] for name in ("count_words", "export_notes", "count_in_a_session", "count_in_a_thread", "close_notes")]  # fmt: skip
    async with using(Database(worker)) as database:
        await with_notes(names)
        async with running(worker_for(database, *jobs)):
            words, export, session, thread, close = jobs
            assert await (await words.enqueue(ADA)).result(timeout="30s") == 4
            assert await (await session.enqueue(ADA)).result(timeout="30s") == 2
            assert await (await thread.enqueue(worker)).result(timeout="30s") == 3
            exported = await export.enqueue()
            assert await exported.result(timeout="30s") == 3
            await (await close.enqueue(ADA)).result(timeout="30s")
        async with asking(worker) as connection:
            [newest, _] = await connection.fetch(TRAIL)
            assert await connection.fetchval(ACTIVE) is True
    await engine.dispose()
    assert newest["reason"] == "nightly export"
    assert newest["actor"] == "job:jobs.notes.export_notes"
    assert (newest["job_id"], newest["attempt"]) == (exported.job_id, "1")
    assert await ask(notes.admin, "select array_agg(body) from notes") == ["five"]


async def test_a_used_connection_finds_no_row_and_no_error(notes: Standing) -> None:
    async with using(Database(notes.as_("app_worker"), size=1)):
        await with_notes(defined())
    async with asking(notes.as_("app_worker")) as connection:
        assert await connection.fetchval("select count(*) from notes") == 0
        await connection.execute("begin; select set_config('pillars.user_id', 'x', true); rollback")
        assert await connection.fetchval("select count(*) from notes") == 0


async def test_with_roles_what_is_done_for_nobody_is_an_error(notes: Standing) -> None:
    named = {"app_user": f"user_{notes.name}", "app_system": f"system_{notes.name}"}
    told = ROLES
    for on_the_page, here in named.items():  # roles are a server's, and other tests have theirs
        told = re.sub(rf"\b{on_the_page}\b", here, told)
    inheriting = await ask(notes.admin, "show server_version_num") < "16"
    if inheriting:
        told = told.replace(" with inherit false", "")
    names = defined()
    async with using(Database(notes.as_("app_worker"))):
        await with_notes(names)
    await tell(notes.admin, f"drop policy system_notes on notes; {told}")
    convention = Convention(user_role=named["app_user"], system_role=named["app_system"])
    jobs = [names[name] for name in ("count_words", "export_notes", "close_notes")]
    async with using(Database(notes.as_("app_worker"), convention=convention)) as database:
        async with running(worker_for(database, *jobs)):
            words, export, close = jobs
            assert await (await words.enqueue(BOB)).result(timeout="30s") == 1
            assert await (await export.enqueue()).result(timeout="30s") == 3
            await (await close.enqueue(ADA)).result(timeout="30s")
        count = ask(notes.as_("app_worker"), "select count(*) from notes")
        if inheriting:
            assert await count == 0
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="denied for table notes"):
                await count
    assert await ask(notes.admin, "select array_agg(body) from notes") == ["five"]


def test_its_settings_are_settings() -> None:
    told = re.findall(r"^(PILLARS_RLS_\w+)=(\S+)$", PAGE, re.MULTILINE)
    assert len(told) == 5
    for name, value in told:
        settings = settings_for("postgresql:///x", **{name.removeprefix("PILLARS_").lower(): value})
        assert value in {settings.rls_user, settings.rls_user_role, settings.rls_system_role}
