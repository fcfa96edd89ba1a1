"""`ctx.complete`: a job's effects and its end commit together, or neither does."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import orm

from callers import AWAITED, KINDS, Kind, sqlalchemy_url
from pillars import Context, Discard, JobFailed, LockLost, UsageError, job
from pillars.jobs.definition import Job, Keep
from pillars.store import settling
from pillars.store.borrowed import Borrowed, BorrowedNow, borrow
from pillars.store.database import Database
from pillars.store.settling import Ended
from pillars.worker import completing
from stepping import hand, locked_tokens, places_of, put_one
from support import ask, asking, move_clock, running, tell, until, worker_for

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


@pytest.mark.parametrize("tags", [[], ["discarded"]])
async def test_a_failure_after_the_commit_changes_nothing(
    db: str, database: Database, tags: list[str]
) -> None:
    await tell(db, TABLE)

    @job(name="late.failure")
    async def late(ctx: Context) -> None:
        async with ctx.connection() as connection:
            await connection.execute("insert into effects values (1)")
            await ctx.complete(connection=connection)
        raise Discard("too late") if ctx.tags else ValueError("too late")

    async with running(worker_for(database, late)) as worker:
        handle = await late.configure(tags=tags).enqueue()
        await handle.result(timeout="20s")
        await until(lambda: no_locks(db))
    [runs] = worker.process.tally.runs.values()
    assert (runs.outcomes, worker.process.tally.locks_lost) == ({"completed": 1}, 0)
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


# On connections of every kind.

awaited = pytest.mark.parametrize("kind", AWAITED.values(), ids=AWAITED)
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def job_on(db: str, kind: Kind, *, keep: Keep = "full") -> Job[..., Any]:
    """A job that writes an effect and completes itself on a connection of that kind."""

    @job(name="on.theirs", keep=keep, backoff="10ms")
    async def on_theirs(ctx: Context, fail_first: bool = False) -> dict[str, int]:  # noqa: FBT001, FBT002
        async with kind(db) as caller:
            await caller.tell(f"insert into effects values ({ctx.attempt})")
            told = {"attempt": ctx.attempt}
            if caller.now:
                ctx.complete_now(told, connection=caller.connection)
            else:
                await ctx.complete(told, connection=caller.connection)
            if fail_first and ctx.attempt == 1:
                raise ValueError("after complete, before the commit")
        return {}

    return on_theirs


@kinds
async def test_on_any_connection_the_effect_and_the_end_commit_together(
    db: str, database: Database, kind: Kind
) -> None:
    await tell(db, TABLE)
    on_theirs = job_on(db, kind)
    async with running(worker_for(database, on_theirs)):
        handle = await on_theirs.enqueue(fail_first=True)
        assert await handle.result(timeout="20s") == {"attempt": 2}
        await until(lambda: no_locks(db))
    assert await ask(db, "select array_agg(n) from effects") == [2]
    assert await ask(db, TELL_STATE) == "completed 2"


@pytest.mark.parametrize("keep", ["full", "slim", "failed", "none"])
async def test_a_job_that_completes_itself_leaves_the_same_row_as_one_that_returns(
    db: str, database: Database, keep: Keep
) -> None:
    await tell(db, TABLE)
    inside = job_on(db, KINDS["psycopg"], keep=keep)

    @job(name="on.theirs", keep=keep)
    async def outside(ctx: Context, fail_first: bool) -> dict[str, int]:  # noqa: FBT001
        return {"attempt": ctx.attempt + fail_first}

    rows = []
    for each in (inside, outside):
        options = each.configure(
            queue="mail", priority=3, context="why", tags=["a"], timeout="5m", unique_key="k"
        )
        async with running(worker_for(database, each)):
            await options.enqueue(fail_first=False)
            await until(lambda: no_jobs(db))
            await until(lambda: no_locks(db))
        async with asking(db) as connection:
            rows.append([dict(one) for one in await connection.fetch(TAKE_HISTORY)])
    assert len(rows[0]) == (1 if keep in {"full", "slim"} else 0)
    own = {"job_id", "lock_token", "created_at", "started_at", "finished_at"}
    told = [[{k: v for k, v in one.items() if k not in own} for one in some] for some in rows]
    assert told[0] == told[1]
    assert all(one["started_at"] <= one["finished_at"] for one in rows[0])


async def test_a_day_that_the_history_lacks_is_made(db: str) -> None:
    await put_one(db)
    async with hand(db) as worker:
        [claimed] = await worker.take()
        await move_clock(db, timedelta(days=10))
        ended = Ended(claimed.job_id, claimed.lock_token, "completed", "full")
        borrowed = borrow(worker.session.connection, otherwise="")
        assert await settling.complete(borrowed, worker.worker_id, ended) == "done"
        assert await settling.complete(borrowed, worker.worker_id, ended) == "lost"
    assert await places_of(db, claimed.job_id) == (0, 1)


async def test_an_older_claims_token_completes_nothing(db: str) -> None:
    await put_one(db)
    async with hand(db) as worker:
        [claimed] = await worker.take()
        ended = Ended(claimed.job_id, claimed.lock_token - 1, "completed", "full")
        borrowed = borrow(worker.session.connection, otherwise="")
        assert await settling.complete(borrowed, worker.worker_id, ended) == "lost"
    assert await places_of(db, claimed.job_id) == (1, 0)


TAKE_HISTORY = "delete from pillars.finished_jobs returning *"


async def no_jobs(db: str) -> bool:
    return bool(await ask(db, "select count(*) = 0 from pillars.jobs"))


@awaited
async def test_on_any_connection_a_job_that_was_given_away_undoes_its_effects(
    db: str, database: Database, kind: Kind
) -> None:
    await tell(db, TABLE)
    raised: list[BaseException] = []

    @job(name="given.away")
    async def given_away(ctx: Context) -> str:
        async with kind(db) as caller:
            await caller.tell(f"insert into effects values ({ctx.attempt})")
            if not raised:
                await tell(db, "update pillars.locks set expires_at = pillars.now()")
                await ask(db, "select (pillars.rescue()).rescued")
            try:
                await ctx.complete("mine", connection=caller.connection)
            except LockLost as error:
                raised.append(error)
                raise
        return "done"

    async with running(worker_for(database, given_away)):
        handle = await given_away.enqueue()
        assert await handle.result(timeout="20s") == "mine"
    assert len(raised) == 1
    assert await ask(db, "select count(*) from effects") == 1
    assert await ask(db, "select crashes from pillars.finished_jobs") == 1


async def test_codecs_of_the_connection_do_not_reach_the_result(
    db: str, database: Database
) -> None:
    @job(name="codecs")
    async def codecs(ctx: Context) -> dict[str, int]:
        async with asking(db) as connection, connection.transaction():
            await connection.set_type_codec(
                "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
            )
            await ctx.complete({"n": 1}, connection=connection)
        return {}

    async with running(worker_for(database, codecs)):
        assert await (await codecs.enqueue()).result(timeout="20s") == {"n": 1}


async def test_a_def_job_completes_itself_by_a_session_that_blocks(
    db: str, database: Database
) -> None:
    await tell(db, TABLE)
    engine = sqlalchemy.create_engine(sqlalchemy_url(db, "psycopg"))

    @job(name="blocking", backoff="10ms")
    def blocking(ctx: Context) -> str:
        with orm.Session(engine) as session, session.begin():
            session.execute(sqlalchemy.text("insert into effects values (1)"))
            ctx.complete_now("told inside", connection=session)
            if ctx.attempt == 1:
                raise ValueError("after complete, before the commit")
        return "told outside"

    async with running(worker_for(database, blocking)):
        handle = await blocking.enqueue()
        assert await handle.result(timeout="20s") == "told inside"
    engine.dispose()
    assert await ask(db, "select count(*) from effects") == 1


async def test_a_wrong_way_to_complete_is_told_with_the_right_one(
    db: str, database: Database
) -> None:
    @job(name="in.a.thread")
    def in_a_thread(ctx: Context) -> str:
        with psycopg.connect(db) as connection:
            try:
                ctx.complete(connection=connection)  # type: ignore[unused-coroutine]
            except UsageError as error:
                return str(error)
        return ""

    @job(name="on.the.loop")
    async def on_the_loop(ctx: Context) -> list[str]:
        told = []
        with psycopg.connect(db) as blocking:
            try:
                await ctx.complete(connection=blocking)
            except UsageError as error:
                told.append(str(error))
        async with ctx.connection() as connection:
            try:
                ctx.complete_now(connection=connection)
            except UsageError as error:
                told.append(str(error))
        return told

    async with running(worker_for(database, in_a_thread, on_the_loop)):
        threads = await (await in_a_thread.enqueue()).result(timeout="20s")
        first, second = await (await on_the_loop.enqueue()).result(timeout="20s")
    assert "in a `def` job call ctx.complete_now(...)" in threads
    assert "got psycopg's Connection; call ctx.complete_now(...), without await" in first
    assert "write await ctx.complete(...)" in second


class TestAnotherHoldsTheRow:
    """An open `pillars.cancel` of somebody: the job is still ours, so its lock is not lost."""

    @pytest.mark.parametrize("name", ["asyncpg", "psycopg, blocking"])
    async def test_for_a_moment_and_complete_looks_again(
        self, db: str, database: Database, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        await tell(db, TABLE)
        answers: list[str] = []
        async with hand(db) as user:
            cancelling = user.session.connection.transaction()

            async def complete(borrowed: Borrowed, worker_id: UUID, ended: Ended) -> str:
                answers.append(await real(borrowed, worker_id, ended))
                if answers == ["busy"]:
                    await cancelling.rollback()
                return answers[-1]

            def complete_now(borrowed: BorrowedNow, worker_id: UUID, ended: Ended) -> str:
                answers.append(real_now(borrowed, worker_id, ended))
                if answers == ["busy"]:
                    asyncio.run_coroutine_threadsafe(cancelling.rollback(), loop).result()
                return answers[-1]

            real, real_now = settling.complete, settling.complete_now
            loop = asyncio.get_running_loop()
            monkeypatch.setattr(settling, "complete", complete)
            monkeypatch.setattr(settling, "complete_now", complete_now)

            async def cancel(job_id: str) -> None:
                await cancelling.start()
                assert await user.cancel(UUID(job_id)) == "requested"

            awaiting, blocking = held_jobs(db, cancel)
            one = blocking if "blocking" in name else awaiting
            async with running(worker_for(database, one)):
                assert await (await one.enqueue()).result(timeout="20s") == "told inside"
        assert answers == ["busy", "done"]
        assert await ask(db, "select count(*) from effects") == 1

    async def test_for_longer_and_the_attempt_fails_with_the_reason_and_no_effect(
        self, db: str, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await tell(db, TABLE)
        monkeypatch.setattr(completing, "PATIENCE", timedelta(milliseconds=100))
        asked: list[str] = []
        async with hand(db) as user:
            cancelling = user.session.connection.transaction()

            async def cancel(job_id: str) -> None:
                await cancelling.start()
                asked.append(await user.cancel(UUID(job_id)))

            awaiting, _ = held_jobs(db, cancel)
            async with running(worker_for(database, awaiting)) as worker:
                handle = await awaiting.enqueue()
                await until(lambda: asked == ["requested"] and not worker.running())
                await cancelling.rollback()
                with pytest.raises(JobFailed, match="another transaction has held its row"):
                    await handle.result(timeout="20s")
        assert await ask(db, "select count(*) from effects") == 0


def held_jobs(
    db: str, cancel: Callable[[str], Coroutine[Any, Any, None]]
) -> tuple[Job[..., str], Job[..., str]]:
    """A job of each kind whose end somebody asks for, and does not commit, before it completes itself."""
    loop = asyncio.get_running_loop()

    @job(name="held", max_attempts=1)
    async def awaiting(ctx: Context) -> str:
        async with ctx.connection() as connection:
            await connection.execute("insert into effects values (1)")
            await cancel(ctx.job_id)
            await ctx.complete("told inside", connection=connection)
        return "told outside"

    @job(name="held.thread", max_attempts=1)
    def blocking(ctx: Context) -> str:
        with psycopg.connect(db) as connection:
            connection.execute("insert into effects values (1)")
            asyncio.run_coroutine_threadsafe(cancel(ctx.job_id), loop).result()
            ctx.complete_now("told inside", connection=connection)
        return "told outside"

    return awaiting, blocking
