"""What is said to jobs, as rows: sent to whom it may concern, read in order, removed by the lock's holder alone."""

from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from pillars.errors import PayloadError
from pillars.store import job_messages
from pillars.store.job_messages import Done
from pillars.store.rows import Claimed, MessageRow
from stepping import Hand, define, hand, hands, put_one
from support import ask, move_clock, tell, until

WAITING = "select count(*) from pillars.job_messages"
SEND = "select pillars.send($1, $2)"


async def read(worker: Hand, *claimed: Claimed, known: tuple[int, ...] = ()) -> list[MessageRow]:
    held = [(one.job_id, one.lock_token) for one in claimed]
    return await job_messages.untaken(worker.session, worker.worker_id, held, known)


async def remove(worker: Hand, claimed: Claimed, *messages: MessageRow) -> None:
    done = [Done(claimed.job_id, claimed.lock_token, one.message_id) for one in messages]
    await job_messages.remove(worker.session, worker.worker_id, done)


async def test_messages_are_read_in_their_order_and_not_those_that_are_known(db: str) -> None:
    job_id, other = await put_one(db), await put_one(db)
    for text in ('"a"', '{"b": 1}', "null"):
        assert await ask(db, SEND, job_id, text) == "sent"
    await ask(db, "select pillars.send($1, '1', 'ada')", other)
    async with hand(db) as worker:
        claimed = await worker.take()
        [mine] = [one for one in claimed if one.job_id == job_id]
        found = await read(worker, mine)
        assert [one.body for one in found] == ['"a"', '{"b": 1}', "null"]
        assert found[0].sent_by == "the role app"
        rest = await read(worker, *claimed, known=tuple(one.message_id for one in found[:2]))
        assert [(one.job_id, one.body, one.sent_by) for one in rest] == [
            (job_id, "null", "the role app"),
            (other, "1", "ada"),
        ]


async def test_who_does_not_hold_the_job_reads_and_removes_nothing(db: str) -> None:
    job_id = await put_one(db)
    await ask(db, SEND, job_id, "1")
    async with hands(db) as (worker, other):
        [mine] = await worker.take()
        [message] = await read(worker, mine)
        assert await read(other, mine) == []
        await remove(other, mine, message)
        await tell(db, "update pillars.jobs set lock_token = lock_token + 100")
        assert await read(worker, mine) == []
        await remove(worker, mine, message)
        assert await ask(db, WAITING) == 1
        await tell(db, "update pillars.jobs set lock_token = lock_token - 100")
        await remove(worker, mine, message)
        assert await ask(db, WAITING) == 0


async def test_the_worker_of_a_running_job_is_told_and_nobody_else(db: str) -> None:
    job_id, idle = await put_one(db), await put_one(db, queue="other")
    async with hand(db) as worker:
        heard: list[str] = []
        channel = f"pillars_{worker.worker_id.hex}"
        await worker.session.connection.add_listener(channel, lambda *told: heard.append(told[-1]))
        await worker.claim(queues={"default": None})
        assert await ask(db, SEND, idle, "1") == "sent"
        assert await ask(db, SEND, job_id, "1") == "sent"
        await until(lambda: worker.ask("select true") if heard else False)
    assert heard == [f"message {job_id}"]


async def test_what_cannot_be_sent_is_said(db: str) -> None:
    await define(db)
    job_id, full = await put_one(db), await put_one(db)
    async with hand(db) as worker:
        await worker.cancel(job_id)
        assert await ask(db, SEND, job_id, "1") == "final"
        assert await ask(db, SEND, uuid4(), "1") == "unknown"
        await tell(
            db,
            "insert into pillars.job_messages (job_id, body) select $1, '1' from generate_series(1, 1000)",
            full,
        )
        assert await ask(db, SEND, full, "1") == "full"
        for message in (None, '"' + "x" * 65_536 + '"'):
            with pytest.raises(asyncpg.InvalidParameterValueError, match="at most 65536 bytes"):
                await ask(db, SEND, full, message)
        with pytest.raises(PayloadError, match="at most 65536 bytes, got 90000"):
            await job_messages.send(worker.session, full, f"[{'1,' * 29_999}1]", by="me")


async def test_a_message_to_a_day_that_is_not_there_makes_it(db: str) -> None:
    job_id = await put_one(db)
    await move_clock(db, timedelta(days=20))
    assert await ask(db, SEND, job_id, "1") == "sent"
    assert await ask(db, WAITING) == 1


async def test_a_message_of_a_transaction_that_is_rolled_back_was_not_sent(db: str) -> None:
    job_id = await put_one(db)
    async with hand(db) as sender:
        transaction = sender.session.connection.transaction()
        await transaction.start()
        assert await sender.ask(SEND, job_id, "1") == "sent"
        await transaction.rollback()
    assert await ask(db, WAITING) == 0
