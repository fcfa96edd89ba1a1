"""A job that touches a protected table for nobody is told, once; one that says for whom is not, nor whoever the policies do not hold for."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from pooling import pooler
from roles.protecting import COUNT, context, protect, warnings_of, working
from roles.standing import Standing
from structlog.testing import capture_logs

import pillars
from pillars import Context, job, log
from pillars.jobs.connected import using
from pillars.store.database import Database
from pillars.store.statements import text
from support import running, tell, worker_for

NOTES = [("export", "public.notes")]


@pytest.fixture
async def notes(standing: Standing) -> Standing:
    return await protect(standing)


def running_sql(*statements: str, name: str = "export") -> Callable[[], Awaitable[None]]:
    """A job's transaction that runs these."""

    async def work() -> None:
        async with context(name).connection() as connection:
            for statement in statements:
                await connection.execute(statement)

    return work


TOUCHING = {
    "a query that finds nothing": "select * from notes where note_id = 7",
    "a count": COUNT,
    "an update": "update notes set body = body",
    "a delete": "delete from notes",
    "a copy": "insert into plain select note_id from notes",
    "a view's reader": "select * from (select * from notes) below",
    "a partition that is pruned": "select * from parts where kind = 9",
    "a child through its parent": "select * from parts",
}


@pytest.mark.parametrize("statement", TOUCHING.values(), ids=TOUCHING)
async def test_whatever_touches_a_protected_table_is_told(notes: Standing, statement: str) -> None:
    await tell(
        notes.admin,
        "create table parts (kind integer) partition by list (kind); create table part_1 partition of parts for values in (1);"
        "alter table parts enable row level security; grant select on parts to pillars_worker",
    )
    table = "public.parts" if "parts" in statement else "public.notes"
    async with working(notes):
        assert await warnings_of(running_sql(statement)) == [("export", table)]


async def test_a_job_is_told_once_of_each_table_and_each_job_by_itself(notes: Standing) -> None:
    async with working(notes):
        assert await warnings_of(running_sql(COUNT)) == NOTES
        assert await warnings_of(running_sql(COUNT)) == []
        assert await warnings_of(running_sql(COUNT, name="other")) == [("other", "public.notes")]


async def test_what_another_transaction_of_the_connection_touched_is_not_held_against_it(
    notes: Standing,
) -> None:
    async with working(notes, size=1):
        async with context().as_user("ada") as connection:
            await connection.execute(COUNT)
        async with pillars.connection() as connection:
            await connection.execute(COUNT)
        assert await warnings_of(running_sql("select count(*) from plain")) == []
        assert await warnings_of(running_sql("savepoint one", COUNT, "rollback to one")) == []


async def test_the_line_says_which_job_and_what_to_do(notes: Standing) -> None:
    with capture_logs() as lines:
        async with working(notes):
            await running_sql(COUNT)()
    [line] = [one for one in lines if one["event"] == log.Event.JOB_UNIDENTIFIED]
    assert line["log_level"] == "warning"
    assert line["hint"] == 'use async with ctx.as_user(id) or ctx.system("why")'
    assert line["job_id"] == context().job_id


async def test_a_job_that_fails_over_the_missing_row_is_told_too(notes: Standing) -> None:
    async def work() -> None:
        async with context().connection() as connection:
            [_] = await connection.fetch("select body from notes where note_id = 1")

    async def failing() -> None:
        with pytest.raises(ValueError, match="unpack"):
            await work()

    async with working(notes):
        assert await warnings_of(failing) == NOTES


async def test_a_transaction_that_has_failed_ends_as_it_would_and_tells_nothing(
    notes: Standing,
) -> None:
    async def refused() -> None:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await running_sql(COUNT, "select 1 / 0")()

    async def swallowed() -> None:
        async with context().connection() as connection:
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.execute("select 1 / 0")

    async def told() -> None:
        with pytest.raises(pillars.DatabaseTrouble, match="rolled back at its commit"):
            await swallowed()

    async with working(notes):
        assert await warnings_of(refused) == []
        assert await warnings_of(told) == []


