"""Waiting for messages: for how long, what ends it; and what cannot be sent."""

from typing import Any

import pytest
from listening import BOTH, Reader, which
from speaking import ended, ran

from pillars import (
    Context,
    NotSent,
    PayloadError,
    UnknownJob,
    UsageError,
    job,
)
from pillars.jobs.definition import Job
from pillars.store import jobs as store
from pillars.store.database import Database
from support import ask, running, until, worker_for


@pytest.fixture
async def reader() -> Reader:
    return Reader()


@BOTH
async def test_a_time_without_a_message_ends_the_wait(database: Database, kind: str) -> None:
    @job(name="impatient")
    async def impatient(ctx: Context) -> list[Any]:
        return [
            await ctx.inbox.get(timeout=0),
            await ctx.inbox.get("20ms"),
            (await ctx.inbox.get(0)),
        ]

    @job(name="impatient.thread")
    def in_a_thread(ctx: Context) -> list[Any]:
        return [ctx.inbox.get_now(timeout=0), ctx.inbox.get_now("20ms"), ctx.inbox.get_now(0)]

    which: Job[..., list[Any]] = impatient if kind == "async" else in_a_thread
    async with running(worker_for(database, which)):
        handle = await which.enqueue()
        assert await handle.result(timeout="20s") == [None, None, None]


async def test_a_look_without_a_wait_finds_what_was_sent_before(database: Database) -> None:
    @job(name="glances")
    async def glances(ctx: Context) -> Any:
        message = await ctx.inbox.get(timeout=0)
        return None if message is None else message.data

    handle = await glances.enqueue()
    await handle.send(7)
    async with running(worker_for(database, glances)):
        assert await handle.result(timeout="20s") == 7


@BOTH
@pytest.mark.parametrize("why", ["cancel", "deadline"])
async def test_who_waits_is_stopped_as_at_any_await(
    db: str, database: Database, reader: Reader, kind: str, why: str
) -> None:
    told = which(reader, kind)
    options: dict[str, Any] = {"timeout": "300ms", "max_attempts": 1} if why == "deadline" else {}
    async with running(worker_for(database, told)) as worker:
        handle = await told.configure(**options).enqueue()
        await until(lambda: handle._id in worker.running())
        await handle.send("one")
        await until(lambda: reader.read == ["one"])
        if why == "cancel":
            await handle.cancel()
        await until(lambda: ended(handle))
    assert await handle.state() == ("cancelled" if why == "cancel" else "failed")


async def test_a_drain_gives_the_job_back_with_its_messages(
    db: str, database: Database, reader: Reader
) -> None:
    handle = await reader.job.enqueue()
    await handle.send("one")
    await handle.send("wait")
    async with running(worker_for(database, reader.job, drain="0s")):
        await until(lambda: reader.read == ["one", "wait"])
    assert await store.state(database.pool, handle._id) == "scheduled"
    assert await ask(db, "select array_agg(body::text) from pillars.job_messages") == ['"wait"']


# --- what is refused ---


async def test_what_cannot_be_sent_is_refused(database: Database, reader: Reader) -> None:
    handle = await reader.job.enqueue()
    with pytest.raises(PayloadError, match="message: JSON cannot carry object"):
        await handle.send(object())
    with pytest.raises(PayloadError, match="at most 65,536"):
        await handle.send("x" * 65_536)
    with pytest.raises(UsageError, match="by: expected 1 to 200 bytes"):
        await handle.send(1, by="")
    await handle.cancel()
    with pytest.raises(NotSent, match="it has ended, and takes no message any more"):
        await handle.send(1)
    with pytest.raises(UnknownJob):
        await reader.job.handle("01890a5d-ac96-774b-bcce-b302099a8057").send(1)


async def test_the_blocking_form_is_for_threads(database: Database) -> None:
    @job(name="confused", max_attempts=1)
    async def confused(ctx: Context) -> None:
        ctx.inbox.get_now()

    handle = await ran(database, confused)
    assert await handle.state() == "failed"
    row = await ask_error(database, handle._id)
    assert "write await ctx.inbox.get()" in row


async def ask_error(database: Database, job_id: Any) -> str:
    return str(
        await ask(
            database.address.url,
            "select last_error from pillars.finished_jobs where job_id = $1",
            job_id,
        )
    )
