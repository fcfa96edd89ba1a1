import asyncio
from uuid import UUID

import pytest

from pillars.errors import DatabaseTrouble, UnknownJob
from pillars.store import redriving, statements
from pillars.store.database import Database
from pillars.store.ids import new_id
from support import ask, asking, tell, until

WAITS = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database())"


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


async def test_many_are_redriven_at_once_and_only_those_that_may_be(
    database: Database, db: str
) -> None:
    again = [await final(db, state) for state in ("failed", "cancelled", "expired")]
    completed = await final(db, "completed")
    await tell(
        db,
        "insert into pillars.jobs (job_id, name, queue) values ($1, 'a', 'q')",
        unfinished := new_id(),
    )
    assert (
        await redriving.redrive_many(database.pool, [*again, completed, unfinished, new_id()]) == 3
    )
    assert await ask(db, "select array_agg(job_id order by job_id) from pillars.jobs") == [
        *again,
        unfinished,
    ]
    assert await ask(db, "select job_id from pillars.finished_jobs") == completed
    assert await redriving.redrive_many(database.pool, again) == 0
    assert await redriving.redrive_many(database.pool, []) == 0


async def test_a_redrive_of_many_waits_for_no_other(database: Database, db: str) -> None:
    jobs = [await final(db) for _ in range(3)]
    async with asking(db) as other, other.transaction():
        await other.execute(
            "select from pillars.finished_jobs where job_id = $1 for update", jobs[1]
        )
        assert await redriving.redrive_many(database.pool, jobs) == 2
    assert await redriving.redrive_many(database.pool, jobs) == 1


async def test_a_key_that_is_held_keeps_only_its_own_job_back(database: Database, db: str) -> None:
    twins = [await final(db, unique_key="k"), await final(db, unique_key="k")]
    free = await final(db)
    assert await redriving.redrive_many(database.pool, [*twins, free]) == 2
    assert await ask(db, "select job_id from pillars.finished_jobs") == twins[1]


async def test_a_redrive_of_many_waits_for_keys_in_the_order_of_crowds(
    database: Database, db: str
) -> None:
    jobs = [await final(db, unique_key=key) for key in ("b", "a")]
    async with asking(db) as other:
        async with other.transaction():
            await other.execute("select pillars.enqueue('a', unique_key => 'a')")
            redriving_all = asyncio.create_task(redriving.redrive_many(database.pool, jobs))
            await until(lambda: ask(db, WAITS))
            await other.execute("select pillars.enqueue('a', unique_key => 'b')")
        assert await redriving_all == 0, "both keys are held"


async def test_a_redrive_of_many_reads_no_day_from_end_to_end(db: str) -> None:
    await tell(
        db,
        """insert into pillars.finished_jobs (job_id, name, queue, priority, state, attempt, crashes, created_at)
           select pillars.uuid7(), 'a', 'q', 0, 'failed', 1, 0, now() from generate_series(1, 20000)""",
    )
    async with asking(db) as connection:
        await connection.execute("analyze pillars.finished_jobs")
        await connection.execute("set plan_cache_mode = force_generic_plan")
        await connection.execute(
            f"prepare many(uuid[], timestamptz) as {statements.text('jobs/redrive_many')}"
        )
        ids = await connection.fetch("select job_id from pillars.finished_jobs limit 200")
        some = f"array[{', '.join(repr(str(row[0])) for row in ids)}]::uuid[]"
        rows = await connection.fetch(
            f"explain (analyze, costs off) execute many({some}, now() - interval '1 day')"
        )
    explained = "\n".join(row[0] for row in rows)
    read = [line for line in explained.splitlines() if "never executed" not in line]
    assert not [line for line in read if "Seq Scan" in line and "rows=0" not in line], explained
    assert "finished_ended" in explained
