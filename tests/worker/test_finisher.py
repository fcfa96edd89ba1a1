"""Writing outcomes: in groups, through trouble, and so that finishing never fails."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from pillars.errors import DatabaseTrouble, Trouble
from pillars.service.tally import Tally
from pillars.store.database import Database
from pillars.store.rows import Claimed
from pillars.store.session import STATEMENT_TIMEOUT, Executor
from pillars.store.settling import PUT_BACK, Ended, Returned
from pillars.store.trouble import FULL
from pillars.worker import finishing
from pillars.worker.finishing import Finisher, Settling
from pillars.worker.holdings import Holdings
from stepping import Hand, final, hand, locked_tokens, places_of, put, row
from support import ask, move_clock


class Faulty:
    """The runtime's pool, with answers that get lost on the way; what was asked is carried out."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.lose = 0
        self.refuse = 0
        self.full = False
        """Whether the queue of notifications is, which what is put back adds to."""

    async def rows(self, statement: Any, *args: Any, timeout: timedelta = STATEMENT_TIMEOUT) -> Any:
        if self.refuse:
            self.refuse -= 1
            raise DatabaseTrouble(Trouble.UNREACHABLE, "down")
        if self.full and statement is PUT_BACK:
            raise DatabaseTrouble(Trouble.BUSY, "too many notifications", sqlstate=FULL)
        answer = await self.executor.rows(statement, *args, timeout=timeout)
        if self.lose:
            self.lose -= 1
            raise DatabaseTrouble(Trouble.LOST, "cut")
        return answer


class Desk:
    def __init__(self, database: Database, worker: Hand) -> None:
        self.worker = worker
        self.pool = Faulty(database.runtime)
        self.holdings = Holdings(timedelta(seconds=25))
        self.looks: list[timedelta] = []
        self.tally = Tally()
        self.finisher = Finisher(
            self.pool, worker.worker_id, self.holdings, self.tally, on_put_back=self.looks.append
        )

    async def take(self, db: str, count: int) -> list[Claimed]:
        await put(db, count)
        claimed = await self.worker.take(count)
        self.holdings.take(((one.job_id, one.lock_token) for one in claimed), asked_at=0)
        return claimed


@pytest.fixture
async def desk(db: str, database: Database) -> AsyncIterator[Desk]:
    async with hand(db) as worker:
        yield Desk(database, worker)


def completed(job: Claimed, **said: Any) -> Settling:
    state = said.pop("state", "completed")
    keep = said.pop("keep", "full")
    return Settling(Ended(job.job_id, job.lock_token, state, keep, **said), name="work")


def retried(job: Claimed) -> Settling:
    returned = Returned(
        job.job_id, job.lock_token, "retried", timedelta(seconds=9),
        given_back=False, begun=True, error="no",
    )  # fmt: skip
    return Settling(returned, name="work")


async def test_a_flush_writes_all_that_gathered_and_the_claims_lock_goes(
    db: str, desk: Desk
) -> None:
    one, two, three = await desk.take(db, 3)
    for settling in (completed(one), retried(two), completed(three, state="failed", error="x")):
        await desk.finisher.put(settling)
    assert await desk.finisher.flush_once() == 3
    await desk.finisher.written()
    assert await places_of(db, one.job_id) == (0, 1)
    assert (await row(db, two.job_id))["last_error"] == "no"
    assert (await final(db, three.job_id))["state"] == "failed"
    assert desk.holdings.tokens() == []
    assert await locked_tokens(db) == []
    assert [round(look.total_seconds()) for look in desk.looks] == [9]


async def test_a_flush_that_does_not_end_the_claim_leaves_its_lock(db: str, desk: Desk) -> None:
    one, two = await desk.take(db, 2)
    await desk.finisher.put(completed(one))
    await desk.finisher.flush_once()
    assert await locked_tokens(db) == [one.lock_token]
    await desk.finisher.put(retried(two))
    await desk.finisher.flush_once()
    assert await locked_tokens(db) == []


async def test_what_is_busy_is_asked_again_and_is_in_nobodys_way(
    db: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "LARGEST_FLUSH", 1)
    held, free = await desk.take(db, 2)
    async with hand(db) as user, user.session.transaction():
        await user.ask("select 1 from pillars.jobs where job_id = $1 for update", held.job_id)
        await desk.finisher.put(completed(held))
        await desk.finisher.put(completed(free))
        assert await desk.finisher.flush_once() == 0
        assert await desk.finisher.flush_once() == 1, "the one behind it had its turn"
        assert await places_of(db, free.job_id) == (0, 1)
        assert desk.holdings.holds((held.job_id, held.lock_token))
    assert await desk.finisher.flush_once() == 1
    assert await locked_tokens(db) == []


async def test_outcomes_survive_a_database_that_is_away(db: str, desk: Desk) -> None:
    [job] = await desk.take(db, 1)
    desk.pool.refuse = 2
    await desk.finisher.put(completed(job))
    for _ in range(2):
        with pytest.raises(DatabaseTrouble):
            await desk.finisher.flush_once()
    assert await desk.finisher.flush_once() == 1
    assert await places_of(db, job.job_id) == (0, 1)


