"""Enqueues of concurrent callers, merged into one statement."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from pillars import job
from pillars.errors import DatabaseTrouble, Trouble
from pillars.store import enqueueing, inserting
from pillars.store.database import Database
from pillars.store.inserting import insert
from pillars.store.merging import MOST_BYTES, Merger
from pillars.store.rows import NewJob
from pillars.store.session import Session
from stepping import hand, heard_by, new_job
from support import ask, until


@job(name="work")
async def work(number: int) -> None: ...


class Stage:
    """A merger whose first statement is held back until it is let go."""

    def __init__(self, database: Database) -> None:
        self.sizes: list[int] = []
        self.go = asyncio.Event()
        self.merger = Merger(self._store)
        self._insert = partial(insert, database.pool, database.wakeups)

    async def _store(self, jobs: Sequence[NewJob]) -> None:
        self.sizes.append(len(jobs))
        if len(self.sizes) == 1:
            await self.go.wait()
        await self._insert(jobs)

    async def first(self) -> "asyncio.Task[None]":
        """Put one that holds up the others."""
        task = asyncio.create_task(self.merger.put(new_job()))
        await until(lambda: self.sizes == [1])
        return task

    def put(self, *jobs: NewJob) -> "list[asyncio.Task[None]]":
        return [asyncio.create_task(self.merger.put(one)) for one in jobs]


async def stored(db: str) -> int:
    return int(await ask(db, "select count(*) from pillars.jobs"))


async def test_those_who_come_while_one_is_in_flight_go_together(
    db: str, database: Database
) -> None:
    stage = Stage(database)
    first = await stage.first()
    others = stage.put(*(new_job() for _ in range(20)))
    await asyncio.sleep(0)
    stage.go.set()
    await asyncio.gather(first, *others)
    assert stage.sizes == [1, 20]
    assert await stored(db) == 21


async def test_after_a_crowd_one_alone_waits_for_nobody(db: str, database: Database) -> None:
    stage = Stage(database)
    stage.go.set()
    await asyncio.gather(*stage.put(*(new_job() for _ in range(5))))
    await stage.merger.close()
    await stage.merger.put(new_job())
    assert stage.sizes[-1] == 1
    assert await stored(db) == 6


async def test_a_bad_one_fails_alone(db: str, database: Database) -> None:
    stage = Stage(database)
    first = await stage.first()
    bad, good = new_job(payload="[]"), [new_job() for _ in range(3)]
    tasks = stage.put(good[0], bad, *good[1:])
    await asyncio.sleep(0)
    stage.go.set()
    ends = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [
        type(None), type(None), DatabaseTrouble, type(None), type(None),
    ]  # fmt: skip
    assert await stored(db) == 4


async def test_one_whose_caller_gave_up_before_its_turn_is_not_stored(
    db: str, database: Database
) -> None:
    stage = Stage(database)
    first = await stage.first()
    leaving, staying = stage.put(new_job(), new_job())
    await asyncio.sleep(0)
    leaving.cancel()
    stage.go.set()
    await asyncio.gather(first, staying)
    assert leaving.cancelled()
    assert await stored(db) == 2


async def test_where_the_first_gives_up_the_others_are_stored(db: str, database: Database) -> None:
    stage = Stage(database)
    first = await stage.first()
    others = stage.put(new_job(), new_job())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(*others)
    assert await stored(db) == 2


async def test_large_payloads_go_in_statements_of_bounded_size(db: str, database: Database) -> None:
    stage = Stage(database)
    first = await stage.first()
    large = f'{{"text": "{"x" * (MOST_BYTES // 2)}"}}'
    others = stage.put(*(new_job(payload=large) for _ in range(3)))
    await asyncio.sleep(0)
    stage.go.set()
    await asyncio.gather(first, *others)
    assert stage.sizes == [1, 1, 1, 1]
    assert await stored(db) == 4


async def test_a_crowd_whose_answer_is_lost_is_stored_once_each(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, lost = Session.rows, iter([True])

    async def broken(session: Session, statement: Any, *args: Any, **kwargs: Any) -> Any:
        answer = await rows(session, statement, *args, **kwargs)
        if statement is inserting.ENQUEUE_MANY and next(lost, False):
            raise DatabaseTrouble(Trouble.LOST, "cut")
        return answer

    monkeypatch.setattr(Session, "rows", broken)
    jobs = [new_job() for _ in range(10)]
    answers = await asyncio.gather(*(enqueueing.enqueue(database, one) for one in jobs))
    assert [answer.job_id for answer in answers] == [one.job_id for one in jobs]
    assert next(lost, None) is None, "there was a crowd, and its answer was lost"
    assert await stored(db) == 10


async def test_a_crowd_of_enqueues_is_stored_and_wakes_each_queue(
    db: str, database: Database
) -> None:
    async with hand(db) as listener:
        heard = await heard_by(listener)
        handles = await asyncio.gather(
            *(work.configure(queue=f"q{n % 2}").enqueue(n) for n in range(200))
        )
        await database.wakeups.close()
        await until(lambda: {"q0", "q1"} <= set(heard))
    assert len({handle.job_id for handle in handles}) == 200
    numbers = "select count(distinct payload ->> 'number') from pillars.jobs"
    assert await ask(db, numbers) == 200


async def test_an_error_of_our_own_is_told_to_all_who_wait(database: Database) -> None:
    stage = Stage(database)
    first = await stage.first()
    others = stage.put(*(new_job() for _ in range(3)))
    await asyncio.sleep(0)

    async def broken(_jobs: Sequence[NewJob]) -> None:
        raise ZeroDivisionError

    stage.merger._store = broken
    stage.go.set()
    ends = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(end) for end in ends] == [type(None), *[ZeroDivisionError] * 3]
