"""Messages into a running job: at least once, in order, and none twice within an attempt."""

from datetime import timedelta
from itertools import cycle
from typing import Any

import anyio
import pytest
from listening import BOTH, Reader, counting_looks, which
from speaking import ran

from pillars import (
    Context,
    Message,
    Retry,
    job,
)
from pillars.errors import DatabaseTrouble, Trouble
from pillars.store import job_messages
from pillars.store.database import Database
from pillars.worker import inbox
from pillars.worker.exchange import Exchange
from stepping import EXPIRED
from support import move_clock, running, tell, until, worker_for


@pytest.fixture
async def reader() -> Reader:
    return Reader()


@BOTH
async def test_what_was_sent_before_and_meanwhile_is_read_in_its_order(
    database: Database, reader: Reader, kind: str
) -> None:
    handle = await which(reader, kind).enqueue()
    for number in range(3):
        await handle.send({"number": number})
    async with running(worker_for(database, reader.job, reader.thread)):
        await until(lambda: len(reader.read) == 3)
        await handle.send([3], by="ada")
        await until(lambda: len(reader.read) == 4)
        await handle.send("end")
        await handle.result(timeout="20s")
    assert reader.read == [{"number": 0}, {"number": 1}, {"number": 2}, [3], "end"]


async def test_a_message_says_who_sent_it_and_when(database: Database) -> None:
    @job(name="asks")
    async def asks(ctx: Context) -> str:
        message = await ctx.inbox.get()
        assert isinstance(message, Message)
        assert message.sent_at.tzinfo is not None
        return f"{message.sent_by}: {message.data}"

    async with running(worker_for(database, asks)):
        handle = await asks.enqueue()
        await handle.send("hello", by="ada")
        assert await handle.result(timeout="20s") == "ada: hello"
        other = await asks.enqueue()
        await other.send("hello")
        assert await other.result(timeout="20s") == "the application's code: hello"


async def test_an_attempt_that_fails_leaves_the_message_that_it_was_at_to_the_next(
    database: Database, reader: Reader
) -> None:
    handle = await reader.job.enqueue()
    for message in ("one", "fail", "three", "end"):
        await handle.send(message)
    async with running(worker_for(database, reader.job)):
        await handle.result(timeout="20s")
    assert reader.read == ["one", "fail", "fail", "three", "end"]


async def test_an_attempt_that_snoozes_is_done_with_its_last_message(
    database: Database, reader: Reader
) -> None:
    handle = await reader.job.enqueue()
    for message in ("snooze", "end"):
        await handle.send(message)
    async with running(worker_for(database, reader.job)):
        await handle.result(timeout="20s")
    assert reader.read == ["snooze", "end"]