async def test_a_flush_of_unknown_outcome_is_repeated_and_recognises_itself(
    db: str, desk: Desk
) -> None:
    one, two, three = await desk.take(db, 3)
    for settling in (completed(one), retried(two), completed(three, keep="none")):
        await desk.finisher.put(settling)
    for _ in range(2):
        desk.pool.lose = 1
        with pytest.raises(DatabaseTrouble):
            await desk.finisher.flush_once()
    assert await desk.finisher.flush_once() == 3
    assert desk.tally.runs["work"].outcomes == {"completed": 2, "retried": 1}
    assert (desk.tally.flushes, desk.tally.locks_lost) == (3, 0)
    assert await places_of(db, one.job_id) == (0, 1)
    assert await places_of(db, two.job_id) == (1, 0)
    assert await places_of(db, three.job_id) == (0, 0)
    assert await ask(db, "select count(*) from pillars.attempts") == 1
    assert desk.holdings.tokens() == []


async def test_an_outcome_of_a_lost_claim_is_dropped_and_counted(db: str, desk: Desk) -> None:
    [job] = await desk.take(db, 1)
    await desk.worker.put_back(job)
    await desk.finisher.put(completed(job))
    assert await desk.finisher.flush_once() == 1
    assert desk.tally.runs["work"].outcomes == {"lost": 1}
    assert desk.tally.locks_lost == 1
    assert await places_of(db, job.job_id) == (1, 0)


async def test_two_outcomes_of_one_job_in_a_flush_end_it_once(db: str, desk: Desk) -> None:
    """A worker that lost a job over an outage and was given it again before it could offer the old outcome."""
    [old] = await desk.take(db, 1)
    await desk.worker.put_back(old)
    [new] = await desk.worker.take()
    desk.holdings.take([(new.job_id, new.lock_token)], asked_at=0)
    await desk.finisher.put(completed(old, result="1"))
    await desk.finisher.put(completed(new, result="2"))
    assert await desk.finisher.flush_once() == 2
    assert (await final(db, old.job_id))["result"] == "2"


async def test_a_refused_result_fails_its_job_and_no_other(db: str, desk: Desk) -> None:
    good, bad, worse = await desk.take(db, 3)
    await desk.finisher.put(completed(good, result="1"))
    await desk.finisher.put(completed(bad, result='"\\u0000"'))
    await desk.finisher.put(completed(worse, state="failed", error="a\0b"))
    await desk.finisher.flush_once()
    await desk.finisher.flush_once()
    await desk.finisher.written()
    assert (await final(db, good.job_id))["result"] == "1"
    refused = await final(db, bad.job_id)
    assert (refused["state"], refused["last_error"]) == ("failed", "Postgres refused the result")
    assert (await final(db, worse.job_id))["last_error"] == "a\ufffdb"
    assert await locked_tokens(db) == []


async def test_what_can_wake_nobody_now_waits_and_holds_up_nothing_that_has_ended(
    db: str, desk: Desk
) -> None:
    first, other = await desk.take(db, 2)
    await desk.finisher.put(completed(first))
    await desk.finisher.put(retried(other))
    desk.pool.full = True
    with pytest.raises(DatabaseTrouble, match="too many notifications"):
        await desk.finisher.flush_once()
    assert (await final(db, first.job_id))["state"] == "completed"
    desk.pool.full = False
    assert await desk.finisher.flush_once() == 1
    await desk.finisher.written()
    assert await locked_tokens(db) == []


async def test_a_missing_day_is_made_and_the_flush_repeated(db: str, desk: Desk) -> None:
    [job] = await desk.take(db, 1)
    await move_clock(db, timedelta(days=9))
    await desk.finisher.put(completed(job))
    assert await desk.finisher.flush_once() == 0
    assert await desk.finisher.flush_once() == 1
    assert (await final(db, job.job_id))["state"] == "completed"


async def test_whoever_comes_when_too_many_wait_waits_too(
    db: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "MOST_PENDING", 2)
    one, two, three = await desk.take(db, 3)
    await desk.finisher.put(completed(one))
    await desk.finisher.put(completed(two))
    third = asyncio.create_task(desk.finisher.put(completed(three)))
    await asyncio.sleep(0)
    assert not third.done()
    await desk.finisher.flush_once()
    await third
    assert await desk.finisher.flush_once() == 1


async def test_written_returns_once_nothing_is_pending_or_in_flight(db: str, desk: Desk) -> None:
    jobs = await desk.take(db, 5)
    desk.pool.lose = 1
    loop = asyncio.create_task(desk.finisher.run())
    for job in jobs:
        await desk.finisher.put(completed(job))
    await asyncio.wait_for(desk.finisher.written(), 20)
    assert await ask(db, "select count(*) from pillars.finished_jobs") == 5
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