SAID = {
    "its own role": "set local role pillars_viewer",
    "the user, by hand": "select set_config('pillars.user_id', 'ada', true)",
    "a table that is gone": "create temp table gone (n integer); alter table gone enable row level security; drop table gone",
    "another's foreign key": "insert into child values (1)",
}


@pytest.mark.parametrize("first", SAID.values(), ids=SAID)
async def test_whoever_says_for_whom_is_not_told(notes: Standing, first: str) -> None:
    await tell(
        notes.admin,
        "grant select on notes, plain to pillars_viewer; grant pillars_viewer to app_worker;"
        "create table child (note_id bigint references notes); grant insert on child to pillars_worker",
    )
    second = "select count(*) from plain" if "child" in first or "gone" in first else COUNT
    async with working(notes):
        assert await warnings_of(running_sql(first, second)) == []


async def test_blocks_that_say_for_whom_are_not_told(notes: Standing) -> None:
    async def work() -> None:
        for block in (context().as_user("ada"), context().system("why")):
            async with block as connection:
                await connection.execute(COUNT)
        async with (
            context().connection() as connection,
            context().as_user("ada", connection=connection),
        ):
            await connection.execute(COUNT)

    async with working(notes):
        assert await warnings_of(work) == []


async def test_roles_that_policies_do_not_hold_for_are_not_told(notes: Standing) -> None:
    login = f"free_{notes.name}"
    await tell(
        notes.admin,
        f"create role {login} login bypassrls password '{notes.password}' in role pillars_worker;"
        f"create table own (n integer); alter table own enable row level security; alter table own owner to {login}",
    )
    async with working(notes, login):
        assert await warnings_of(running_sql(COUNT, "select * from own")) == []
    async with using(Database(notes.admin, size=1)):
        assert await warnings_of(running_sql(COUNT)) == []
    await tell(notes.admin, f"alter role {login} nobypassrls")
    async with working(notes, login):
        both = ("select count(*) from notes", "select * from own")
        assert await warnings_of(running_sql(*both)) == NOTES, "its owner passes"
        await tell(notes.admin, "alter table own force row level security")
        assert await warnings_of(running_sql(*both)) == [("export", "public.own")]
    await tell(notes.admin, f"drop owned by {login}; drop role {login}")


async def test_where_nothing_is_protected_nothing_is_asked(
    standing: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    await tell(standing.admin, "create table notes (); grant select on notes to pillars_worker")
    async with working(standing, size=1) as database:
        async with database.pool.session() as session:
            session.connection.add_query_logger(lambda record: asked.append(record.query))
        for _ in range(3):
            await running_sql(COUNT)()
        assert asked.count(text("session/protected")) == 1
        assert text("session/touched") not in asked
        await tell(standing.admin, "alter table notes enable row level security")
        assert await warnings_of(running_sql(COUNT)) == [], "within the minute"
        monkeypatch.setattr("pillars.store.row_security.ASKED_EVERY", 0.0)
        assert await warnings_of(running_sql(COUNT)) == NOTES


async def test_a_role_that_may_not_see_locks_is_spared_the_question(notes: Standing) -> None:
    await tell(notes.admin, "revoke select on pg_locks from public")
    async with working(notes):
        assert await warnings_of(running_sql(COUNT)) == []


@pytest.mark.needs("pgbouncer")
async def test_it_is_told_behind_a_pooler_of_its_own_transaction_alone(notes: Standing) -> None:
    async with (
        pooler(notes.as_("app_worker"), default_pool_size=1) as found,
        using(Database(found.url)),
    ):
        other = await asyncpg.connect(found.url, statement_cache_size=0)
        await other.execute(COUNT)
        assert await warnings_of(running_sql("select count(*) from plain")) == []
        assert await warnings_of(running_sql(COUNT)) == NOTES
        await other.close()


async def test_a_worker_tells_it(notes: Standing) -> None:
    @job(name="counts.for.nobody")
    async def counts(ctx: Context) -> Any:
        async with ctx.connection() as connection:
            return await connection.fetchval(COUNT)

    async def work() -> None:
        async with (
            using(Database(notes.as_("app_worker"))) as database,
            running(worker_for(database, counts)),
        ):
            assert await (await counts.enqueue()).result(timeout="30s") == 0

    assert await warnings_of(work) == [("counts.for.nobody", "public.notes")]
