"""Tables that are altered under a running worker: its statements are prepared, and their plans kept."""

from collections.abc import Sequence

import asyncpg
import pytest

from pillars import Context, Retry, job
from pillars.jobs.enqueuing import enqueue_many
from pillars.store.database import Database
from support import ask, asking, running, tell, until, worker_for

COUNT = 50
READS = "select context, name from pillars.jobs"
WIDER = """
alter table pillars.jobs add column probe integer not null default 7;
alter table pillars.finished_jobs add column probe integer;
alter table pillars.attempts add column probe integer not null default 7;
alter table pillars.locks add column probe integer not null default 7;
alter table pillars.workers add column probe integer not null default 7;
"""
# What a claim returns is of other types then, and in another place of the row: "cached plan must not change result type" (0A000).
OTHER_TYPES = """
alter table pillars.jobs rename column context to context_before;
alter table pillars.jobs add column context varchar(200);
alter table pillars.jobs rename column last_error to last_error_before;
alter table pillars.jobs add column last_error varchar(3000);
"""


@job(name="work", backoff="0s")
async def work(ctx: Context, number: int) -> int:
    if number % 10 == 0 and ctx.attempt == 1:
        raise Retry(after=0)
    return number


async def enqueued() -> list[str]:
    """Several at once, and one by one."""
    handles = await enqueue_many(work.call(number) for number in range(1, COUNT))
    return [*(one.job_id for one in handles), (await work.enqueue(0)).job_id]


async def are_done(db: str, job_ids: Sequence[str]) -> bool:
    """Whether each has completed, with its own result, after as many attempts as it asked for."""
    sql = """
    select count(*) from pillars.finished_jobs
    where state = 'completed' and job_id::text = any($1) and result = payload -> 'number'
      and attempt = case when (result::integer) % 10 = 0 then 2 else 1 end and crashes = 0
    """
    return bool(await ask(db, sql, job_ids) == len(job_ids))


@pytest.mark.parametrize("altering", [WIDER, OTHER_TYPES], ids=["wider", "of other types"])
async def test_a_table_altered_under_a_running_worker_loses_no_job(
    db: str, database: Database, altering: str
) -> None:
    async with running(worker_for(database, work, poll="100ms")), asking(db) as reader:
        first = await enqueued()
        await until(lambda: are_done(db, first))
        await reader.fetch(READS)
        under_way = await enqueued()
        await tell(db, altering)
        later = await enqueued()
        await until(lambda: are_done(db, [*under_way, *later]))
        if altering == OTHER_TYPES:  # it was a change of that kind
            async with reader.transaction():
                with pytest.raises(asyncpg.InvalidCachedStatementError):
                    await reader.fetch(READS)
    assert await ask(db, "select count(*) from pillars.locks") == 0
    assert await ask(db, "select count(*) from pillars.jobs") == 0
