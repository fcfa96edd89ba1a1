"""One leads, the others stand by; and what holds when two believe to lead."""

from typing import Any

import anyio
import pytest

from pillars import every, job
from pillars.cron.leader import Leader
from pillars.cron.ticker import TIMER
from pillars.errors import DatabaseTrouble, Trouble
from pillars.schedules.deciding import decide
from pillars.store import schedules as store
from pillars.store.database import Database
from pillars.store.rows import Ticked
from pillars.store.session import Session
from support import asking, until

Stage = Any


@job
async def ping() -> None: ...


async def due(stage: Stage, *, overlap: Any = "allow") -> None:
    """A schedule with one tick to decide."""
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", ping, overlap=overlap, name="crons.x"))
    await stage.clock("2026-06-01T01:00:01Z")


async def tick_at(session: Session, *, read: store.Turn) -> Ticked | None:
    """What a leader does after its read."""
    [one] = read.due
    decision = decide(one, read.now)
    return await store.tick(
        session,
        one,
        tick=decision.tick,
        late=decision.late,
        missed=decision.missed,
        next_run_at=decision.next_run_at,
    )


async def test_the_second_stands_by_and_ticks_nothing(stage: Stage) -> None:
    await due(stage)
    first, second = stage.leader(), stage.leader()
    assert await first.tick_once() == 1
    await stage.clock("2026-06-01T02:00:01Z")
    assert await second.tick_once() == 0
    assert (first._process.leads, second._process.leads) == (True, False)
    assert 4 < second.sleep_for() <= 5
    assert await first.tick_once() == 1


async def test_one_that_resigns_is_followed_at_once(stage: Stage) -> None:
    await due(stage)
    first, second = stage.leader(), stage.leader()
    await first.tick_once()
    assert await second.tick_once() == 0
    await first.resign()
    await second.tick_once()
    assert (first._process.leads, second._process.leads) == (False, True)


