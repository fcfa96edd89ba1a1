"""Days of history."""

from datetime import timedelta

import anyio
import pytest

from pillars.store import history
from pillars.store.database import Database
from support import ask, asking, move_clock

PROCESSES = 10
HISTORIES = ("finished_completed", "finished_ended", "attempts", "job_events", "job_messages")


@pytest.mark.parametrize("_round", range(3))
async def test_processes_that_make_the_same_days_at_once_make_each_once(
    db: str, _round: int
) -> None:
    await move_clock(db, timedelta(days=40))
    made: list[int] = []
    together = anyio.Event()

    async def make() -> None:
        async with asking(db) as connection:
            await together.wait()
            made.append(await connection.fetchval("select pillars.make_days()"))

    async with anyio.create_task_group() as group:
        for _ in range(PROCESSES):
            group.start_soon(make)
        await anyio.wait_all_tasks_blocked()
        together.set()
    assert sum(made) == 4 * len(HISTORIES)


async def test_days_are_made_three_ahead_and_hold_what_ends_on_them(
    db: str, database: Database
) -> None:
    assert await history.make_days(database.runtime) == 0
    await move_clock(db, timedelta(days=2))
    assert await history.make_days(database.runtime) == 2 * len(HISTORIES)
    for table in HISTORIES:
        days = await ask(
            db,
            "select count(*) from pg_inherits where inhparent = ('pillars.' || $1)::regclass",
            table,
        )
        assert days == 6
