"""What is old goes, a day at a time; nothing else does, and nobody waits for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from pillars import every, job
from pillars.cron.pillar import Cron
from pillars.errors import DatabaseTrouble, UnknownJob
from pillars.service import pruning
from pillars.service.process import Process
from pillars.service.pruning import Pruner
from pillars.store import history
from pillars.store.database import Database
from pillars.store.history import NEXT_PRUNE, TAKEN_BY_ANOTHER
from pillars.store.pool import Address
from pillars.store.rows import Prune
from pillars.store.session import Session
from stepping import define, final, hand, hands, places_of, put_one
from support import ask, move_clock, running, settings_for, tell, until, worker_for

DAY = timedelta(days=1)
WEEK, MONTH = 7 * DAY, 30 * DAY
HISTORIES = 5  # completed jobs, the others, attempts, what jobs say, messages to them
DAYS = "select array(select relname::text from pg_class where relname ~ '^(finished|attempts|job_).*_[0-9]{8}$' and relkind = 'r' order by 1)"
PENDING = "select count(*) from pg_inherits where inhdetachpending"
WAITS = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'pillars history' and wait_event_type = 'Lock'"


@pytest.fixture(autouse=True)
async def _defined(db: str) -> None:
    await define(db)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PATIENT", "300ms")


@job(name="work")
async def work() -> None:
    pass


def pruner_of(database: Database, **flags: object) -> Pruner:
    """What jobs have said is kept as long as the failed ones, but where a test says otherwise."""
    settings = settings_for(database.address.url, **({"keep_events": "30d"} | flags))
    return Pruner(Process("worker", settings, database))


async def pass_days(db: str, days: int) -> None:
    """So many days go by, and a worker makes theirs."""
    await move_clock(db, days * DAY)
    await tell(db, "select pillars.make_days()")


async def ended(db: str, state: str = "completed") -> Any:
    """The id of a job that has just ended so; an attempt is noted unless it completed."""
    job_id = await put_one(db)
    async with hand(db) as worker:
        [claimed] = await worker.take()
        assert await worker.finish(claimed, state=state, error="why") == ["done"]
    return job_id


async def prune(session: Session, *, completed: timedelta, failed: timedelta) -> Prune | None:
    """The next step, taken; None where there is none, or somebody is in the way."""
    step = await history.next_prune(session, completed=completed, failed=failed, events=failed)
    return step if step is not None and await history.take(session, step) else None


async def days_of(db: str, history_: str) -> list[str]:
    return [day for day in await ask(db, DAYS) if day.startswith(history_)]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return "".join(capsys.readouterr())


def said_since(heard: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """All since `heard` began, which keeps it: what is read from `capsys` is gone from there."""
    heard.append(said(capsys))
    return "".join(heard)


@asynccontextmanager
async def reading(db: str) -> AsyncIterator[None]:
    """An open transaction that has read the history, as a long report is."""
    async with hand(db) as reader, reader.session.transaction():
        await reader.ask("select count(*) from pillars.finished_jobs")
        yield


@asynccontextmanager
async def pruning_by_hand(db: str, patience: str = "1s") -> AsyncIterator[Session]:
    session = await history.connect_to_prune(Address(db))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "LOCK_TIMEOUT", patience)
        try:
            yield session
        finally:
            await session.close()


async def test_a_day_goes_with_its_rows_once_its_end_is_older_than_its_retention(
    db: str, database: Database
) -> None:
    pruner = pruner_of(database)
    oldest = await ended(db)
    await pass_days(db, 1)
    younger = await ended(db)
    before = await ask(db, DAYS)
    await pass_days(db, 6)
    assert await pruner.prune_once() == 0, "its end is not a week ago"
    await pass_days(db, 1)
    assert await pruner.prune_once() == 1
    assert await places_of(db, oldest) == (0, 0)
    assert await places_of(db, younger) == (0, 1)
    gone = set(before) - set(await ask(db, DAYS))
    assert gone == {min(day for day in before if day.startswith("finished_completed"))}


async def test_completed_and_failed_jobs_have_a_retention_each(db: str, database: Database) -> None:
    completed, failed = await ended(db), await ended(db, "failed")
    pruner = pruner_of(database)
    await pass_days(db, 9)
    assert await pruner.prune_once() > 0
    assert await places_of(db, completed) == (0, 0)
    assert await places_of(db, failed) == (0, 1)
    assert await ask(db, "select count(*) from pillars.attempts") == 1
    await pass_days(db, 22)
    assert await pruner.prune_once() > 0
    assert await places_of(db, failed) == (0, 0)
    assert await ask(db, "select count(*) from pillars.attempts") == 0


async def test_the_settings_say_how_long(db: str, database: Database) -> None:
    completed, failed = await ended(db), await ended(db, "failed")
    pruner = pruner_of(database, keep_completed="3d", keep_failed="2d")
    await pass_days(db, 3)
    await pruner.prune_once()
    assert (await places_of(db, completed), await places_of(db, failed)) == ((0, 1), (0, 0))
    await pass_days(db, 1)
    await pruner.prune_once()
    assert await places_of(db, completed) == (0, 0)


async def test_what_is_asked_to_go_at_once_stays_a_day(db: str) -> None:
    """Transactions that began yesterday may yet write to yesterday."""
    yesterdays = await ended(db)
    await pass_days(db, 1)
    todays = await ended(db)
    async with pruning_by_hand(db) as session:
        assert await prune(session, completed=timedelta(0), failed=-MONTH) is None
        assert await final(db, yesterdays)
        assert await final(db, todays)
        await pass_days(db, 1)
        while await prune(session, completed=timedelta(0), failed=timedelta(0)):
            pass
    assert await places_of(db, yesterdays) == (0, 0)
    assert await final(db, todays)
    made = len(await ask(db, DAYS))
    assert await ask(db, "select pillars.make_days()") == 0, (
        "no day that may be written was removed"
    )
    assert made == HISTORIES * 5


async def test_a_reader_of_the_history_ends_the_turn_and_the_next_goes_on_from_there(
    db: str, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = await ended(db)
    await pass_days(db, 8)
    pruner = pruner_of(database)
    days = await ask(db, DAYS)
    async with reading(db):
        assert await pruner.prune_once() == 0
        assert await ask(db, PENDING) == 1
        assert await ask(db, DAYS) == days
        assert await pruner.prune_once() == 0, (
            "the reader's snapshot is in the way of the rest, too"
        )
        assert await ask(db, PENDING) == 1
    assert said(capsys) == ""
    assert await pruner.prune_once() == 1
    assert await ask(db, PENDING) == 0
    assert await places_of(db, job_id) == (0, 0)
    assert "history.pruned" in said(capsys)


async def test_somebody_in_the_way_of_one_history_holds_up_no_other(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pruning, "BLOCKED_TURNS", 2)
    await pass_days(db, 40)
    old = len(await days_of(db, "attempts"))
    pruner = pruner_of(database)
    async with hand(db) as reader, reader.session.transaction():
        await reader.ask("select count(*) from pillars.attempts")
        assert await pruner.prune_once() == (HISTORIES - 1) * (old - 4)
        assert "history.blocked" not in said(capsys)
        assert await pruner.prune_once() == 0
        assert said(capsys).count("history.blocked") == 1
    assert await pruner.prune_once() == old - 4


async def test_a_day_left_pending_holds_up_no_other_history(db: str, database: Database) -> None:
    await pass_days(db, 40)
    async with hand(db) as reader, reader.session.transaction():
        await reader.ask("select count(*) from pillars.attempts")
        async with pruning_by_hand(db, "100ms") as session:
            others = ["finished_completed", "finished_ended", "job_events", "job_messages"]
            step = await history.next_prune(
                session, completed=WEEK, failed=MONTH, events=MONTH, left_out=others
            )
            assert step is not None
            assert not await history.take(session, step)
    async with hand(db) as reporter, reporter.session.transaction():
        await reporter.ask("select count(*) from pillars.attempts")  # and so its FINALIZE waits
        assert await pruner_of(database).prune_once() > 0
        assert len(await days_of(db, "attempts")) == 8


async def test_what_stands_detached_is_dropped_where_it_is_ours_and_old(
    db: str, database: Database
) -> None:
    await pass_days(db, 8)
    first, second, *_ = await days_of(db, "finished_completed")
    for day in (first, second):
        await tell(db, f"alter table pillars.finished_completed detach partition pillars.{day}")
    keep = ["attempts_2020010", "finished_completed_20200101_mine", "reports_20200101"]
    for name in keep:
        await tell(db, f"create table pillars.{name} (a integer)")
    await tell(db, "create schema other create table attempts_20200101 (a integer)")
    await tell(db, "create view pillars.attempts_20200101 as select 1 as a")
    assert await pruner_of(database).prune_once() == 1
    assert await ask(db, "select to_regclass('pillars.' || $1)", first) is None
    for name in (second, *keep, "attempts_20200101"):
        assert await ask(db, "select to_regclass('pillars.' || $1)", name), f"{name} is not to go"
    assert await ask(db, "select to_regclass('other.attempts_20200101')")


async def test_a_day_attached_elsewhere_is_not_ours(db: str, database: Database) -> None:
    await tell(
        db, "create table public.archive (like pillars.attempts) partition by range (ended_at)"
    )
    await tell(
        db,
        "create table pillars.attempts_20200101 partition of public.archive"
        " for values from ('2020-01-01') to ('2020-01-02')",
    )
    assert await pruner_of(database).prune_once() == 0
    assert await ask(db, "select to_regclass('pillars.attempts_20200101')")


async def left_pending(db: str) -> None:
    """A day whose detach was cut short."""
    async with reading(db), pruning_by_hand(db, "100ms") as session:
        assert await prune(session, completed=WEEK, failed=MONTH) is None


async def left_detached(db: str) -> None:
    async with pruning_by_hand(db) as session:
        assert await prune(session, completed=WEEK, failed=MONTH)


@pytest.mark.parametrize(
    ("verb", "leave"),
    [("concurrently", None), ("finalize", left_pending), ("drop table", left_detached)],
)
async def test_a_step_that_another_pruner_took_is_refused(
    db: str, verb: str, leave: Callable[[str], Awaitable[None]] | None
) -> None:
    await pass_days(db, 8)
    if leave is not None:
        await leave(db)
    async with pruning_by_hand(db) as one, pruning_by_hand(db) as two:
        [stale] = await two.rows(NEXT_PRUNE, WEEK, MONTH, MONTH, [])
        assert verb in stale.statement
        assert await prune(one, completed=WEEK, failed=MONTH) == stale
        with pytest.raises(DatabaseTrouble) as refused:
            await two.script(stale.statement, timeout=timedelta(seconds=20))
        assert refused.value.sqlstate in TAKEN_BY_ANOTHER


async def test_a_detach_that_another_has_begun_is_refused(db: str) -> None:
    await pass_days(db, 8)
    async with pruning_by_hand(db, "200ms") as one, pruning_by_hand(db) as two, reading(db):
        [stale] = await two.rows(NEXT_PRUNE, WEEK, MONTH, MONTH, [])
        assert await prune(one, completed=WEEK, failed=MONTH) is None
        with pytest.raises(DatabaseTrouble) as refused:
            await two.script(stale.statement, timeout=timedelta(seconds=20))
        assert refused.value.sqlstate in TAKEN_BY_ANOTHER


@pytest.mark.parametrize("_round", range(3))
async def test_many_pruners_at_once_remove_each_day_once(
    db: str, database: Database, _round: int
) -> None:
    await pass_days(db, 3)
    await pass_days(db, 40)
    todays = await ended(db)
    pruners = [pruner_of(database) for _ in range(5)]
    gone = await asyncio.gather(*(pruner.prune_once() for pruner in pruners))
    rest = await pruners[0].prune_once()
    assert sum(gone) + rest == HISTORIES * 7
    assert (await ask(db, PENDING), len(await ask(db, DAYS))) == (0, HISTORIES * 4)
    assert await final(db, todays)


async def test_a_pruner_finishes_what_another_is_at_and_neither_is_harmed(
    db: str, database: Database
) -> None:
    """One waits in its detach for a reader; the other finds that pending, and waits as well."""
    job_id = await ended(db)
    await pass_days(db, 8)
    async with (
        pruning_by_hand(db, "20s") as one,
        pruning_by_hand(db, "20s") as two,
        anyio.create_task_group() as group,
    ):

        async def prune_all(session: Session) -> None:
            while await prune(session, completed=WEEK, failed=MONTH):
                pass

        async with reading(db):
            group.start_soon(prune_all, one)
            await until(lambda: ask(db, WAITS + " having count(*) = 1"))
            await until(lambda: ask(db, f"select ({PENDING}) = 1"))  # else the second is refused
            group.start_soon(prune_all, two)
            await until(lambda: ask(db, WAITS + " having count(*) = 2"))
    await pruner_of(database).prune_once()
    assert await places_of(db, job_id) == (0, 0)
    assert await ask(db, PENDING) == 0
    assert len(await days_of(db, "finished_completed")) == 3 + 4


async def test_jobs_are_claimed_and_finished_while_a_prune_waits(db: str) -> None:
    await ended(db)
    await pass_days(db, 8)
    async with pruning_by_hand(db, "20s") as session, hands(db) as (worker, other):
        async with reading(db):
            turn = asyncio.create_task(prune(session, completed=WEEK, failed=MONTH))
            await until(lambda: ask(db, WAITS))
            done = [await ended(db), await ended(db, "failed")]
            assert (await other.sweep()).swept
            assert await worker.cancel(await put_one(db)) == "cancelled"
            assert await ask(db, WAITS) == 1, "it waits yet"
        assert await turn
    for job_id in done:
        assert await final(db, job_id)


async def test_days_can_be_made_while_a_prune_waits(db: str) -> None:
    await pass_days(db, 8)
    async with pruning_by_hand(db, "20s") as session:
        async with reading(db):
            turn = asyncio.create_task(prune(session, completed=WEEK, failed=MONTH))
            await until(lambda: ask(db, WAITS))
            await move_clock(db, DAY)
            assert await ask(db, "select pillars.make_days()") == HISTORIES
        assert await turn


async def test_the_result_of_a_job_that_was_pruned_is_of_an_unknown_job(
    db: str, database: Database
) -> None:
    handle = await work.enqueue()
    async with running(worker_for(database, work)):
        await handle.result(timeout="20s")
    await pass_days(db, 8)
    await pruner_of(database).prune_once()
    with pytest.raises(UnknownJob):
        await handle.result(timeout="20s")
    with pytest.raises(UnknownJob):
        await handle.state()


async def test_a_turn_with_nothing_to_do_says_nothing(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await pruner_of(database).prune_once() == 0
    assert said(capsys) == ""


@pytest.mark.parametrize("role", ["worker", "cron"])
async def test_every_worker_and_cron_prunes(
    db: str,
    database: Database,
    role: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pruning, "FIRST_MOST", 0.0)
    monkeypatch.setattr(pruning, "FIRST_LEAST", 0.0)
    await pass_days(db, 9)
    old = "select count(*) from pg_class where relname ~ '_[0-9]{8}$' and right(relname, 8) < to_char(pillars.now() - interval '8 days', 'YYYYMMDD') and relname ~ 'completed' and relkind = 'r'"
    assert await ask(db, old) == 1
    process = Process("cron", settings_for(db), database)
    async with anyio.create_task_group() as group:
        if role == "cron":
            group.start_soon(Cron(process, [every("1h", work, name="crons.x")]).run)
        else:
            worker = worker_for(database, work)
            process = worker.process
            group.start_soon(worker.run)
        heard: list[str] = []
        await until(lambda: "history.pruned" in said_since(heard, capsys))
        process.stopping.set()
    assert said_since(heard, capsys).count("history.pruned") == 1
    assert await ask(db, old) == 0


async def test_trouble_with_the_database_is_told_once_and_lived_through(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FIRST_LEAST", "FIRST_MOST", "PAUSE"):
        monkeypatch.setattr(pruning, name, 0.01)
    await pass_days(db, 8)
    await tell(
        db, "alter function pillars.next_prune(interval, interval, interval, text[]) rename to away"
    )
    async with anyio.create_task_group() as group:
        group.start_soon(pruner_of(database).run)
        await until(lambda: "database.lost" in said(capsys))
        await tell(
            db,
            "alter function pillars.away(interval, interval, interval, text[]) rename to next_prune",
        )
        after: list[str] = []
        await until(lambda: "history.pruned" in said_since(after, capsys))
        await until(lambda: "database.back" in said_since(after, capsys))
        group.cancel_scope.cancel()
    assert "".join(after).count("database.back") == 1
    assert "database.lost" not in "".join(after)
