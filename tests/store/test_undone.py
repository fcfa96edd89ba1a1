"""Enqueues that the server undid to let another transaction go on: repeated on our own pool, left to the caller inside his transaction."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from pillars import job
from pillars.errors import DatabaseTrouble
from pillars.store import enqueueing
from pillars.store.database import Database
from pillars.store.enqueueing import COPY_FROM
from pillars.store.inserting import TRIES
from pillars.store.rows import NewJob
from stepping import new_job
from support import ask, asking, tell, until

# The nth statement that inserts jobs takes lock 1, and lock 2 once somebody waits for the first: whoever has the second waits for us, and we for him.
DEADLOCK = """
create sequence tries;
create function meet() returns trigger language plpgsql as $$
begin
    if nextval('public.tries') = {nth} then
        perform pg_advisory_xact_lock(1);
        while not exists (select from pg_locks where locktype = 'advisory' and not granted and database = (
            select oid from pg_database where datname = current_database())) loop
            perform pg_sleep(0.005);
        end loop;
        perform pg_advisory_xact_lock(2);
    end if;
    return null;
end $$;
create trigger meets before insert on pillars.jobs for each statement execute function meet();
"""
UNDO = """
create sequence tries;
create function undo() returns trigger language plpgsql as $$
begin
    if nextval('public.tries') <= {times} then
        raise exception 'make way' using errcode = '40001';
    end if;
    return null;
end $$;
create trigger undoes before insert on pillars.jobs for each statement execute function undo();
"""
HELD = """select exists (select from pg_locks where locktype = 'advisory' and objid = 1 and granted and database = (
    select oid from pg_database where datname = current_database()))"""


@job(name="work")
async def work() -> None: ...


Enqueue = Callable[[Database], Coroutine[Any, Any, Sequence[NewJob]]]


async def lone(database: Database) -> Sequence[NewJob]:
    one = new_job()
    await enqueueing.enqueue(database, one)
    return [one]


async def keyed(database: Database) -> Sequence[NewJob]:
    one = new_job(unique_key="k")
    await enqueueing.enqueue(database, one)
    return [one]


async def crowd(database: Database) -> Sequence[NewJob]:
    """The first goes alone, the others with the second statement."""
    jobs = [new_job() for _ in range(10)]
    await asyncio.gather(*(enqueueing.enqueue(database, one) for one in jobs))
    return jobs


async def many(database: Database) -> Sequence[NewJob]:
    jobs = [new_job(unique_key="k"), new_job()]
    await enqueueing.enqueue_many(database, jobs)
    return jobs


async def copied(database: Database) -> Sequence[NewJob]:
    jobs = [new_job() for _ in range(COPY_FROM)]
    await enqueueing.enqueue_many(database, jobs)
    return jobs


WAYS: dict[Enqueue, int] = {lone: 1, keyed: 1, crowd: 2, many: 1, copied: 1}
"""How to enqueue, each with the statement that is undone."""
NAMES = ["lone", "keyed", "crowd", "many", "copied"]


@asynccontextmanager
async def other(db: str) -> AsyncIterator[None]:
    """A transaction that takes the two locks in the other order, and is not the one to be undone."""
    async with asking(db) as connection:
        await connection.execute("set deadlock_timeout = '1h'")
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(2)")
            yield
            await until(lambda: ask(db, HELD))
            await connection.execute("select pg_advisory_xact_lock(1)")


async def stored(db: str, jobs: Sequence[NewJob]) -> bool:
    found = await ask(db, "select array_agg(job_id) from pillars.jobs")
    return sorted(found) == sorted(one.job_id for one in jobs)


@pytest.mark.parametrize("enqueue", WAYS, ids=NAMES)
async def test_what_a_deadlock_undid_is_stored_all_the_same(
    db: str, database: Database, enqueue: Enqueue
) -> None:
    await tell(db, DEADLOCK.format(nth=WAYS[enqueue]))
    name = await ask(db, "select current_database()")
    await tell(db, f"alter database \"{name}\" set deadlock_timeout = '10ms'")
    async with other(db):
        asked = asyncio.create_task(enqueue(database))
    assert await stored(db, await asked)
    assert await ask(db, "select last_value from tries") > WAYS[enqueue], "it was undone"


@pytest.mark.parametrize("enqueue", WAYS, ids=NAMES)
async def test_what_was_undone_for_its_snapshot_is_stored_all_the_same(
    db: str, database: Database, enqueue: Enqueue
) -> None:
    await tell(db, UNDO.format(times=TRIES - 1))
    assert await stored(db, await enqueue(database))


async def test_what_is_undone_again_and_again_is_told_to_the_caller(
    db: str, database: Database
) -> None:
    await tell(db, UNDO.format(times=1000))
    with pytest.raises(DatabaseTrouble) as trouble:
        await lone(database)
    assert trouble.value.sqlstate == "40001"
    assert await ask(db, "select last_value from tries") == TRIES


async def test_inside_the_callers_transaction_nothing_is_repeated(
    db: str, database: Database
) -> None:
    """It is his whole transaction that was undone."""
    await tell(db, UNDO.format(times=1))
    with pytest.raises(asyncpg.SerializationError):
        async with database.pool.session() as session, session.transaction():
            await work.configure(connection=session.connection).enqueue()
    assert await ask(db, "select last_value from tries") == 1
    assert await ask(db, "select count(*) from pillars.jobs") == 0
