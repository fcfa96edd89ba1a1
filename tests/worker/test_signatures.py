"""Two releases whose functions of one name differ: what one enqueues the other may claim."""

from datetime import timedelta
from typing import Any

import pytest

from pillars import Handle, PayloadError, job
from pillars.jobs.definition import Job
from pillars.store.database import Database
from support import asking, move_clock, running, until, worker_for

BACKOFF = timedelta(minutes=10)


@job(name="letter", backoff=BACKOFF)
async def letter(order: int) -> int:
    return order


@job(name="letter", backoff=BACKOFF)
async def letter_with_copy(order: int, copy: bool = False) -> str:  # noqa: FBT001, FBT002
    return f"{order} {copy}"


@job(name="letter", backoff=BACKOFF)
async def letter_by_another_function(order: int) -> int:
    return order + 1


async def said_of(db: str, job_id: str) -> tuple[str, int, str | None]:
    async with asking(db) as connection:
        row = await connection.fetchrow(
            "select state, attempt, last_error from pillars.all_jobs where job_id = $1", job_id
        )
    assert row is not None
    return tuple(row)


async def fails_once_with(db: str, database: Database, code: Job[..., Any], job_id: str) -> str:
    """A worker with this code takes it, once: it waits for its second try. Returns what was said."""
    async with running(worker_for(database, code)):

        async def is_put_back() -> bool:
            state, attempt, _ = await said_of(db, job_id)
            return (state, attempt) == ("scheduled", 1)

        await until(is_put_back)
    _, _, said = await said_of(db, job_id)
    await move_clock(db, BACKOFF)
    return str(said)


async def result_by(database: Database, code: Job[..., Any], handle: Handle[Any]) -> Any:
    async with running(worker_for(database, code)):
        return await code.handle(handle.job_id).result(timeout=30)


async def test_an_argument_that_is_new_fails_an_older_workers_attempt_and_a_newer_one_runs_it(
    db: str, database: Database
) -> None:
    handle = await letter_with_copy.enqueue(7, copy=True)
    said = await fails_once_with(db, database, letter, handle.job_id)
    assert said.endswith("letter takes no argument copy; it takes order")
    assert await result_by(database, letter_with_copy, handle) == "7 True"
    assert await said_of(db, handle.job_id) == ("completed", 2, said)


async def test_a_new_argument_that_nobody_passes_yet_is_in_no_workers_way(
    database: Database,
) -> None:
    assert await result_by(database, letter, await letter_with_copy.enqueue(7)) == 7
    assert await result_by(database, letter_with_copy, await letter.enqueue(7)) == "7 False"


async def test_an_argument_that_was_taken_away_fails_what_still_passes_it_until_it_is_back(
    db: str, database: Database
) -> None:
    handle = await letter_with_copy.enqueue(7, copy=False)
    said = await fails_once_with(db, database, letter, handle.job_id)
    assert "takes no argument copy" in said
    assert await result_by(database, letter_with_copy, handle) == "7 False"


async def test_another_function_of_the_same_name_runs_what_waits(database: Database) -> None:
    assert await result_by(database, letter_by_another_function, await letter.enqueue(7)) == 8


async def test_a_result_of_an_older_type_is_refused_to_who_reads_it_and_stays_what_it_is(
    db: str, database: Database
) -> None:
    handle = await letter.enqueue(7)
    assert await result_by(database, letter, handle) == 7
    with pytest.raises(PayloadError, match="result: expected str, got int"):
        await letter_with_copy.handle(handle.job_id).result(timeout=30)
    assert await said_of(db, handle.job_id) == ("completed", 1, None)
    assert await letter.handle(handle.job_id).result(timeout=30) == 7
