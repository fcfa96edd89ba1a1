"""`ctx.complete`: a job's effects and its end commit together, or neither does."""

import asyncio
from typing import Any

import pytest

from pillars import Context, LockLost, job
from pillars.store.database import Database
from stepping import locked_tokens
from support import ask, running, tell, until, worker_for

TABLE = "create table effects (n integer)"
TELL_STATE = "select state || ' ' || attempt from pillars.finished_jobs"


@job(name="exact", backoff="10ms")
async def exact(ctx: Context, fail_first: bool = False) -> str:  # noqa: FBT001, FBT002 - a payload has names
    async with ctx.connection() as connection:
        await connection.execute("insert into effects values ($1)", ctx.attempt)
        await ctx.complete("told inside", connection=connection)
        if fail_first and ctx.attempt == 1:
            raise ValueError("after complete, before the commit")
    return "told outside"


async def test_the_effect_and_the_end_commit_together(db: str, database: Database) -> None:
    await tell(db, TABLE)
    async with running(worker_for(database, exact)) as worker:
        handle = await exact.enqueue()
        assert await handle.result(timeout="20s") == "told inside"
        await until(lambda: no_locks(db))
    [runs] = worker.process.tally.runs.values()
    assert runs.outcomes == {"completed": 1}, "the flush recognises its own end"
    assert await ask(db, "select array_agg(n) from effects") == [1]
    assert await ask(db, TELL_STATE) == "completed 1"


async def test_a_failure_before_the_commit_undoes_both(db: str, database: Database) -> None:
    await tell(db, TABLE)
    async with running(worker_for(database, exact)):
        handle = await exact.enqueue(fail_first=True)
        assert await handle.result(timeout="20s") == "told inside"
    assert await ask(db, "select array_agg(n) from effects") == [2]
    assert await ask(db, TELL_STATE) == "completed 2"


async def test_a_failure_after_the_commit_changes_nothing(db: str, database: Database) -> None:
    await tell(db, TABLE)

    @job(name="late.failure")
    async def late(ctx: Context) -> None:
        async with ctx.connection() as connection:
            await connection.execute("insert into effects values (1)")
            await ctx.complete(connection=connection)
        raise ValueError("too late")

    async with running(worker_for(database, late)):
        handle = await late.enqueue()
        await handle.result(timeout="20s")
        await until(lambda: no_locks(db))
    assert await ask(db, TELL_STATE) == "completed 1"
    assert await ask(db, "select count(*) from pillars.attempts") == 0


async def test_a_job_that_was_given_away_undoes_its_effects(db: str, database: Database) -> None:
    await tell(db, TABLE)
    raised: list[BaseException] = []
    go_on = asyncio.Event()

    @job(name="given.away")
    async def given_away(ctx: Context) -> str:
        async with ctx.connection() as connection:
            await connection.execute("insert into effects values ($1)", ctx.attempt)
            if not raised:
                await rescue(ctx.job_id)
            try:
                await ctx.complete("mine", connection=connection)
            except LockLost as error:
                raised.append(error)
                go_on.set()
                raise
        return "done"

    async def rescue(_job_id: str) -> None:
        await tell(db, "update pillars.locks set expires_at = pillars.now()")
        await ask(db, "select (pillars.rescue()).rescued")

    async with running(worker_for(database, given_away)):
        handle = await given_away.enqueue()
        assert await handle.result(timeout="20s") == "mine"
    [error] = raised
    assert "no longer held" in str(error)
    assert await ask(db, "select count(*) from effects") == 1
    assert await ask(db, "select crashes from pillars.finished_jobs") == 1


async def no_locks(db: str) -> Any:
    return await locked_tokens(db) == []


async def test_what_does_not_fit_the_result_type_is_refused_before_anything_is_written(
    db: str, database: Database
) -> None:
    await tell(db, TABLE)

    @job(name="unfit", max_attempts=1)
    async def unfit(ctx: Context) -> int:
        async with ctx.connection() as connection:
            await connection.execute("insert into effects values (1)")
            await ctx.complete("text", connection=connection)
        return 1

    async with running(worker_for(database, unfit)):
        handle = await unfit.enqueue()
        with pytest.raises(Exception, match="int"):
            await handle.result(timeout="20s")
    assert await ask(db, "select count(*) from effects") == 0