async def test_a_job_whose_completion_is_not_written_gets_its_last_message_again(
    db: str, database: Database, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await reader.job.enqueue()
    await handle.send("end")
    worker = worker_for(database, reader.job)
    over = Exchange.over

    async def lost(self: Exchange, outcome: Any) -> None:
        await over(self, outcome)
        if len(reader.read) == 1:
            await tell(
                db, "update pillars.jobs set locked_by = null, locked_at = null, lock_token = null"
            )

    monkeypatch.setattr(Exchange, "over", lost)
    async with running(worker):
        await handle.result(timeout="20s")
    assert reader.read == ["end", "end"]


async def test_a_worker_that_dies_leaves_its_message_to_the_next(
    db: str, database: Database, reader: Reader
) -> None:
    """Its lock expires, and what it would have removed stays."""
    handle = await reader.job.enqueue()
    await handle.send("one")
    await handle.send("wait")
    first = worker_for(database, reader.job)
    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()

        async def die() -> None:
            with scope:
                await first.run()

        group.start_soon(die)
        await until(lambda: reader.read == ["one", "wait"])
        await tell(
            db, "update pillars.jobs set locked_by = gen_random_uuid()"
        )  # what it writes from here on is refused
        await tell(db, "update pillars.locks set locked_by = job.locked_by from pillars.jobs job")
        scope.cancel()
    await move_clock(db, EXPIRED)
    await handle.send("end")
    reader.let.set()
    async with running(worker_for(database, reader.job)):
        await handle.result(timeout="20s")
    assert reader.read == ["one", "wait", "wait", "end"]


async def test_within_an_attempt_no_message_comes_twice(
    db: str, database: Database, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks and removals cross each other all the time, and half of the removals get no answer."""
    monkeypatch.setattr(inbox, "FRESH", 0.0)
    removed, fails = job_messages.remove, cycle([False, True, False, False, True])

    async def remove(*args: Any) -> None:
        if next(fails):
            raise DatabaseTrouble(Trouble.LOST, "no answer")
        await removed(*args)
        if next(fails):
            raise DatabaseTrouble(Trouble.LOST, "no answer")

    monkeypatch.setattr(job_messages, "remove", remove)
    async with running(worker_for(database, reader.job)):
        handle = await reader.job.enqueue()
        for number in range(30):
            await handle.send(number)
        await handle.send("end")
        await handle.result(timeout="20s")
    assert reader.read == [*range(30), "end"]


async def test_the_message_at_hand_is_not_read_again(
    database: Database, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = counting_looks(monkeypatch)
    async with running(worker_for(database, reader.job)):
        handle = await reader.job.enqueue()
        await handle.send("wait")
        await until(lambda: reader.read == ["wait"])
        before = len(looks)
        await handle.send("two")
        await until(lambda: len(looks) > before)
        reader.let.set()
        await handle.send("end")
        await handle.result(timeout="20s")
    assert reader.read == ["wait", "two", "end"]


async def test_more_than_one_read_brings_all_come(
    db: str, database: Database, reader: Reader
) -> None:
    handle = await reader.job.enqueue()
    await tell(
        db,
        "insert into pillars.job_messages (job_id, body) select $1, to_jsonb(number) from generate_series(1, 450) number",
        handle._id,
    )
    await handle.send("end")
    async with running(worker_for(database, reader.job)):
        await handle.result(timeout="20s")
    assert reader.read == [*range(1, 451), "end"]


async def test_a_lost_notification_costs_a_look_every_few_seconds(
    db: str, database: Database, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "FRESH", 0.05)
    worker, looks = worker_for(database, reader.job), counting_looks(monkeypatch)
    monkeypatch.setattr(worker.deliveries, "heard", lambda _message: True)
    async with running(worker):
        handle = await reader.job.enqueue()
        await until(lambda: bool(looks))  # it waits by now
        await handle.send("end")
        await handle.result(timeout="20s")
    assert reader.read == ["end"]


async def test_all_that_wait_are_looked_for_in_one_statement(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = counting_looks(monkeypatch)
    monkeypatch.setattr(inbox, "FRESH", 0.3)

    @job(name="waits")
    async def waits(ctx: Context) -> None:
        await ctx.inbox.get()

    async with running(worker_for(database, waits)):
        handles = [await waits.enqueue() for _ in range(5)]
        await until(lambda: 5 in asked)
        for handle in handles:
            await handle.send(1)
        for handle in handles:
            await handle.result(timeout="20s")


async def test_a_job_that_never_looks_costs_no_statement(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unasked(*_args: Any) -> Any:
        raise AssertionError("it has not looked")

    monkeypatch.setattr(job_messages, "untaken", unasked)

    @job(name="deaf")
    async def deaf(ctx: Context) -> None:
        ctx.progress(1)

    handle = await ran(database, deaf)
    assert await handle.state() == "completed"


async def test_a_retry_in_between_waits_for_no_look(db: str, database: Database) -> None:
    """A message is read by the attempt that asks, whichever that is."""

    @job(name="patient", backoff="10ms")
    async def patient(ctx: Context) -> Any:
        if ctx.attempt == 1:
            raise Retry(after=timedelta(milliseconds=10))
        message = await ctx.inbox.get()
        return message.data if message else None

    async with running(worker_for(database, patient)):
        handle = await patient.enqueue()
        await handle.send("kept")
        assert await handle.result(timeout="20s") == "kept"
