"""Enqueues on other people's connections: the job exists exactly when their transaction commits, whatever the driver."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import django.db
import psycopg
import pytest
import sqlalchemy
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from callers import AWAITED, KINDS, Kind, sqlalchemy_url
from pillars import PillarsError, UsageError, enqueue_many, job
from pillars.store.database import Database
from stepping import Heard, hand, hearing, put_one, row
from support import ask, asking, until

kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
awaited = pytest.mark.parametrize("kind", AWAITED.values(), ids=AWAITED)
TEXTS = {"n": 1, "s": 'a "quoted" \\ 50 % :jobs $1 ? {x} naïve 🐘\n'}


@job(name="work")
async def work(n: int = 0, texts: dict[str, Any] | None = None) -> int:
    return n + len(texts or {})


@job(name="keyed", unique_key=lambda n: f"k{n}")
async def keyed(n: int) -> int:
    return n


class UndoneError(Exception):
    """What a caller's own code raises."""


async def count(db: str) -> int:
    return int(await ask(db, "select count(*) from pillars.jobs"))


@asynccontextmanager
async def heard_on(db: str) -> AsyncIterator[Heard]:
    async with hand(db) as listener, hearing(listener) as heard:
        yield heard


class TestTransactions:
    @kinds
    async def test_a_committed_one_leaves_one_job_with_all_its_options_and_wakes_after_the_commit(
        self, db: str, kind: Kind
    ) -> None:
        options: dict[str, Any] = {
            "queue": "mail", "priority": -3, "expires_in": "2h", "max_attempts": 2, "timeout": "90s",
            "unique_key": "k" * 300, "context": "why: 50 %", "tags": ["a", 'b,"c"'],
        }  # fmt: skip
        async with heard_on(db) as heard:
            async with kind(db) as caller:
                handle = await caller.enqueue(work, 7, TEXTS, **options)
                assert await heard() == []
                assert await count(db) == 0
            await until(lambda: _heard(heard, "mail"))
        assert await count(db) == 1
        stored = await row(db, UUID(handle.job_id))
        assert await ask(db, "select (payload #>> '{texts, s}') from pillars.jobs") == TEXTS["s"]
        assert (stored["queue"], stored["priority"], stored["max_attempts"]) == ("mail", -3, 2)
        assert (stored["tags"], stored["context"]) == (["a", 'b,"c"'], "why: 50 %")
        assert stored["timeout"] == timedelta(seconds=90)
        assert stored["run_at"] == stored["created_at"]
        assert stored["expires_at"] - stored["run_at"] == timedelta(hours=2)
        assert stored["unique_key"].startswith("sha256:")

    @kinds
    async def test_rows_are_the_same_as_those_of_our_own_pool(
        self, db: str, database: Database, kind: Kind
    ) -> None:
        del database
        many: list[dict[str, Any]] = [
            {"run_at": datetime(2030, 3, 31, 1, 30, 0, 123456, tzinfo=UTC), "expires_in": "1d"},
            {"run_at": datetime(2030, 1, 1, tzinfo=UTC), "timeout": None, "tags": []},
            {"run_at": datetime(2020, 1, 1, tzinfo=UTC), "timeout": "250ms", "tags": ["x"]},
        ]
        for options in many:
            ours = await work.configure(**options).enqueue(1)
            async with kind(db) as caller:
                theirs = await caller.enqueue(work, 1, **options)
            expected = dict(await row(db, UUID(ours.job_id)))
            found = dict(await row(db, UUID(theirs.job_id)))
            assert {name for name in expected if expected[name] != found[name]} == {
                "job_id",
                "created_at",
            }

    @kinds
    async def test_one_rolled_back_leaves_none_and_no_wake_up_even_where_the_enqueue_came_first(
        self, db: str, kind: Kind
    ) -> None:
        """SQLAlchemy's trap: the driver's connection under a fresh session stands outside its transaction."""
        async with heard_on(db) as heard:

            async def undone() -> None:
                async with kind(db) as caller:
                    await caller.enqueue(work)
                    raise UndoneError

            with pytest.raises(UndoneError):
                await undone()
            assert await heard() == []
        assert await count(db) == 0

    @kinds
    async def test_a_savepoint_rolled_back_takes_its_jobs_and_wake_ups_along(
        self, db: str, kind: Kind
    ) -> None:
        async with heard_on(db) as heard:
            async with kind(db) as caller:
                await caller.enqueue(work, 1, queue="kept")
                await caller.tell("savepoint here")
                await caller.enqueue(work, 2, queue="undone")
                await caller.tell("rollback to savepoint here")
            await until(lambda: _heard(heard, "kept"))
            assert await heard() == ["kept"]
        assert await ask(db, "select array_agg(queue) from pillars.jobs") == ["kept"]

    @kinds
    async def test_many_wake_once_a_queue_and_what_is_due_later_wakes_nobody(
        self, db: str, kind: Kind
    ) -> None:
        async with heard_on(db) as heard:
            async with kind(db) as caller:
                for _ in range(3):
                    await caller.enqueue(work, queue="a")
                await caller.enqueue(work, queue="b", run_in=29)
                await caller.enqueue(work, queue="c", run_in=31)
            await until(lambda: _heard(heard, "b"))
            assert sorted(await heard()) == ["a", "b"]
        assert await count(db) == 5

    @kinds
    async def test_a_key_that_is_held_gives_the_holders_id(self, db: str, kind: Kind) -> None:
        held = await put_one(db, name="keyed", unique_key="k1")
        async with kind(db) as caller:
            assert (await caller.enqueue(keyed, 1)).job_id == str(held)
            free = await caller.enqueue(keyed, 2)
            assert (await caller.enqueue(keyed, 2)).job_id == free.job_id
        assert await count(db) == 2


