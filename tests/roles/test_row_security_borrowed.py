"""`connection=`: a block inside somebody's own transaction, which is as it was afterwards; behind PgBouncer; in threads and processes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import psycopg
import pytest
from crunching import work
from pooling import pooler
from roles.protecting import COUNT, NOTHING, SAID, context, protect, working
from roles.standing import Standing

from callers import KINDS, Caller, Kind
from pillars import Context, job
from pillars.errors import UsageError
from pillars.jobs.connected import using
from pillars.store.database import Database
from pillars.store.row_security import Convention
from support import ask, asking, running, tell, worker_for

AUDIT = "select count(*) from pillars.audit where action = 'job.system'"
WRITE = f"insert into plain ({COUNT.replace('count(*)', 'count(*) as note_id')})"
WRITTEN = "select array_agg(note_id order by ctid) from plain"

kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@pytest.fixture
async def notes(standing: Standing) -> Standing:
    return await protect(standing)


@asynccontextmanager
async def acting(caller: Caller, how: str, value: str) -> AsyncIterator[None]:
    """The block that fits the connection."""
    ctx = context()
    if caller.now:
        with getattr(ctx, f"{how}_now")(value, connection=caller.connection) as given:
            assert given is caller.connection
            yield
    else:
        async with getattr(ctx, how)(value, connection=caller.connection) as given:
            assert given is caller.connection
            yield


@kinds
async def test_the_transaction_is_as_it_was_after_the_block(notes: Standing, kind: Kind) -> None:
    async with working(notes), kind(notes.as_("app_worker")) as caller:
        async with acting(caller, "as_user", "ada"):
            await caller.tell(WRITE)
            async with acting(caller, "system", "count all"):
                await caller.tell(WRITE)
            await caller.tell(WRITE)
        await caller.tell(WRITE)
    assert await ask(notes.admin, WRITTEN) == [2, 3, 2, 0]
    assert await ask(notes.admin, AUDIT) == 1


@kinds
async def test_an_error_that_leaves_the_block_leaves_nobody_acting(
    notes: Standing, kind: Kind
) -> None:
    async with working(notes), kind(notes.as_("app_worker")) as caller:
        for how in ("as_user", "system"):
            with pytest.raises(ValueError, match="of the job's own"):
                async with acting(caller, how, "ada"):
                    raise ValueError("of the job's own")
            await caller.tell(WRITE)
    assert await ask(notes.admin, WRITTEN) == [0, 0]


@kinds
async def test_what_the_database_refuses_travels_as_the_driver_says_it(
    notes: Standing, kind: Kind
) -> None:
    async def refused() -> None:
        async with (
            working(notes),
            kind(notes.as_("app_worker")) as caller,
            acting(caller, "system", "why"),
        ):
            await caller.tell("select 1 / 0")

    with pytest.raises(Exception, match="division by zero"):
        await refused()
    assert await ask(notes.admin, AUDIT) == 0


async def test_a_role_is_given_back_where_the_transaction_goes_on(notes: Standing) -> None:
    role = f"taken_{notes.name}"
    await tell(notes.admin, f"create role {role}; grant {role} to app_worker")
    async with working(notes, user_role=role):
        for kind in KINDS.values():
            async with kind(notes.as_("app_worker")) as caller:
                async with acting(caller, "as_user", "ada"):
                    await caller.tell(f"do $$ begin assert current_user = '{role}'; end $$")
                await caller.tell("do $$ begin assert current_user = 'app_worker'; end $$")


async def test_a_connection_outside_a_transaction_is_refused_and_nothing_is_written(
    notes: Standing,
) -> None:
    worker = notes.as_("app_worker")
    async with working(notes), asking(worker) as plain:
        for block in (
            context().as_user("ada", connection=plain),
            context().system("why", connection=plain),
        ):
            with pytest.raises(UsageError, match="expected one in a transaction"):
                async with block:
                    pytest.fail("for nobody")
        with psycopg.connect(worker, autocommit=True) as blocking:
            for now in (
                context().as_user_now("ada", connection=blocking), context().system_now("why", connection=blocking),
            ):  # fmt: skip
                with pytest.raises(UsageError, match="expected one in a transaction"), now:
                    pytest.fail("for nobody")
        with pytest.raises(UsageError, match="as_user_now"), psycopg.connect(worker) as blocking:
            async with context().as_user("ada", connection=blocking):
                pytest.fail("it is not awaited")
        with (
            pytest.raises(UsageError, match="async with"),
            context().system_now("why", connection=plain),
        ):
            pytest.fail("it does not block")
    assert await ask(notes.admin, AUDIT) == 0


async def test_a_rollback_to_a_savepoint_takes_back_what_was_done_as_the_system(
    notes: Standing,
) -> None:
    async def undone(connection: Any) -> None:
        async with connection.transaction(), context().system("why", connection=connection):
            await connection.execute(WRITE)
            raise ValueError("undone")

    async with working(notes), context().connection() as connection:
        with pytest.raises(ValueError, match="undone"):
            await undone(connection)
        await connection.execute(WRITE)
    assert await ask(notes.admin, WRITTEN) == [0]
    assert await ask(notes.admin, AUDIT) == 0


# Behind PgBouncer.


@pytest.mark.needs("pgbouncer")
@pytest.mark.parametrize("role", [False, True])
async def test_a_pooler_gives_nobody_what_another_said(notes: Standing, *, role: bool) -> None:
    taken = f"pooled_{notes.name}" if role else None
    if taken:
        await tell(
            notes.admin,
            f"create role {taken}; grant {taken} to app_worker; grant select on notes to {taken}",
        )
    convention = Convention(user_role=taken, system_role=taken)
    async with (
        pooler(notes.as_("app_worker"), default_pool_size=1) as found,
        using(Database(found.url, convention=convention)) as database,
    ):
        other = await asyncpg.connect(found.url, statement_cache_size=0)  # on the one server
        for how in ("as_user", "system"):
            block = getattr(context(), how)
            for error in (None, ValueError("of the job's own")):
                try:
                    async with block("ada") as connection:
                        assert await connection.fetchval(COUNT) == {"as_user": 2, "system": 3}[how]
                        assert await connection.fetchval("select current_user") == (
                            taken or "app_worker"
                        )
                        if error:
                            raise error
                except ValueError:
                    assert error
                assert await other.fetchval(SAID) in {NOTHING, ""}
                assert await other.fetchval("select current_user") == "app_worker"
                assert await other.fetchval(COUNT) == 0
        assert database.address.pooled
        await other.close()
    assert await ask(notes.admin, AUDIT) == 1


# In workers.


@job(name="counts.notes")
async def counts(ctx: Context, user_id: str) -> list[int]:
    async with ctx.as_user(user_id) as connection:
        own = await connection.fetchval(COUNT)
    async with ctx.system("all of them") as connection:
        return [own, await connection.fetchval(COUNT)]


@job(name="counts.notes.in.a.thread")
def counts_in_a_thread(ctx: Context, url: str) -> list[int]:
    found: list[int] = []
    with psycopg.connect(url) as connection:
        for block in (partial(ctx.as_user_now, "bob"), partial(ctx.system_now, "all of them")):
            with block(connection=connection):
                found += connection.execute(COUNT).fetchone() or ()
    return found


async def test_jobs_act_on_the_loop_in_threads_and_in_processes(notes: Standing) -> None:
    worker = notes.as_("app_worker")
    jobs: list[Any] = [counts, counts_in_a_thread, *work.ALL]
    async with (
        using(Database(worker)) as database,
        running(worker_for(database, *jobs, jobs="crunching")),
    ):
        assert await (await counts.enqueue("ada")).result(timeout="30s") == [2, 3]
        threaded = await counts_in_a_thread.enqueue(worker)
        assert await threaded.result(timeout="30s") == [1, 3]
        assert await (await work.acts.enqueue("ada")).result(timeout="30s") == [2, 3, None]
        blocking = await work.acts_now.enqueue("bob", worker)
        assert await blocking.result(timeout="30s") == [1, 3]
    actors = await ask(notes.admin, "select array_agg(actor order by audit_id) from pillars.audit")
    assert actors == [
        "job:counts.notes", "job:counts.notes.in.a.thread", "job:crunch.acts", "job:crunch.acts_now",
    ]  # fmt: skip


async def test_a_process_of_its_own_knows_the_apps_setting(notes: Standing) -> None:
    async with using(Database(notes.as_("app_worker"))) as database:
        worker = worker_for(database, *work.ALL, jobs="crunching", rls_user="app.user")
        async with running(worker):
            told = await (await work.acts.enqueue("ada")).result(timeout="30s")
    assert told == [0, 3, "ada"]
