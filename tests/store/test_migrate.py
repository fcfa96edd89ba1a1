"""Migrations: once each, in order, whoever comes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import anyio
import asyncpg
import pytest

from pillars.errors import ConfigurationError, DatabaseTrouble, SchemaError, Trouble
from pillars.store import migrate
from pillars.store.migrate import Migration
from pillars.store.pool import Address
from stepping import Hand
from support import ask, asking, tell, until

TABLE = Migration("app", 1, "0001_words", "create table words (word text)")
ROW = Migration("app", 2, "0002_row", "insert into words values ('one')")
INDEX = Migration(
    "app",
    3,
    "0003_index",
    "-- outside a transaction\ncreate index concurrently if not exists words_word on words (word)",
)
FILL = "insert into pillars.jobs (job_id, name, queue) select pillars.uuid7(), 'work', 'default' from generate_series(1, $1::int)"


@asynccontextmanager
async def worker(url: str) -> AsyncIterator[Hand]:
    session = await Address(url).connect()
    try:
        yield Hand(session)
    finally:
        await session.close()


async def apply(url: str, *of_app: Migration) -> list[str]:
    done = await migrate.migrate(Address(url), [*migrate.of_runtime(), *of_app])
    return [one.name for one in done]


async def require(url: str, *of_app: Migration) -> None:
    session = await Address(url).connect()
    try:
        await migrate.require(session, [*migrate.of_runtime(), *of_app])
    finally:
        await session.close()


@pytest.mark.smoke
async def test_ten_processes_at_once_apply_each_migration_once(empty_db: str) -> None:
    applied: list[str] = []

    async def process() -> None:
        applied.extend(await apply(empty_db, TABLE, ROW, INDEX))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(process)
    runtime = [one.name for one in migrate.of_runtime()]
    assert sorted(applied) == sorted([*runtime, "0001_words", "0002_row", "0003_index"])
    assert await ask(empty_db, "select count(*) from words") == 1
    assert await ask(empty_db, "select to_regclass('words_word') is not null")


async def test_what_is_applied_is_not_applied_again_and_what_is_new_is(empty_db: str) -> None:
    assert await apply(empty_db, TABLE) == [
        *(one.name for one in migrate.of_runtime()),
        "0001_words",
    ]
    assert await apply(empty_db, TABLE) == []
    assert await apply(empty_db, TABLE, ROW) == ["0002_row"]
    await require(empty_db, TABLE, ROW)


async def test_a_migration_that_fails_leaves_nothing_and_is_named(empty_db: str) -> None:
    broken = Migration("app", 2, "0002_broken", "insert into words values ('kept?'); select 1 / 0")
    with pytest.raises(DatabaseTrouble, match="migration app 0002_broken failed: division by zero"):
        await apply(empty_db, TABLE, broken)
    assert await ask(empty_db, "select count(*) from words") == 0
    assert await apply(empty_db, TABLE, ROW) == ["0002_row"]


async def test_a_database_that_lacks_a_migration_names_the_command(empty_db: str) -> None:
    await apply(empty_db, TABLE)
    with pytest.raises(SchemaError, match=r"lacks 1 migrations \(app 0002_row\); run: app migrate"):
        await require(empty_db, TABLE, ROW)


async def test_a_database_newer_than_the_code_is_refused_and_left_alone(empty_db: str) -> None:
    await apply(empty_db, TABLE, ROW)
    newer = "newer than this code: it has app 0002_row"
    with pytest.raises(SchemaError, match=newer):
        await require(empty_db, TABLE)
    with pytest.raises(SchemaError, match=newer):
        await apply(empty_db, TABLE)


async def test_a_migration_edited_after_it_was_applied_is_refused(empty_db: str) -> None:
    await apply(empty_db, TABLE)
    edited = Migration("app", 1, "0001_words", "create table words (word text, other text)")
    with pytest.raises(
        SchemaError, match=r"0001_words\.sql was changed after this database applied it"
    ):
        await apply(empty_db, edited)


def next_of_runtime(sql: str) -> list[Migration]:
    """The runtime's migrations as a later release may have them."""
    known = migrate.of_runtime()
    return [*known, Migration("pillars", known[-1].version + 1, "later", sql)]


async def waiting(url: str, mode: str = "AccessExclusiveLock") -> set[str]:
    """The transactions that wait for a table, to have it for themselves alone."""
    found = await ask(
        url,
        """
        select array_agg(virtualtransaction) from pg_locks
        where database = (select oid from pg_database where datname = current_database()) and mode = $1 and not granted
        """,
        mode,
    )
    return set(found or ())


async def is_waiting(url: str, mode: str = "AccessExclusiveLock") -> bool:
    return bool(await waiting(url, mode))


