"""The claimer's turn: how much it asks for, of what kind, from where, and what it makes good."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pillars import Context, job
from pillars.errors import DatabaseTrouble, Trouble
from pillars.service.process import Process
from pillars.store import claiming
from pillars.store.database import Database
from pillars.store.rows import Claimed
from pillars.store.session import Session
from pillars.worker.claiming import Claimer
from pillars.worker.fronts import Front
from pillars.worker.holdings import Holdings, counted_clock
from pillars.worker.slots import Slots
from stepping import forget_claims, hand, hands, locked_tokens, put, put_one, row
from support import ask, running, settings_for, somebody_waits, tell, until, worker_for


@job(name="work")
async def work() -> None:
    pass


@job(name="sync")
def sync() -> None:
    pass


class Desk:
    """A claimer whose jobs are started by being noted."""

    def __init__(
        self, database: Database, *, queues: dict[str, int | None] | None = None, **kinds: int
    ) -> None:
        settings = settings_for(database.address.url)
        self.process = Process("worker", settings, database)
        self.slots = Slots(
            {"thread" if one == "sync" else "async": kinds[one] for one in kinds}, queues
        )
        self.holdings = Holdings(settings.trust)
        self.started: list[Claimed] = []
        self.claimer = Claimer(
            self.process, {"work": work, "sync": sync}, self.slots, self.holdings,
            on_claimed=self._start,
        )  # fmt: skip

    def _start(self, claimed: Sequence[Claimed]) -> None:
        self.started += claimed
        for one in claimed:
            self.slots.take("thread" if one.name == "sync" else "async", one.queue)

    def end(self, claimed: Claimed) -> None:
        self.slots.free_up("thread" if claimed.name == "sync" else "async", claimed.queue)
        self.claimer.freed()

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.started]


async def test_a_turn_takes_what_the_free_slots_hold_and_says_whether_there_may_be_more(
    db: str, database: Database
) -> None:
    await put(db, 5)
    desk = Desk(database, work=3)
    assert await desk.claimer.claim_once()
    assert len(desk.started) == 3
    assert not await desk.claimer.claim_once(), "no slot is free"
    assert len(desk.started) == 3
    for one in list(desk.started):
        desk.end(one)
    while await desk.claimer.claim_once():
        pass
    assert len(desk.started) == 5
    assert set(desk.holdings.tokens()) == set(await locked_tokens(db))


async def test_each_kind_has_its_own_slots_and_names(db: str, database: Database) -> None:
    await put(db, 5)
    await put(db, 5, name="sync")
    desk = Desk(database, work=2, sync=1)
    await desk.claimer.claim_once()
    assert sorted(desk.names) == ["sync", "work", "work"]


async def test_a_full_queue_is_not_asked_for_and_others_are(db: str, database: Database) -> None:
    await put(db, 5, queue="mail")
    await put(db, 5, queue="default")
    await put(db, 5, queue="other")
    desk = Desk(database, queues={"mail": 2, "default": 1}, work=10)
    for _ in range(3):
        await desk.claimer.claim_once()
    assert sorted(one.queue for one in desk.started) == ["default", "mail", "mail"]
    desk.end(next(one for one in desk.started if one.queue == "mail"))
    await desk.claimer.claim_once()
    assert [one.queue for one in desk.started].count("mail") == 3


async def test_a_freed_slot_is_a_reason_to_look_only_where_there_was_more(
    db: str, database: Database
) -> None:
    await put(db, 2)
    desk = Desk(database, work=1)
    await desk.claimer.claim_once()
    desk.claimer._woken.clear()
    desk.end(desk.started[0])
    assert desk.claimer._woken.is_set(), "the claim was full: there may be more"
    while await desk.claimer.claim_once():
        desk.end(desk.started[-1])
    desk.claimer._woken.clear()
    desk.end(desk.started[-1])
    assert not desk.claimer._woken.is_set(), "the last claim came back short"


async def test_a_worker_that_is_stopping_asks_for_nothing(db: str, database: Database) -> None:
    await put(db)
    desk = Desk(database, work=1)
    desk.process.stopping.set()
    await desk.claimer.claim_once()
    assert desk.started == []


async def test_a_streak_that_ends_short_looks_at_the_front_for_what_was_released(
    db: str, database: Database
) -> None:
    old = datetime.now(UTC) - timedelta(minutes=1)
    await put(db, 2, run_at=old)
    last = await put_one(db, run_at=old + timedelta(seconds=1))
    desk = Desk(database, work=2)
    assert await desk.claimer.claim_once()
    [released, ended] = desk.started
    async with hand(db) as worker:
        worker.worker_id = desk.process.worker_id
        assert await worker.put_back(released) == ["done"]
    desk.end(released)
    desk.end(ended)
    assert await desk.claimer.claim_once(), "short, but only behind the place: look again"
    assert desk.started[-1].job_id == last
    await desk.claimer.claim_once()
    assert desk.started[-1].job_id == released.job_id


async def test_behind_a_dear_front_new_work_is_found_without_reading_it_again(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a million jobs of another kind lie in front: the look is short, and took long."""
    monkeypatch.setattr(Front, "looked", _dearly(Front.looked))
    asked: list[bool] = []
    claim = claiming.claim

    async def noted(executor: Any, demand: Any, places: Any) -> Any:
        asked.append(not places.after)
        return await claim(executor, demand, places)

    monkeypatch.setattr(claiming, "claim", noted)
    await put(db, 3)
    desk = Desk(database, sync=2)
    await desk.claimer.claim_once()
    fresh = await put_one(db, name="sync")
    desk.claimer.wake()
    await desk.claimer.claim_once()
    assert [one.job_id for one in desk.started] == [fresh]
    assert asked == [True, False], "the front was read once"