class TestMany:
    @awaited
    async def test_handles_come_in_order_and_a_duplicate_gives_the_firsts(
        self, db: str, kind: Kind
    ) -> None:
        held = await put_one(db, name="keyed", unique_key="k9")
        calls = [keyed.call(1), work.call(5), keyed.call(9), keyed.call(1), keyed.call(2)]
        async with heard_on(db) as heard:
            async with kind(db) as caller:
                handles = await enqueue_many(calls, connection=caller.connection)
                assert await heard() == []
            await until(lambda: _heard(heard, "default"))
            assert await heard() == ["default"]
        ids = [UUID(handle.job_id) for handle in handles]
        assert ids[2] == held
        assert ids[3] == ids[0]
        stored = [(await row(db, ids[place]))["payload"] for place in (0, 1, 4)]
        assert stored == ['{"n": 1}', '{"n": 5}', '{"n": 2}']
        assert await count(db) == 4

    @awaited
    async def test_all_of_them_or_none(self, db: str, kind: Kind) -> None:
        async def undone() -> None:
            async with kind(db) as caller:
                calls = (work.call(n) for n in range(1500))
                assert len(await enqueue_many(calls, connection=caller.connection)) == 1500
                raise UndoneError

        with pytest.raises(UndoneError):
            await undone()
        assert await count(db) == 0

    async def test_two_crowds_with_the_same_keys_in_opposite_orders_do_not_deadlock(
        self, db: str
    ) -> None:
        there = [keyed.call(n) for n in range(200)]

        async def crowd(calls: Any) -> list[str]:
            async with KINDS["psycopg"](db) as caller:
                handles = await enqueue_many(calls, connection=caller.connection)
            return [handle.job_id for handle in handles]

        told = await asyncio.gather(*(crowd(there), crowd(there[::-1])) * 3)
        assert await count(db) == 200
        assert len({one for ids in told for one in ids}) == 200

    async def test_one_whose_holder_ends_while_it_waits_is_inserted(self, db: str) -> None:
        held = await put_one(db, name="keyed", unique_key="k1")
        async with hand(db) as worker, KINDS["psycopg"](db) as caller:
            async with worker.session.transaction():
                assert await worker.cancel(held) == "cancelled"
                asked = asyncio.create_task(caller.enqueue(keyed, 1))
                pid = caller.connection.info.backend_pid
                await until(lambda: _waits(db, pid))
            assert (await asked).job_id != str(held)
        assert await count(db) == 1


