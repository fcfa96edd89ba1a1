import asyncio
from uuid import UUID

import pytest

from pillars.errors import DatabaseTrouble, UnknownJob
from pillars.jobs.enqueuing import new_id
from pillars.store import redriving
from pillars.store.database import Database
from support import ask, asking, tell


async def final(db: str, state: str = "failed", **columns: object) -> UUID:
    job_id = new_id()
    row = {"payload": '{"i": 1}', "unique_key": None, "max_attempts": 3, **columns}
    await tell(
        db,
        """insert into pillars.finished_jobs (job_id, name, queue, priority, state, payload, unique_key, max_attempts, attempt, crashes,
                                              lock_token, created_at, timeout, tags, last_error)
           values ($1, 'a', 'q', 5, $2, $3, $4, $5, 3, 1, 77, now() - interval '1 hour', '1 minute', '{t}', 'boom')""",
        job_id, state, *row.values(),
    )  # fmt: skip
    return job_id


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired"])
async def test_a_redrive_moves_the_row_back_without_its_past(
    database: Database, db: str, state: str
) -> None:
    job_id = await final(db, state)
    assert await redriving.redrive(database.pool, job_id)
    async with asking(db) as connection:
        job = await connection.fetchrow("select * from pillars.jobs")
        assert job is not None
        assert (job["job_id"], job["priority"], job["payload"], job["max_attempts"]) == (
            job_id,
            5,
            '{"i": 1}',
            3,
        )
        assert (job["attempt"], job["crashes"], job["lock_token"], job["locked_by"]) == (
            0,
            0,
            None,
            None,
        )
        assert (job["tags"], job["last_error"]) == (["t"], "boom")
        assert await connection.fetchval("select count(*) from pillars.finished_jobs") == 0


async def test_a_completed_job_is_not_redriven(database: Database, db: str) -> None:
    job_id = await final(db, "completed")
    assert not await redriving.redrive(database.pool, job_id)
    assert await ask(db, "select count(*) from pillars.finished_jobs") == 1


async def test_of_two_redrives_at_once_one_moves_the_row(database: Database, db: str) -> None:
    for _ in range(20):
        job_id = await final(db)
        moved = await asyncio.gather(*(redriving.redrive(database.pool, job_id) for _ in range(4)))
        assert sum(moved) == 1
        assert await ask(db, "select count(*) from pillars.jobs where job_id = $1", job_id) == 1


async def test_a_redrive_whose_unique_key_is_held_undoes_itself(
    database: Database, db: str
) -> None:
    job_id, holder = await final(db, unique_key="k"), await final(db, unique_key="k")
    assert await redriving.redrive(database.pool, holder)
    with pytest.raises(DatabaseTrouble) as trouble:
        await redriving.redrive(database.pool, job_id)
    assert trouble.value.sqlstate == redriving.UNIQUE_VIOLATION
    assert await ask(db, "select job_id from pillars.finished_jobs") == job_id
    retried = await redriving.retry(database.pool, job_id)
    assert retried.refused is not None
    assert retried.job.state == "failed"


async def test_a_redrive_and_a_hastening_wake_the_queue(database: Database, db: str) -> None:
    heard: list[str] = []
    async with asking(db) as connection:
        await connection.add_listener("pillars", lambda *args: heard.append(str(args[-1])))
        job_id = await final(db)
        assert await redriving.redrive(database.pool, job_id)
        await tell(db, "update pillars.jobs set run_at = now() + interval '1 day'")
        assert await redriving.hasten(database.pool, job_id)
        assert not await redriving.hasten(database.pool, job_id)
        await connection.fetchval("select 1")
    assert heard == ["q", "q"]


async def test_a_ready_job_keeps_its_place_when_retried(database: Database, db: str) -> None:
    job_id = await final(db)
    await redriving.redrive(database.pool, job_id)
    await tell(db, "update pillars.jobs set run_at = now() - interval '1 hour'")
    before = await ask(db, "select run_at from pillars.jobs")
    retried = await redriving.retry(database.pool, job_id)
    assert (retried.refused, retried.job.state) == (None, "ready")
    assert await ask(db, "select run_at from pillars.jobs") == before


@pytest.mark.parametrize(
    ("column", "state"),
    [("parked = true", "waiting"), ("parked = true, paused_at = now()", "paused")],
)
async def test_a_parked_job_is_not_retried(
    database: Database, db: str, column: str, state: str
) -> None:
    job_id = await final(db)
    await redriving.redrive(database.pool, job_id)
    await tell(db, f"update pillars.jobs set {column}")
    retried = await redriving.retry(database.pool, job_id)
    assert (retried.job.state, retried.refused) == (state, f"a {state} job cannot be retried")


async def test_a_retry_of_nothing_is_an_unknown_job(database: Database) -> None:
    with pytest.raises(UnknownJob):
        await redriving.retry(database.pool, new_id())
