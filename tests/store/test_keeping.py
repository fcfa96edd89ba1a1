"""Connections that are kept at hand between statements."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from pillars.errors import DatabaseTrouble
from pillars.store.pool import Address, Pool
from pillars.store.rows import Yes
from pillars.store.statements import Statement
from support import until

PATIENCE = timedelta(seconds=20)
NOTIFY = Statement("jobs/notify", Yes)


@asynccontextmanager
async def pool_of(db: str, size: int) -> AsyncIterator[Pool]:
    pool = Pool(Address(db), size, PATIENCE)
    pool.open()
    try:
        yield pool
    finally:
        await pool.close()


async def pid(pool: Pool) -> int:
    async with pool.session() as session:
        return int(await session.connection.fetchval("select pg_backend_pid()"))


def idle(pool: Pool) -> int:
    assert pool._pool is not None
    return pool._pool.get_idle_size()


async def test_the_next_statement_finds_the_connection_of_the_last(db: str) -> None:
    async with pool_of(db, 3) as pool:
        first = await pid(pool)
        assert idle(pool) == 0, "it is at hand"
        assert await pid(pool) == first


async def test_one_that_nobody_used_for_a_while_goes_back_to_the_pool(db: str) -> None:
    async with pool_of(db, 3) as pool:
        await pid(pool)
        pool._kept._rest()
        assert idle(pool) == 0, "it was used since the last look"
        pool._kept._rest()
        await until(lambda: idle(pool) == 1)


async def test_whoever_waits_at_the_pool_goes_first(db: str) -> None:
    async with pool_of(db, 1) as pool:
        async with pool.session():
            waiting = asyncio.create_task(pid(pool))
            await until(lambda: pool._kept.waiting == 1)
        assert await asyncio.wait_for(waiting, 20)


async def test_one_on_which_something_failed_is_looked_after_by_the_pool(db: str) -> None:
    async def fail(pool: Pool) -> None:
        async with pool.session():
            raise ZeroDivisionError

    async with pool_of(db, 1) as pool:
        with pytest.raises(ZeroDivisionError):
            await fail(pool)
        assert idle(pool) == 1


async def test_one_with_an_open_transaction_is_not_kept(db: str) -> None:
    async with pool_of(db, 1) as pool:
        async with pool.session() as session:
            await session.connection.execute("begin")
        assert pool._kept.take() is None


async def test_one_that_was_cut_meanwhile_is_passed_over(db: str) -> None:
    async with pool_of(db, 2) as pool:
        first = await pid(pool)
        async with pool.session() as session:
            cut: Any = session.connection
        cut.terminate()
        assert await pid(pool) != first


async def test_after_a_standby_answered_nothing_taken_before_is_kept(db: str) -> None:
    async with pool_of(db, 3) as pool:
        async with pool.session() as held:
            before = {await held.connection.fetchval("select pg_backend_pid()"), await pid(pool)}
            with pytest.raises(DatabaseTrouble, match="read-only"):
                await _write_where_nothing_may_be_written(pool)
        assert pool._kept.take() is None
        after = {await pid(pool) for _ in range(3)}
    assert not before & after


async def _write_where_nothing_may_be_written(pool: Pool) -> None:
    async with pool.session() as session, session.transaction():
        await session.connection.execute("set transaction read only")
        await session.rows(Statement("queues/pause", Yes), "mail")
