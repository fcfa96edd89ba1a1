"""The examples of docs/howto/transactions.md, run as they stand there."""

import inspect
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from callers import sqlalchemy_url
from pillars.store.database import Database
from stepping import row
from support import ask, asking, running, tell, worker_for

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "transactions.md"
# The second order for an address fails where the hardest failures are: at the commit.
ORDERS = """create table orders (
    id integer generated always as identity primary key, email text not null, paid integer not null default 0,
    unique (email) deferrable initially deferred)"""


@cache
def blocks(language: str) -> list[str]:
    """The page's code in that language, in order."""
    page = PAGE.read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def saying(*words: str) -> str:
    """The one example that has all these words."""
    [found] = [code for code in blocks("python")[1:] if all(word in code for word in words)]
    return found


def names_of(code: str, **given: Any) -> dict[str, Any]:
    """What an example defines, beside the job that all of them enqueue."""
    names: dict[str, Any] = {"__name__": "jobs.mail", **given}
    for each in (blocks("python")[0], code):
        exec(compile(each, str(PAGE), "exec"), names)
    return names


@asynccontextmanager
async def asyncpg_pool(db: str) -> AsyncIterator[tuple[Any, ...]]:
    async with asyncpg.create_pool(db, min_size=0) as pool:
        yield (pool,)


@asynccontextmanager
async def our_pool(db: str) -> AsyncIterator[tuple[Any, ...]]:
    del db
    yield ()


@asynccontextmanager
async def psycopg_connection(db: str) -> AsyncIterator[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(db) as connection:
        yield (connection,)


@asynccontextmanager
async def psycopg_blocking(db: str) -> AsyncIterator[tuple[Any, ...]]:
    with psycopg.connect(db) as connection:
        yield (connection,)


@asynccontextmanager
async def sessions(db: str) -> AsyncIterator[tuple[Any, ...]]:
    engine = create_async_engine(sqlalchemy_url(db, "asyncpg"))
    yield (async_sessionmaker(engine),)
    await engine.dispose()


@asynccontextmanager
async def sessions_blocking(db: str) -> AsyncIterator[tuple[Any, ...]]:
    engine = sqlalchemy.create_engine(sqlalchemy_url(db, "psycopg"))
    yield (sessionmaker(engine),)
    engine.dispose()


PLACES = [
    (("pool.acquire",), asyncpg_pool),
    (("pillars.connection()",), our_pool),
    (("(%s)", "await"), psycopg_connection),
    (("(%s)", ").enqueue_now("), psycopg_blocking),
    ((":email", "await"), sessions),
    ((":email", ").enqueue_now("), sessions_blocking),
]


@pytest.mark.parametrize(("words", "opened"), PLACES, ids=[one.__name__ for _, one in PLACES])
async def test_the_job_exists_exactly_when_the_order_does(
    db: str, database: Database, words: tuple[str, ...], opened: Callable[[str], Any]
) -> None:
    del database
    await tell(db, ORDERS)
    names = names_of(saying("place_order", *words))
    async with opened(db) as given:

        async def place() -> None:
            placed = names["place_order"](*given, "a@example.com")
            if inspect.isawaitable(placed):
                await placed

        await place()
        with pytest.raises(Exception, match="duplicate key"):
            await place()
    assert await ask(db, "select array_agg(id) from orders") == [1]
    stored = await ask(
        db, "select array_agg(payload || jsonb_build_object('name', name)) from pillars.jobs"
    )
    assert stored == ['{"to": "a@example.com", "name": "jobs.mail.send_receipt", "order_id": 1}']


async def test_plain_sql_enqueues_the_same_job(db: str, database: Database) -> None:
    await tell(db, ORDERS)
    async with asking(db) as connection:
        await connection.execute(*blocks("sql"))
    send_receipt = names_of("")["send_receipt"]
    [job_id] = await ask(db, "select array_agg(job_id::text) from pillars.jobs")
    async with running(worker_for(database, send_receipt)):
        told = await send_receipt.handle(job_id).result(timeout="20s")
    assert told == "receipt 1 to sql@example.com"


async def test_many_commit_with_their_transaction(db: str) -> None:
    names = names_of(saying("enqueue_many"))
    async with asking(db) as connection:
        await names["remind"](connection, [(1, "a@example.com"), (2, "b@example.com")])
    assert await ask(db, "select count(*) from pillars.jobs") == 2


@pytest.mark.parametrize(
    ("words", "opened"),
    [("await ctx.complete", sessions), ("ctx.complete_now", sessions_blocking)],
)
async def test_an_effect_commits_with_the_end_of_its_job(
    db: str, database: Database, words: str, opened: Callable[[str], Any]
) -> None:
    await tell(db, ORDERS)
    await tell(db, "insert into orders (email) values ('a@example.com')")
    async with opened(db) as (maker,):
        settle = names_of(saying(words), sessions=maker)["settle"]
        async with running(worker_for(database, settle)):
            assert await (await settle.enqueue(1)).result(timeout="20s") == "paid"
    assert await ask(db, "select paid from orders") == 1


async def test_a_def_job_enqueues_without_a_connection(db: str, database: Database) -> None:
    remind_later = names_of(saying("remind_later"))["remind_later"]
    async with running(worker_for(database, remind_later)):
        job_id = await (await remind_later.enqueue(1, "a@example.com")).result(timeout="20s")
    stored = await row(db, UUID(job_id))
    assert stored["name"] == "jobs.mail.send_receipt"
    assert stored["run_at"] > stored["created_at"]


def test_every_example_of_the_page_is_run() -> None:
    run = [saying("place_order", *words) for words, _ in PLACES]
    run += [
        saying(word)
        for word in ("enqueue_many", "await ctx.complete", "ctx.complete_now", "remind_later")
    ]
    assert sorted(run) == sorted(blocks("python")[1:])