def _dearly(looked: Any) -> Any:
    return lambda front, _took: looked(front, timedelta(seconds=1))


async def test_picks_that_another_took_are_made_good_in_the_lanes(
    db: str, database: Database
) -> None:
    await put(db, 6)
    desk = Desk(database, work=3)
    async with hand(db) as other, other.session.transaction():
        theirs = await other.take(3)
        assert await desk.claimer.claim_once()
        assert len(desk.started) == 3
    assert not {one.job_id for one in theirs} & {one.job_id for one in desk.started}


async def test_a_wake_up_in_a_streak_has_the_claimer_look_at_the_front(
    db: str, database: Database
) -> None:
    """What was released lies before the place where the streak stands."""
    desk = Desk(database, work=2)
    first, *_ = await put(db, 6)
    await desk.claimer.claim_once()
    async with hand(db) as worker:
        worker.worker_id = desk.process.worker_id
        assert desk.started[0].job_id == first
        await worker.put_back(desk.started[0])
    desk.end(desk.started[0])
    desk.claimer._fronts["async"].looked(timedelta(0))
    desk.claimer.wake()
    await desk.claimer.claim_once()
    assert desk.started[-1].job_id == first


async def test_a_worker_is_given_no_token_twice_by_a_database_that_lost_its_last_claims(
    db: str, database: Database
) -> None:
    desk = Desk(database, work=2)
    await put(db)
    await desk.claimer.claim_once()
    await forget_claims(db, desk.started[0].lock_token)
    desk.claimer._fronts["async"].looked(timedelta(0))
    desk.claimer.wake()
    await desk.claimer.claim_once()
    lost, again = desk.started
    assert again.job_id == lost.job_id
    assert again.lock_token > lost.lock_token


async def test_a_claim_is_trusted_from_before_it_was_asked_for(db: str, database: Database) -> None:
    desk = Desk(database, work=1)
    await put(db)
    async with hand(db) as somebody:
        async with somebody.session.transaction():  # holds the claim up before it can be answered
            await somebody.ask("lock table pillars.locks in access exclusive mode")
            claiming_now = asyncio.create_task(desk.claimer.claim_once())
            await until(lambda: somebody_waits(db))
            late = counted_clock()
        await claiming_now
    [started] = desk.started
    trust = desk.process.settings.trust.total_seconds()
    assert desk.holdings.distrusted(late + trust) == [started.lock_token]