class TestSettingsOfTheCallers:
    """What people do to their connections changes nothing about the job."""

    async def test_codecs_of_an_asyncpg_connection_do_not_reach_our_arguments(
        self, db: str
    ) -> None:
        async with asking(db) as connection:
            for name in ("json", "jsonb"):
                await connection.set_type_codec(
                    name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
                )
            await connection.set_type_codec(
                "uuid", encoder=str, decoder=str, schema="pg_catalog", format="text"
            )
            handle = await work.configure(connection=connection).enqueue(3)
        assert (await row(db, UUID(handle.job_id)))["payload"] == '{"n": 3}'

    async def test_rows_as_dictionaries_do_not_reach_our_answers(self, db: str) -> None:
        async with await psycopg.AsyncConnection.connect(db, row_factory=dict_row) as connection:
            handle = await work.configure(connection=connection).enqueue(3)
        await row(db, UUID(handle.job_id))

    async def test_a_day_is_24_hours_in_every_time_zone(self, db: str) -> None:
        await ask(
            db, "update pillars_test.clock set shift = timestamptz '2030-03-30 12:00+00' - now()"
        )
        async with KINDS["psycopg"](db) as caller:
            await caller.tell("set timezone = 'Europe/Berlin'")
            handle = await caller.enqueue(work, run_in="1d", expires_in="1d")
        stored = await row(db, UUID(handle.job_id))
        assert stored["run_at"] - stored["created_at"] == timedelta(hours=24)
        assert stored["expires_at"] - stored["run_at"] == timedelta(hours=24)

    async def test_a_pipeline_of_psycopg_carries_it(self, db: str) -> None:
        async with (
            await psycopg.AsyncConnection.connect(db) as connection,
            connection.pipeline(),
        ):
            await connection.execute("create table theirs (n integer)")
            handle = await work.configure(connection=connection).enqueue(3)
        await row(db, UUID(handle.job_id))

    @pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "sqlalchemy"])
    async def test_without_a_transaction_the_job_exists_at_once(self, db: str, driver: str) -> None:
        if driver == "asyncpg":
            async with asking(db) as connection:
                await work.configure(connection=connection).enqueue()
                assert await count(db) == 1
        elif driver == "psycopg":
            with psycopg.connect(db, autocommit=True) as connected:
                work.configure(connection=connected).enqueue_now()
                assert await count(db) == 1
        else:
            engine = sqlalchemy.create_engine(
                sqlalchemy_url(db, "psycopg"), isolation_level="AUTOCOMMIT"
            )
            with engine.connect() as opened:
                work.configure(connection=opened).enqueue_now()
                assert await count(db) == 1
            engine.dispose()

    async def test_a_blocking_session_inside_run_sync_is_one_that_blocks(self, db: str) -> None:
        engine = create_async_engine(sqlalchemy_url(db, "asyncpg"))
        async with AsyncSession(engine) as session:
            await session.run_sync(lambda inner: work.configure(connection=inner).enqueue_now(1))
            assert await count(db) == 0
            await session.commit()
        await engine.dispose()
        assert await count(db) == 1


class TestErrors:
    """In the caller's transaction, what the driver raises is the caller's to catch."""

    async def test_a_serialization_failure_is_the_drivers_so_that_the_callers_loop_repeats(
        self, db: str
    ) -> None:
        async def repeating() -> int:
            for tries in (1, 2):
                try:
                    async with await psycopg.AsyncConnection.connect(db) as connection:
                        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
                        await connection.execute("select 1")
                        if tries == 1:  # another takes the key after our snapshot
                            await put_one(db, name="keyed", unique_key="k1")
                        await keyed.configure(connection=connection).enqueue(1)
                        return tries
                except psycopg.errors.SerializationFailure:
                    continue
            raise AssertionError

        assert await repeating() == 2
        assert await count(db) == 1

    @kinds
    async def test_a_failed_transaction_says_so_in_the_drivers_words(
        self, db: str, kind: Kind
    ) -> None:
        async def failed() -> None:
            async with kind(db) as caller:
                with pytest.raises(Exception, match="division by zero"):
                    await caller.tell("select 1 / 0")
                await caller.enqueue(work)

        with pytest.raises(Exception, match=r"aborted|inactive|rolled back") as raised:
            await failed()
        assert not isinstance(raised.value, PillarsError)
        assert await count(db) == 0

    async def test_a_block_of_django_that_is_to_be_rolled_back_takes_no_job(self, db: str) -> None:
        async with KINDS["Django's, blocking"](db) as caller:
            django.db.transaction.set_rollback(True)
            with pytest.raises(django.db.transaction.TransactionManagementError):
                await caller.enqueue(work)
        assert await count(db) == 0

    async def test_an_error_on_djangos_connection_has_djangos_name(self, db: str) -> None:
        async with asking(db) as other:
            await other.execute("alter table pillars.jobs add check (queue <> 'refused')")
        with pytest.raises(django.db.utils.IntegrityError):
            async with KINDS["Django's, blocking"](db) as caller:
                await caller.enqueue(work, queue="refused")

    async def test_a_closed_connection_says_so_in_the_drivers_words(self, db: str) -> None:
        async with asking(db) as connection:
            pass
        with pytest.raises(asyncpg.InterfaceError, match="closed"):
            await work.configure(connection=connection).enqueue()
        with psycopg.connect(db) as connected:
            pass
        with pytest.raises(psycopg.OperationalError, match="closed"):
            work.configure(connection=connected).enqueue_now()