async def test_claims_go_on_while_a_migration_tries_for_a_table_that_a_long_transaction_holds(
    empty_db: str,
) -> None:
    await apply(empty_db)
    await tell(empty_db, FILL, 3)
    widen = next_of_runtime("alter table pillars.jobs add column note text")
    tries = set[str]()

    async def tries_again() -> bool:
        new = await waiting(empty_db) - tries
        tries.update(new)
        return bool(new)

    async with (
        asking(empty_db) as reader,
        worker(empty_db) as hand,
        anyio.create_task_group() as group,
        reader.transaction(),
    ):
        await reader.fetch("select from pillars.jobs limit 1")
        group.start_soon(migrate.migrate, Address(empty_db), widen)
        for _ in range(3):
            await until(tries_again)
            assert len(await hand.take(1)) == 1
    assert await ask(empty_db, "select count(note) = 0 from pillars.jobs")


async def test_a_migration_does_not_queue_behind_a_long_transaction(empty_db: str) -> None:
    await apply(empty_db, TABLE)
    widen = Migration("app", 2, "0002_widen", "alter table words add column note text")
    known = [*migrate.of_runtime(), TABLE, widen]
    async with asking(empty_db) as reader, reader.transaction():
        await reader.fetch("select * from words")
        with pytest.raises(DatabaseTrouble, match="lock timeout, tried for 1ms; end the") as caught:
            await migrate.migrate(Address(empty_db), known, patience=timedelta(milliseconds=1))
    assert caught.value.kind is Trouble.CONFLICT
    assert await apply(empty_db, TABLE, widen) == ["0002_widen"]


async def test_while_vacuum_has_a_table_a_migration_waits_where_it_is_in_nobodys_way(
    empty_db: str,
) -> None:
    await apply(empty_db)
    widen = next_of_runtime("alter table pillars.jobs add column note text")
    async with (
        asking(empty_db) as vacuum,
        anyio.create_task_group() as group,
        vacuum.transaction(),
    ):
        await vacuum.execute("lock table pillars.jobs in share update exclusive mode")
        group.start_soon(migrate.migrate, Address(empty_db), widen)
        await until(lambda: is_waiting(empty_db, "ShareUpdateExclusiveLock"))
        assert not await is_waiting(empty_db)
    assert await ask(empty_db, "select count(note) = 0 from pillars.jobs")


async def test_a_migration_that_a_deadlock_undid_is_tried_again(empty_db: str) -> None:
    await apply(empty_db, TABLE)
    await tell(empty_db, "create table stones (stone text)")
    both = Migration(
        "app", 2, "0002_both", "alter table words add note text; alter table stones add note text"
    )
    async with asking(empty_db) as other, anyio.create_task_group() as group:
        await other.execute("begin; set local lock_timeout = 0; lock table stones")
        group.start_soon(apply, empty_db, TABLE, both)
        await until(lambda: is_waiting(empty_db))
        with suppress(asyncpg.DeadlockDetectedError):
            await other.execute("lock table words")
        await other.execute("rollback")
    assert await ask(
        empty_db, "select count(words.note) + count(stones.note) = 0 from words, stones"
    )


async def test_a_repeatable_statement_killed_after_it_ran_is_noted_by_the_next_run(
    empty_db: str,
) -> None:
    await apply(empty_db, TABLE)
    await tell(empty_db, "create index words_word on words (word)")
    index = Migration("app", 2, "0002_index", INDEX.sql)
    assert await apply(empty_db, TABLE, index) == ["0002_index"]


async def test_an_index_whose_build_was_killed_is_not_taken_for_one_that_is_there(
    empty_db: str,
) -> None:
    await apply(empty_db, TABLE)
    await tell(empty_db, "insert into words values ('twice'), ('twice')")
    with pytest.raises(asyncpg.UniqueViolationError):
        await tell(empty_db, "create unique index concurrently words_word on words (word)")
    index = Migration("app", 2, "0002_index", INDEX.sql)
    with pytest.raises(
        SchemaError, match=r"run: drop index concurrently public\.words_word, then app migrate"
    ):
        await apply(empty_db, TABLE, index)
    await tell(empty_db, "drop index concurrently public.words_word")
    assert await apply(empty_db, TABLE, index) == ["0002_index"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["0001_a.sql", "0003_b.sql"], r"expected 0002 next, got 0003_b\.sql"),
        (["0001_a.sql", "0001_b.sql"], r"expected 0002 next, got 0001_b\.sql"),
        (["first.sql"], r"expected a name such as 0001_orders\.sql"),
    ],
)
def test_files_out_of_order_are_refused_by_name(
    tmp_path: Path, names: list[str], said: str
) -> None:
    for name in names:
        (tmp_path / name).write_text("select 1")
    with pytest.raises(ConfigurationError, match=said):
        migrate.in_folder("app", tmp_path)


def test_a_missing_folder_has_no_migrations(tmp_path: Path) -> None:
    assert migrate.in_folder("app", tmp_path / "none") == []


async def test_an_impossible_row_is_refused_by_the_table_itself(empty_db: str) -> None:
    await apply(empty_db)
    with pytest.raises(asyncpg.CheckViolationError):
        await tell(
            empty_db,
            "insert into pillars.jobs (job_id, queue, name, priority, run_at) values (gen_random_uuid(), 'q', 'n', 0, 'infinity')",
        )