async def test_what_comes_when_trust_in_it_is_over_is_given_back_and_not_begun(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As to a process that was frozen while the answer was on its way: others may run these jobs by now."""
    begun: list[int] = []

    @job(name="late")
    async def late(ctx: Context) -> None:
        begun.append(ctx.attempt)

    worker = worker_for(database, late)
    claim = claiming.claim
    tokens: list[int] = []

    async def thawed(*args: Any) -> Any:
        answer = await claim(*args)
        worker.holdings._trust = -1.0 if answer.jobs and not tokens else 1e6
        tokens.extend(one.lock_token for one in answer.jobs)
        return answer

    monkeypatch.setattr(claiming, "claim", thawed)
    async with running(worker):
        handle = await late.enqueue()
        await handle.result(timeout="20s")
    assert begun == [1]
    assert len(tokens) == 2
    assert await ask(db, "select lock_token from pillars.finished_jobs") == tokens[1]
    assert await ask(db, "select attempt || ' ' || crashes from pillars.finished_jobs") == "1 0"


class TestUnknownOutcomes:
    async def test_what_the_table_shows_and_nobody_holds_is_given_back_before_the_next_claim(
        self, db: str, database: Database
    ) -> None:
        desk = Desk(database, work=5)
        job_id = await put_one(db)
        async with hand(db) as backend:
            backend.worker_id = desk.process.worker_id
            [stray] = await backend.take()
        desk.claimer.recover()
        await desk.claimer.claim_once()
        [started] = desk.started
        assert started.job_id == job_id
        assert started.lock_token != stray.lock_token
        stored = await row(db, job_id)
        assert (stored["attempt"], stored["crashes"]) == (1, 0)
        assert await locked_tokens(db) == [started.lock_token]

    async def test_what_is_held_is_left_alone(self, db: str, database: Database) -> None:
        desk = Desk(database, work=1)
        await put(db)
        await desk.claimer.claim_once()
        desk.claimer.recover()
        await desk.claimer.claim_once()
        assert len(desk.started) == 1
        stored = await row(db, desk.started[0].job_id)
        assert stored["lock_token"] == desk.started[0].lock_token

    async def test_only_the_unheld_part_of_a_claim_is_given_back(
        self, db: str, database: Database
    ) -> None:
        desk = Desk(database, work=0)
        held_id, _ = await put(db, 2)
        async with hand(db) as backend:
            backend.worker_id = desk.process.worker_id
            held, stray = await backend.take()
        desk.holdings.take([(held.job_id, held.lock_token)], asked_at=0)
        desk.claimer.recover()
        await desk.claimer.claim_once()
        assert (await row(db, held_id))["lock_token"] == held.lock_token
        assert (await row(db, stray.job_id))["lock_token"] is None
        assert await locked_tokens(db) == [held.lock_token]

    async def test_a_claim_whose_answer_is_lost_is_made_good_by_the_next_turn(
        self, db: str, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = Session.rows
        lost = iter([True])

        async def broken(session: Session, statement: Any, *args: Any, **kwargs: Any) -> Any:
            answer = await rows(session, statement, *args, **kwargs)
            if statement is claiming.CLAIM and answer[0].picked and next(lost, False):
                raise DatabaseTrouble(Trouble.LOST, "cut")
            return answer

        monkeypatch.setattr(Session, "rows", broken)
        # No heartbeat comes in time, and the listener has said what it has to say: the next turn it is.
        async with running(worker_for(database, work, lock="90s")) as worker:
            await until(lambda: worker.process.listening is True)
            handle = await work.enqueue()
            await handle.result(timeout="10s")
        ended = "select attempt || ' ' || crashes from pillars.finished_jobs"
        assert await ask(db, ended) == "1 0"
        assert await locked_tokens(db) == []

    async def test_one_that_commits_after_its_worker_looked_is_found_by_a_heartbeat(
        self, db: str, database: Database
    ) -> None:
        worker = worker_for(database, work, lock="2s", poll="30s")
        async with running(worker), hands(db) as (backend, user):
            backend.worker_id = worker.process.worker_id
            await user.ask("insert into pillars.queues values ('mail', pillars.now())")
            job_id = await put_one(db, queue="mail")
            await tell(db, "update pillars.queues set paused_at = null")
            async with backend.session.transaction():
                await backend.ask("select 1")
                await backend.take()
            await until(lambda: ended(db))
        stored = await ask(db, "select attempt || ' ' || crashes from pillars.finished_jobs")
        assert (job_id, stored) == (job_id, "1 0")

    async def test_what_a_claim_in_flight_brings_is_not_given_back_by_a_heartbeat_that_overtakes_it(
        self, db: str, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker = worker_for(database, work)
        claim = claiming.claim
        tokens: list[int] = []

        async def overtaken(*args: Any) -> Any:
            answer = await claim(*args)
            if answer.jobs and not tokens:
                tokens.extend(one.lock_token for one in answer.jobs)
                async with hand(db) as thread:
                    thread.worker_id = worker.process.worker_id
                    beat = await thread.beat()
                assert beat.unnamed == tokens
                worker._replied(beat, asked_at=counted_clock())
                with suppress(AssertionError):  # time enough for whoever would give it back
                    await until(
                        lambda: ask(db, "select not exists (select from pillars.locks)"), within=0.5
                    )
            return answer

        monkeypatch.setattr(claiming, "claim", overtaken)
        async with running(worker):
            await (await work.enqueue()).result(timeout="20s")
        assert await ask(db, "select lock_token from pillars.finished_jobs") == tokens[0]
        assert await locked_tokens(db) == []


async def ended(db: str) -> bool:
    return bool(await ask(db, "select count(*) = 1 from pillars.finished_jobs"))


async def test_an_alarm_that_rang_before_its_time_hides_none_that_comes_after(
    database: Database,
) -> None:
    """uvloop rings up to half a millisecond early, and a job may be due by the database's clock: then the next one's alarm is set at once."""
    claimer = Desk(database).claimer
    claimer.look_in(timedelta(0))
    await until(claimer._woken.is_set)
    claimer._woken.clear()
    claimer._alarm_at = asyncio.get_running_loop().time() + 0.01
    claimer.look_in(timedelta(seconds=0.02))
    await until(claimer._woken.is_set)


async def test_an_alarm_that_is_overdue_and_has_not_rung_is_not_put_off(database: Database) -> None:
    """As where a job held the loop past it, and what ended meanwhile asks for a later look."""
    claimer = Desk(database).claimer
    claimer.look_in(timedelta(0))
    claimer.look_in(timedelta(hours=1))
    await until(claimer._woken.is_set)


async def test_a_job_that_is_due_later_starts_at_its_time(db: str, database: Database) -> None:
    async with running(worker_for(database, work, poll="30s")):
        handle = await work.configure(run_in="200ms").enqueue()
        await handle.result(timeout="20s")
    late = await ask(
        db, "select extract(epoch from started_at - created_at) from pillars.finished_jobs"
    )
    assert 0.2 <= late < 10