ASYNC_ENGINE = create_async_engine("postgresql+asyncpg://nowhere/")
ENGINE = sqlalchemy.create_engine("postgresql+psycopg://nowhere/")


class TestWhatIsNoConnection:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (ASYNC_ENGINE, "got sqlalchemy's AsyncEngine; pass a connection of it"),
            (ENGINE, "got sqlalchemy's Engine; pass a connection of it"),
            (async_sessionmaker(ASYNC_ENGINE), "async_sessionmaker; pass a session of it"),
            (sessionmaker(ENGINE), "got sqlalchemy's sessionmaker; pass a session of it"),
            ("postgresql://", "asyncpg, psycopg 3, SQLAlchemy or Django, got str"),
        ],
    )
    async def test_it_is_refused_in_one_line_that_says_what_to_pass(
        self, given: Any, said: str
    ) -> None:
        for enqueue in awaited_ways(given):
            with pytest.raises(UsageError, match=said):
                await enqueue()
        with pytest.raises(UsageError, match=said):
            work.configure(connection=given).enqueue_now()

    async def test_a_pool_is_refused(self, db: str) -> None:
        async with asyncpg.create_pool(db, min_size=0, max_size=1) as pool:
            with pytest.raises(UsageError, match="got asyncpg's Pool; pass a connection of it"):
                await work.configure(connection=pool).enqueue()

    async def test_one_that_blocks_is_not_awaited(self) -> None:
        with Session(ENGINE) as session:
            given = work.configure(connection=session)
            with pytest.raises(UsageError, match=r"got sqlalchemy's Session; call enqueue_now"):
                await given.enqueue()
            with pytest.raises(UsageError, match=r"got sqlalchemy's Session; call enqueue_now"):
                await enqueue_many([work.call()], connection=session)

    async def test_one_that_is_awaited_does_not_block(self, db: str) -> None:
        async with asking(db) as connection:
            with pytest.raises(UsageError, match=r"asyncpg's Connection; write await ….enqueue"):
                work.configure(connection=connection).enqueue_now()
        session = AsyncSession(ASYNC_ENGINE)
        with pytest.raises(UsageError, match=r"sqlalchemy's AsyncSession; write await ….enqueue"):
            work.configure(connection=session).enqueue_now()

    async def test_djangos_connection_is_not_awaited(self) -> None:
        with pytest.raises(UsageError, match=r"got django's ConnectionProxy; call enqueue_now"):
            await work.configure(connection=django.db.connection).enqueue()

    async def test_djangos_connection_to_another_database_is_refused(self) -> None:
        sqlite = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        given = django.db.utils.ConnectionHandler(sqlite).create_connection("default")
        with pytest.raises(UsageError, match="expected one to Postgres, got one to sqlite"):
            work.configure(connection=given).enqueue_now()

    async def test_a_session_on_another_database_is_refused(self) -> None:
        engine = sqlalchemy.create_engine("sqlite://")
        with Session(engine) as session, engine.connect() as connection:
            for given in (session, connection):
                with pytest.raises(UsageError, match="expected one to Postgres, got one to sqlite"):
                    work.configure(connection=given).enqueue_now()
        engine.dispose()

    async def test_an_older_psycopg_is_refused_by_its_version(
        self, db: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(psycopg, "RawCursor")
        with (
            psycopg.connect(db) as connection,
            pytest.raises(UsageError, match=r"expected psycopg 3\.2 or newer, got 3\."),
        ):
            work.configure(connection=connection).enqueue_now()

    def test_no_driver_is_imported_to_find_out(self) -> None:
        code = (
            "import sys; from pillars.store.borrowed import borrow\n"
            "try: borrow('x', otherwise='')\n"
            "except Exception as error: print(type(error).__name__)\n"
            "print([m for m in ('psycopg', 'sqlalchemy') if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["UsageError", "[]"]


def awaited_ways(given: Any) -> list[Callable[[], Any]]:
    return [
        work.configure(connection=given).enqueue,
        lambda: enqueue_many([work.call()], connection=given),
    ]


async def _heard(heard: Heard, queue: str) -> bool:
    return queue in await heard()


async def _waits(db: str, pid: int) -> bool:
    waiting = "select wait_event_type = 'Lock' from pg_stat_activity where pid = $1"
    return bool(await ask(db, waiting, pid))