async def test_a_leader_cut_off_by_the_server_writes_nothing_and_stands_by(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a thaw: the server has ended the session meanwhile, and another leads."""
    await due(stage)
    first, second = stage.leader(), stage.leader()
    await stage.tell("update pillars.schedules set next_run_at = '2026-06-01 02:00+00'")
    await first.tick_once()
    await stage.tell(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'pillars leader'"
    )
    await stage.clock("2026-06-01T02:00:01Z")
    await until(lambda: leads(second))
    assert len(await stage.ticks()) == 1
    await stage.clock("2026-06-01T03:00:01Z")
    with pytest.raises(DatabaseTrouble) as lost:
        await first.tick_once()
    assert lost.value.kind is Trouble.LOST
    assert len(await stage.ticks()) == 1
    assert await first.tick_once() == 0
    assert (first._process.leads, second._process.leads) == (False, True)
    logged = "".join(capsys.readouterr())
    assert (logged.count("cron.elected"), logged.count("cron.resigned")) == (2, 1)


async def leads(leader: Leader) -> bool:
    await leader.tick_once()
    return leader._process.leads


async def test_the_server_ends_the_session_of_a_silent_leader(stage: Stage) -> None:
    leader = stage.leader(lock="2s")
    await leader.tick_once()
    alive = "select count(*) from pg_stat_activity where application_name = 'pillars leader' and datname = current_database()"
    assert await stage.ask(alive) == 1

    async def gone() -> bool:
        return int(await stage.ask(alive)) == 0

    await until(gone)
    with pytest.raises(DatabaseTrouble):
        await leader.tick_once()


async def test_the_session_is_told_its_limits(stage: Stage) -> None:
    leader = stage.leader(lock="30s")
    await leader.tick_once()
    limits = {}
    for name in (
        "idle_session_timeout",
        "idle_in_transaction_session_timeout",
        "lock_timeout",
        "statement_timeout",
    ):
        limits[name] = await leader._session.connection.fetchval("select current_setting($1)", name)
    assert list(limits.values()) == ["15s", "5s", "1s", "5s"]


async def ticked_together(stage: Stage, leaders: int) -> list[str]:
    """What each of several leaders is told, all of which read before any of them ticks."""
    answers: list[str] = []
    arrived: list[int] = []
    together = anyio.Event()

    async def lead(number: int) -> None:
        async with asking(stage.dsn) as connection:
            session = Session(connection)
            read = await store.read(session, sweep=False)
            arrived.append(number)
            if len(arrived) == leaders:
                together.set()
            await together.wait()
            ticked = await tick_at(session, read=read)
            answers.append("" if ticked is None else ticked.outcome)

    async with anyio.create_task_group() as group:
        for number in range(leaders):
            group.start_soon(lead, number)
    return answers


async def test_leaders_at_once_insert_one_tick_and_one_job(stage: Stage) -> None:
    await due(stage)
    for hour in range(1, 11):
        await stage.clock(f"2026-06-01T{hour:02}:00:01Z")
        answers = await ticked_together(stage, 3)
        assert answers.count("enqueued") == 1
        assert set(answers) <= {"enqueued", "locked", "moved"}
        assert await stage.ask("select count(*) from pillars.ticks") == hour
        assert await stage.ask("select count(*) from pillars.jobs") == hour


async def test_a_tick_is_written_by_the_session_that_holds_the_lock(stage: Stage) -> None:
    await due(stage)
    await stage.tell("create table pillars_test.writers (pid integer)")
    await stage.tell(
        "create function pillars_test.note() returns trigger language plpgsql as"
        " $$ begin insert into pillars_test.writers values (pg_backend_pid()); return null; end $$"
    )
    await stage.tell(
        "create trigger note after insert on pillars.ticks execute function pillars_test.note()"
    )
    assert await stage.leader().tick_once() == 1
    holder = "select pid from pg_locks where locktype = 'advisory' and classid = 1885957228 and objid = 4 and database = ({})"
    here = "select oid from pg_database where datname = current_database()"
    assert await stage.rows("select pid from pillars_test.writers") == await stage.rows(
        holder.format(here)
    )


async def test_a_second_leader_neither_waits_for_nor_repeats_a_tick(stage: Stage) -> None:
    await due(stage)
    async with asking(stage.dsn) as one, asking(stage.dsn) as other:
        first, second = Session(one), Session(other)
        read = await store.read(second, sweep=False)
        async with first.transaction():
            ticked = await tick_at(first, read=await store.read(first, sweep=False))
            assert ticked is not None
            assert ticked.outcome == "enqueued"
            assert await tick_at(second, read=read) == Ticked("locked", None)
        assert await tick_at(second, read=read) == Ticked("moved", None)
    assert await stage.ask("select count(*) from pillars.jobs") == 1


async def test_a_leader_with_an_old_read_cannot_tick_what_was_paused(stage: Stage) -> None:
    await due(stage)
    async with asking(stage.dsn) as one:
        session = Session(one)
        read = await store.read(session, sweep=False)
        await store.pause(stage.database.pool, "crons.x")
        assert await tick_at(session, read=read) == Ticked("moved", None)
    assert await stage.ask("select count(*) from pillars.jobs") == 0


async def test_behind_a_pooler_the_lock_is_held_for_one_tick(stage: Stage) -> None:
    await due(stage)
    leader = stage.leader()
    database = Database(stage.dsn)
    database.address.route.pooled = True
    leader._process.database = database
    async with asking(stage.dsn) as other:
        await other.execute("select pg_advisory_lock(1885957228, 4)")
        assert await leader.tick_once() == 0
        assert await stage.ask("select count(*) from pillars.ticks") == 0
    assert await leader.tick_once() == 1
    assert leader._process.leads, "all do, by turns"
    assert (
        await stage.ask(
            "select count(*) from pg_locks where locktype = 'advisory' and classid = 1885957228 and database = (select oid from pg_database where datname = current_database())"
        )
        == 0
    )


async def test_a_turn_is_asked_for_no_later_than_the_next_tick(stage: Stage) -> None:
    await stage.sync(every("2s", ping, overlap="allow", name="crons.x"))
    leader = stage.leader()
    before = await stage.ask("select pillars.now()")
    await leader.tick_once()
    due = await stage.ask("select next_run_at from pillars.schedules")
    assert leader.sleep_for() <= (due - before).total_seconds() + TIMER

    async def ticked() -> bool:
        return bool(await leader.tick_once())

    await until(ticked)
    assert await stage.ask("select tick from pillars.ticks order by tick desc limit 1") >= due
