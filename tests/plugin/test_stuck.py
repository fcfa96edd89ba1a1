"""Where nothing can go on, a test hears why: it does not wait for ever, and no other job is run instead."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from pillars import Context, job
from pillars.store import listing
from pillars.store.database import Database
from pillars.testing import Jobs, working
from pillars.testing.working import Hand
from support import ask, asking, settings_for, tell

OF_ALL = "select from pillars.jobs for update"
Hold = Callable[[], Coroutine[Any, Any, None]]
done: list[str] = []
hold: list[Hold] = []


@job
async def note(text: str) -> str:
    done.append(text)
    return text


@job
async def holds() -> None:
    await hold[0]()


@job
async def awaits_later() -> str:
    return await (await note.configure(run_in="1h").enqueue("later")).result(timeout="5s")


@job
async def awaits_paused(ctx: Context) -> str:
    return await (await note.configure(queue="slow").enqueue(f"attempt {ctx.attempt}")).result(
        timeout="5s"
    )


@job
async def awaits_one_that_awaits() -> str:
    return await (await awaits_later.enqueue()).result(timeout="5s")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "PATIENCE", 0.2)
    done.clear()


@pytest.fixture
async def another(app_database: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection of the test's own, in a transaction that holds every job's row once `hold` is called."""
    async with asking(app_database) as connection:
        await connection.execute("begin")

        async def held() -> None:
            await connection.execute(OF_ALL)

        hold[:] = [held]
        yield connection


async def test_a_due_job_whose_row_another_transaction_holds(
    jobs: Jobs, another: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await note.enqueue("held")
    await hold[0]()
    with pytest.raises(AssertionError, match=r"expected to claim what is due.*end that first"):
        await jobs.drain()
    await another.execute("rollback")
    assert [ran.result for ran in await jobs.drain()] == ["held"]


@pytest.mark.usefixtures("another")
async def test_an_end_that_another_transaction_keeps_from_being_written(jobs: Jobs) -> None:
    await holds.enqueue()
    with pytest.raises(AssertionError, match=rf"how {holds.name} .* ended.*has held its row"):
        await jobs.drain()


@pytest.mark.parametrize("outer", [awaits_later, awaits_one_that_awaits])
async def test_a_job_that_awaits_what_is_due_later(jobs: Jobs, outer: Any) -> None:
    await outer.enqueue()
    with pytest.raises(AssertionError, match=rf"nobody could claim {note.name} .* is scheduled"):
        await jobs.drain()
    [given_back] = jobs.enqueued(outer)
    assert given_back.attempt == 0
    assert all(one.state != "running" for one in jobs.enqueued())


async def test_a_job_that_awaits_what_is_paused_is_given_back_and_heard_of(
    jobs: Jobs, app_database: str
) -> None:
    await tell(app_database, "insert into pillars.queues values ('slow', pillars.now())")
    await awaits_paused.enqueue()
    with pytest.raises(AssertionError, match=f"nobody could claim {note.name}"):
        await jobs.drain(with_failures=True)
    [given_back] = jobs.enqueued(awaits_paused)
    assert (given_back.state, given_back.attempt) == ("ready", 0)


async def test_a_job_that_another_was_faster_to_run_is_not_made_up_for_by_the_next(
    database: Database,
) -> None:
    first, second = await note.enqueue("first"), await note.enqueue("second")
    row = await listing.find(database.pool, UUID(first.job_id))
    assert row is not None
    settings = settings_for(database.address.url)
    one, other = (
        Hand(database, settings, {note.name: note}, with_failures=False) for _ in range(2)
    )
    ran = await one.run_this(row)
    assert ran is not None
    assert ran.job_id == first.job_id
    assert await other.run_this(row) is None
    assert done == ["first"]
    assert await second.state() == "ready"
    assert await ask(database.address.url, "select attempt from pillars.jobs") == 0
    assert await ask(database.address.url, "select count(*) from pillars.locks") == 0
