"""Connections: how long one waits for them, and what is left on them."""

import json
import socket
from contextlib import suppress
from datetime import timedelta

import anyio
import asyncpg
import pytest

from pillars import connection, job
from pillars.errors import DatabaseTrouble, Trouble
from pillars.jobs.connected import using
from pillars.store import queues
from pillars.store.database import Database
from pillars.store.enqueueing import NOW
from pillars.store.pool import Address, Pool
from pillars.store.trouble import told
from support import ask, asking, somebody_waits, tell, until

ADVISORY_LOCKS = """
select count(*) from pg_locks
where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
"""


@job(name="pool.write")
async def write() -> None: ...


async def test_a_job_waits_for_a_connection_for_as_long_as_it_lives(db: str) -> None:
    got: list[int] = []

    async def second() -> None:
        async with connection() as mine:
            got.append(await mine.fetchval("select 1"))

    async with using(Database(db, size=1)) as database, anyio.create_task_group() as group:
        database.pool.patience = timedelta(milliseconds=1)
        async with connection():
            group.start_soon(second)
            await anyio.wait_all_tasks_blocked()
            assert got == []
        await until(lambda: got == [1])


async def test_a_statement_that_finds_no_connection_says_what_to_raise(db: str) -> None:
    pool = Pool(Address(db), 1, timedelta(milliseconds=50))
    pool.open()
    async with pool.session(patiently=True):
        with pytest.raises(DatabaseTrouble, match="raise PILLARS_POOL") as trouble:
            await pool.rows(NOW)
    assert trouble.value.kind is Trouble.BUSY
    await pool.close()


async def test_what_a_job_sets_on_its_connection_is_gone_for_the_next(db: str) -> None:
    async with using(Database(db, size=1)):
        async with connection() as mine:
            await mine.execute("set statement_timeout = '123s'")
            await mine.execute("select pg_advisory_lock(42)")
            await mine.execute("create temp table scratch (); set role pg_monitor")
        async with connection() as next_one:
            assert await next_one.fetchval("select current_user = session_user")
            assert await next_one.fetchval("select to_regclass('scratch')") is None
            assert await next_one.fetchval("show statement_timeout") == "0"
            assert await next_one.fetchval(ADVISORY_LOCKS) == 0


async def test_a_commit_that_was_a_rollback_raises(db: str) -> None:
    """Where the block has kept the error of one of its statements to itself."""

    async def keep_it() -> None:
        async with connection() as mine:
            await write.configure(connection=mine).enqueue()
            with suppress(asyncpg.DivisionByZeroError):
                await mine.execute("select 1/0")

    async with using(Database(db, size=1)):
        with pytest.raises(DatabaseTrouble, match="was rolled back at its commit") as trouble:
            await keep_it()
        assert trouble.value.kind is Trouble.REFUSED
        assert await ask(db, "select count(*) from pillars.jobs") == 0
        await write.enqueue()


async def test_a_codec_that_a_job_sets_on_its_connection_reaches_no_enqueue(db: str) -> None:
    async with using(Database(db, size=1)):
        async with connection() as mine:
            await mine.set_type_codec(
                "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads
            )
            assert await mine.fetchval("""select '{"a": 1}'::jsonb""") == {"a": 1}
        await write.enqueue()
        async with connection() as next_one:
            assert await next_one.fetchval("select payload from pillars.jobs") == "{}"


async def test_a_transaction_whose_connection_is_cut_ends_with_what_its_block_raised(
    db: str, database: Database
) -> None:
    """And not with what asyncpg says of a connection that has gone back to its pool by itself."""
    async with database.pool.session() as session:

        async def cut_off() -> None:
            async with session.transaction():
                pid = session.connection.get_server_pid()
                await ask(db, "select pg_terminate_backend($1)", pid)
                await until(lambda: session.closed)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await cut_off()


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress"),
        asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
        ConnectionResetError(104, "Reset by peer"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_whatever_a_cut_statement_raises_is_told_as_a_lost_connection(error: Exception) -> None:
    with pytest.raises(DatabaseTrouble) as trouble, told():
        raise error
    assert trouble.value.kind is Trouble.LOST
    said, _, why = str(trouble.value).partition(": ")
    assert said == "the connection to Postgres was lost"
    assert why == (str(error) or "no answer in time")


async def test_a_server_that_never_answers_is_not_taken_for_a_pool_that_is_too_small() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address(f"postgresql://app@127.0.0.1:{silent.getsockname()[1]}/app")
        pool = Pool(address, size=1, patience=timedelta(milliseconds=50))
        pool.open()
        try:
            with pytest.raises(DatabaseTrouble, match="no answer in 50ms; is Postgres") as raised:
                await pool.rows(NOW)
        finally:
            await pool.close()
    assert raised.value.kind is Trouble.UNREACHABLE


async def test_a_port_that_nobody_listens_on_is_unreachable_in_one_line() -> None:
    with pytest.raises(DatabaseTrouble) as trouble:
        await Address("postgresql://me@127.0.0.1:1/none").connect()
    assert trouble.value.kind is Trouble.UNREACHABLE
    assert "\n" not in str(trouble.value)


async def test_a_commit_that_is_cancelled_leaves_no_transaction_to_the_next(db: str) -> None:
    await tell(db, SLOW_COMMIT)
    async with using(Database(db, size=1)) as database, asking(db) as gate:
        await gate.execute("select pg_advisory_lock(7)")
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(insert)
                await until(lambda: somebody_waits(db))
                scope.cancel()
        await gate.execute("select pg_advisory_unlock(7)")
        async with database.pool.session() as next_one:
            assert not next_one.connection.is_in_transaction()
    assert await ask(db, "select count(*) from words") == 0


async def insert() -> None:
    async with connection() as mine:
        await mine.execute("insert into words values ('one')")


SLOW_COMMIT = """
create table words (word text);
create function wait() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(7); return null; end $$;
create constraint trigger waits after insert on words deferrable initially deferred for each row execute function wait();
"""


async def test_connections_to_a_server_that_only_reads_are_left_behind(db: str) -> None:
    name = await ask(db, "select current_database()")
    async with using(Database(db, size=1)) as database:
        await tell(db, f'alter database "{name}" set default_transaction_read_only = on')
        with pytest.raises(DatabaseTrouble) as trouble:
            await write.enqueue()
        assert trouble.value.kind is Trouble.READ_ONLY
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):  # as code of the app's meets it
            async with connection() as mine:
                await mine.execute("delete from pillars.jobs")
        await database.runtime.rows(NOW)  # of the other pool, which has noticed nothing yet
        async with asking(db) as admin:
            await admin.execute("set default_transaction_read_only = off")
            await admin.execute(f'alter database "{name}" reset default_transaction_read_only')
        await write.enqueue()
        with pytest.raises(DatabaseTrouble):
            await queues.pause(database.runtime, "default")
        await queues.pause(database.runtime, "default")
        assert await ask(db, "select count(*) from pillars.jobs") == 1
