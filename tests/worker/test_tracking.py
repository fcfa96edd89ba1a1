"""Progress by the items of an iterable."""

from collections.abc import AsyncIterator

import pytest
from speaking import Gate, ran, said

from pillars import Context, UsageError, job
from pillars.store.database import Database


@pytest.fixture
async def gate() -> Gate:
    return Gate()


# --- track ---


async def test_track_counts_what_is_done(db: str, database: Database) -> None:
    @job(name="tracks")
    async def tracks(ctx: Context) -> int:
        return sum([number for number in ctx.track(range(1000), message="adding")])  # noqa: C416

    handle = await ran(database, tracks)
    assert await handle.result() == sum(range(1000))
    assert (await said(db, handle.job_id))[-1] == {"done": 1000, "total": 1000, "message": "adding"}


async def test_track_of_what_is_asynchronous_tells_where_it_was_left(
    db: str, database: Database
) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(10):
            yield number

    @job(name="tracks.some")
    async def tracks_some(ctx: Context) -> None:
        async for number in ctx.track(numbers()):
            if number == 7:
                break

    handle = await ran(database, tracks_some)
    assert (await said(db, handle.job_id))[-1] == {"done": 7, "total": None, "message": None}


async def test_track_in_a_thread_that_fails_tells_how_far_it_came(
    db: str, database: Database
) -> None:
    @job(name="tracks.badly", max_attempts=1)
    def tracks_badly(ctx: Context) -> None:
        for number in ctx.track(iter(range(100)), total=100):
            if number == 42:
                raise ValueError(number)

    handle = await ran(database, tracks_badly)
    assert (await said(db, handle.job_id))[-1]["done"] == 42


async def test_track_says_which_loop_to_write(database: Database, gate: Gate) -> None:
    async def none() -> AsyncIterator[int]:
        yield 1

    async with gate.inside(database) as (_, ctx, _job_id):
        with pytest.raises(UsageError, match="write async for"):
            list(ctx.track(none()))
        with pytest.raises(UsageError, match="write for"):
            aiter(ctx.track([1]))
        with pytest.raises(UsageError, match="total from 0 up"):
            ctx.track([1], total=-1)
