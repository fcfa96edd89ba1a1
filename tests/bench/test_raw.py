"""The raw loop, and what a measurement is checked by, on a real Postgres."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bench import filling, raw
from bench.calling import call_apart, call_steadily, keep_calling, most_apart
from bench.marks import Marks
from bench.server import Database, Server
from bench.waiting import until_ran
from support import ask, asking, tell

JOBS = 500


@pytest.fixture
async def looked_at(db: str) -> AsyncIterator[Database]:
    """A database as a measurement has it."""
    async with asking(db) as connection:
        await connection.execute(raw.statements()["create"])
        yield Database(db, connection, Server(db, 0))


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    return Marks.create(tmp_path / "marks", JOBS)


async def test_two_raw_loops_do_each_job_once_and_move_it_to_the_history(
    looked_at: Database, marks: Marks
) -> None:
    await filling.fill_raw(looked_at, JOBS)

    async def loop(connection: Any) -> None:
        while await raw.run_batch(connection, marks, raw.noop, 20):
            pass

    async with asking(looked_at.url) as one, asking(looked_at.url) as other:
        await asyncio.gather(loop(one), loop(other))
    marks.check()
    await filling.check_none_left(looked_at, "raw.jobs")
    assert await ask(looked_at.url, "select count(distinct job_id) from raw.history") == JOBS


async def test_a_row_that_is_not_due_is_left_alone(looked_at: Database, marks: Marks) -> None:
    await filling.fill_raw(looked_at, 1)
    await tell(looked_at.url, "update raw.jobs set run_at = now() + interval '1 h'")
    assert await raw.run_batch(looked_at.connection, marks, raw.noop, 20) == 0
    with pytest.raises(AssertionError, match=r"1 jobs are left in raw\.jobs"):
        await filling.check_none_left(looked_at, "raw.jobs")


async def test_a_history_that_lacks_a_job_is_found(looked_at: Database) -> None:
    await filling.check_history(looked_at, 0)
    with pytest.raises(AssertionError, match="of 1 jobs the history has"):
        await filling.check_history(looked_at, 1)


async def test_what_is_filled_in_is_what_enqueue_many_stores(
    looked_at: Database, database: Any
) -> None:
    from pillars import enqueue_many, job

    @job(name="noop")
    async def noop(i: int) -> None: ...

    await enqueue_many(noop.call(i) for i in range(2))
    columns = "to_jsonb(job) - 'job_id' - 'run_at' - 'created_at' - 'payload'"
    [enqueued] = await looked_at.connection.fetch(
        f"select distinct {columns} from pillars.jobs job"
    )
    await tell(looked_at.url, "delete from pillars.jobs")
    await filling.fill(looked_at, 2, name="noop")
    [filled] = await looked_at.connection.fetch(f"select distinct {columns} from pillars.jobs job")
    assert filled == enqueued


async def test_a_snapshot_is_held_for_the_block(looked_at: Database) -> None:
    held = "select count(*) from pg_stat_activity where state = 'idle in transaction' and backend_xmin is not null and datname = current_database()"
    async with filling.snapshot(looked_at):
        assert await ask(looked_at.url, held) == 1
    assert await ask(looked_at.url, held) == 0


async def test_waiting_ends_once_so_many_ran_and_of_the_first_alone_where_it_is_told(
    marks: Marks,
) -> None:
    for number in (0, 1, 300):
        marks.mark(number)
    await until_ran(marks, 3)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(until_ran(marks, 3, first=2), 0.1)


async def test_waiting_for_jobs_that_nobody_runs_ends_with_their_number(
    marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.waiting.STUCK", 0.05)
    with pytest.raises(AssertionError, match="of 500 jobs 0 were run, and then none"):
        await until_ran(marks, marks.jobs)


async def test_every_call_is_counted_and_has_a_number_of_its_own() -> None:
    called = list[tuple[int, int]]()

    def client(number: int) -> Any:
        async def call(count: int) -> None:
            await asyncio.sleep(0)
            called.append((number, count))

        return call

    done = await keep_calling(3, 0.02, client)
    assert done == len(called) == len(set(called))


async def test_calls_apart_are_no_more_than_the_marks_that_are_kept_for_them() -> None:
    numbers = list[int]()

    async def call(number: int) -> None:
        numbers.append(number)

    began = await call_apart(0.2, call)
    assert numbers == list(range(len(began)))
    assert 0 < len(began) <= most_apart(0.2)


async def test_a_constant_rate_catches_up_after_a_call_that_took_long() -> None:
    numbers = list[int]()

    async def call(number: int) -> None:
        numbers.append(number)
        if number == 0:
            for _ in range(5):
                await asyncio.sleep(0.01)

    await call_steadily(10, 0.001, call)
    assert numbers == list(range(10))
