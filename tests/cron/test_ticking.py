"""What a turn of the leader does: ticks, catch-up, overlap, and one bad schedule among good ones."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from pillars import crontab, every, job
from pillars.cron.ticker import KEEP_TICKS
from support import asking

Stage = Any


@job(queue="reports", max_attempts=2, timeout="3m", tags=["night"])
async def digest(days: int = 1) -> None: ...


@job(unique_key="import")
async def fetch_all() -> None: ...


@job
async def ping() -> None: ...


async def test_a_tick_makes_a_job_as_the_code_defined_it(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:30Z")
    await stage.sync(crontab("0 3 * * *", digest.call(7), tz="Europe/Berlin", name="crons.x"))
    await stage.clock("2026-06-01T01:00:01Z")
    assert await stage.tick() == 1
    [row] = await stage.rows(
        "select name, queue, payload, max_attempts, timeout, tags, context, attempt, unique_key from pillars.jobs"
    )
    assert row == (
        digest.name, "reports", '{"days": 7}', 2, None, ["night"], "schedule crons.x at 2026-06-01T01:00:00Z", 0, None,
    )  # fmt: skip
    assert await stage.ticks() == [("2026-06-01T01:00:00Z", "enqueued", 0)]
    assert await stage.ask("select job_id from pillars.ticks") == await stage.ask(
        "select job_id from pillars.jobs"
    )
    assert await stage.ask("select next_run_at = '2026-06-02 01:00+00' from pillars.schedules")
    assert await stage.tick() == 0


async def test_a_tick_wakes_the_workers_of_its_queue(stage: Stage) -> None:
    heard: list[str] = []
    async with asking(stage.dsn) as listening:
        await listening.add_listener("pillars", lambda *told: heard.append(told[3]))
        await stage.sync(every("1h", digest.call(), name="crons.x"))
        await stage.tell("update pillars_test.clock set shift = shift + interval '1 hour'")
        await stage.tick()
        await listening.fetchval("select 1")
    assert heard == ["reports"]


async def test_a_jobs_own_context_stays(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:30Z")
    await stage.sync(every("1h", ping.configure(context="because").call(), name="crons.x"))
    await stage.clock("2026-06-01T01:00:01Z")
    await stage.tick()
    assert await stage.ask("select context from pillars.jobs") == "because"


CATCH_UPS = [
    # options, minutes of outage after a tick each 10 minutes at :00, expected ticks with outcome and missed
    ({}, 5, []),
    ({}, 10, [("00:10", "enqueued", 0)]),
    ({}, 45, [("00:40", "enqueued", 3)]),
    ({"window": "5m"}, 44, [("00:40", "enqueued", 3)]),
    ({"window": "5m"}, 46, [("00:40", "late", 3)]),
    ({"catchup": "skip"}, 40, [("00:40", "enqueued", 3)]),
    ({"catchup": "skip"}, 42, [("00:40", "late", 3)]),
    ({"catchup": "skip", "window": "5m"}, 42, [("00:40", "enqueued", 3)]),
    ({"catchup": "all"}, 32, [("00:10", "enqueued", 0), ("00:20", "enqueued", 0), ("00:30", "enqueued", 0)]),
    ({"catchup": "all", "window": "15m"}, 32, [("00:10", "late", 0), ("00:20", "enqueued", 0), ("00:30", "enqueued", 0)]),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["every", "crontab"])
@pytest.mark.parametrize(("options", "minutes", "expected"), CATCH_UPS)
async def test_after_an_outage(
    stage: Stage,
    kind: str,
    options: dict[str, Any],
    minutes: int,
    expected: list[tuple[str, str, int]],
) -> None:
    rule = (every, "10m") if kind == "every" else (crontab, "*/10 * * * *")
    make: Any = rule[0]
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(make(rule[1], ping, overlap="allow", name="crons.x", **options))
    await stage.clock(f"2026-06-01T00:{minutes:02}:01Z")
    await stage.tick(turns=5)
    assert await stage.ticks() == [
        (f"2026-06-01T{time}:00Z", outcome, missed) for time, outcome, missed in expected
    ]
    assert await stage.ask("select count(*) from pillars.jobs") == sum(
        one[1] == "enqueued" for one in expected
    )
    assert await stage.ask("select next_run_at > pillars.now() from pillars.schedules")


async def test_all_means_the_last_hundred(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:00.5Z")
    await stage.sync(every("1s", ping, catchup="all", overlap="allow", name="crons.x"))
    await stage.clock("2026-06-01T00:05:00.1Z")
    leader = stage.leader()
    decided = 0
    while (round_ := await leader.tick_once()) and decided < 100:
        decided += round_
    ticks = await stage.ticks()
    first = next(one for one in ticks if one[2])
    assert ticks[0] == first
    assert 200 <= first[2] <= 205  # what was missed, and the seconds that this took
    assert 100 <= len(ticks) <= 105


async def test_months_of_missed_seconds_cost_one_turn(stage: Stage) -> None:
    await stage.clock("2026-01-01T00:00:00.5Z")
    await stage.sync(every("1s", ping, name="crons.x"))
    await stage.clock("2026-06-01T00:00:00.5Z")
    assert await stage.tick() == 1
    assert await stage.ticks() == [("2026-06-01T00:00:00Z", "enqueued", 151 * 86400 - 1)]


async def test_a_night_on_which_clocks_change_has_one_tick(stage: Stage) -> None:
    await stage.clock("2026-10-25T00:00:30Z")
    await stage.sync(
        crontab("30 2 * * *", ping, tz="Europe/Berlin", overlap="allow", name="crons.x")
    )
    for time in ("00:30:01", "01:00:01", "01:30:01", "02:30:01"):
        await stage.clock(f"2026-10-25T{time}Z")
        await stage.tick()
    assert await stage.ticks() == [("2026-10-25T00:30:00Z", "enqueued", 0)]


async def hourly(stage: Stage, hours: range) -> None:
    for hour in hours:
        await stage.clock(f"2026-06-01T{hour:02}:00:01Z")
        await stage.tick()


async def outcomes(stage: Stage) -> list[str]:
    return [outcome for _, outcome, _ in await stage.ticks()]


async def test_skip_makes_no_job_while_the_last_one_is_unfinished(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", ping, name="crons.x"))
    await hourly(stage, range(1, 3))
    await stage.start()
    await hourly(stage, range(3, 4))
    await stage.finish()
    await hourly(stage, range(4, 5))
    assert await outcomes(stage) == ["enqueued", "overlapped", "overlapped", "enqueued"]
    [first, second, _, _] = await stage.rows("select job_id from pillars.ticks order by tick")
    assert first == second  # an overlapped tick names the job in its way


async def test_queue_lets_one_wait_for_the_end_of_the_running(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", digest.call(), overlap="queue", name="crons.x"))
    await hourly(stage, range(1, 2))
    await stage.start()
    await hourly(stage, range(2, 4))
    assert await outcomes(stage) == ["enqueued", "enqueued", "overlapped"]
    waiting = "select waiting_for from pillars.jobs where parked"
    running = await stage.ask("select job_id from pillars.jobs where locked_by is not null")
    assert await stage.ask(waiting) == f"job {running}"
    await stage.tick()
    assert await stage.ask(waiting) == f"job {running}"
    await stage.tell("delete from pillars.jobs where locked_by is not null")
    await stage.tick()
    assert await stage.ask(waiting) is None
    assert await stage.ask("select count(*) from pillars.jobs where run_at <= pillars.now()") == 1
    await hourly(stage, range(4, 5))
    await stage.start()
    await hourly(stage, range(5, 6))
    assert (await outcomes(stage))[3:] == ["overlapped", "enqueued"]


async def test_a_queued_job_outlives_its_schedule(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", ping, overlap="queue", name="crons.x"))
    await hourly(stage, range(1, 2))
    await stage.start()
    await hourly(stage, range(2, 3))
    await stage.sync()
    await stage.tell("delete from pillars.jobs where locked_by is not null")
    await stage.tick()
    assert await stage.ask("select count(*) from pillars.jobs where not parked") == 1


async def test_allow_makes_a_job_each_time(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", ping, overlap="allow", name="crons.x"))
    await hourly(stage, range(1, 4))
    assert await outcomes(stage) == ["enqueued"] * 3
    assert await stage.ask("select count(*) from pillars.jobs where not parked") == 3


async def test_a_held_unique_key_is_an_overlap(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", fetch_all, overlap="allow", name="crons.x"))
    holder = await stage.ask("select pillars.enqueue('other', unique_key => 'import')")
    await hourly(stage, range(1, 2))
    assert await stage.rows("select outcome, job_id from pillars.ticks") == [("overlapped", holder)]
    assert await stage.ask("select count(*) from pillars.jobs") == 1


async def test_jitter_moves_the_job_and_never_the_tick(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(
        *(
            every("1h", ping, jitter="10m", overlap="allow", name=f"crons.x{number}")
            for number in range(20)
        )
    )
    await stage.clock("2026-06-01T01:00:01Z")
    assert await stage.tick() == 20
    moments = "select distinct tick at time zone 'UTC' || ' ' || (next_run_at at time zone 'UTC') from pillars.ticks, pillars.schedules"
    assert await stage.ask(moments) == "2026-06-01 01:00:00 2026-06-01 02:00:00"
    delays = [
        delay
        for (delay,) in await stage.rows(
            "select run_at - '2026-06-01 01:00:01+00' from pillars.jobs"
        )
    ]
    assert all(timedelta(0) <= delay <= timedelta(minutes=10, seconds=5) for delay in delays)
    assert len(set(delays)) == 20
    assert max(delays) > timedelta(minutes=1)


async def test_a_paused_schedule_does_not_tick(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", ping, paused=True, name="crons.x"))
    await stage.clock("2026-06-01T05:00:01Z")
    assert await stage.tick() == 0
    assert await stage.ticks() == []


BREAK = [
    ("update pillars.schedules set crontab = '61 * * * *', every = null where name = 'crons.x'", "field 1 (minute)"),
    ("update pillars.schedules set crontab = '0 3 * * *', every = null, timezone = 'Mars/Base' where name = 'crons.x'", "Mars/Base"),
    ("update pillars.schedules set payload = '[]' where name = 'crons.x'", "arguments_are_an_object"),
    ("update pillars.schedules set max_attempts = 0 where name = 'crons.x'", "tries_are_1_to_1000"),
]  # fmt: skip


@pytest.mark.parametrize(("breakage", "said"), BREAK)
async def test_one_failing_schedule_stops_no_other(
    stage: Stage, breakage: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", ping, name="crons.x"), every("1h", ping, name="crons.y"))
    await stage.tell(breakage)
    await stage.clock("2026-06-01T01:00:01Z")
    assert await stage.tick(turns=3) == 1
    assert await stage.ticks("crons.x") == []
    assert await stage.ticks("crons.y") == [("2026-06-01T01:00:00Z", "enqueued", 0)]
    assert said in await stage.ask(
        "select last_error from pillars.schedules where name = 'crons.x'"
    )
    assert await stage.ask("select count(*) from pillars.jobs") == 1
    stage.leaders[0]._ticker._deferred.clear()
    await stage.tick()
    assert "".join(capsys.readouterr()).count("schedule.failed") == 1
    await stage.sync(every("1h", ping, name="crons.x"), every("1h", ping, name="crons.y"))
    await stage.clock("2026-06-01T02:00:01Z")
    stage.leaders[0]._ticker._deferred.clear()
    assert await stage.tick() == 2
    assert (
        await stage.ask("select count(*) from pillars.schedules where last_error is not null") == 0
    )


async def test_an_open_transaction_on_one_schedule_stops_no_other(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", ping, name="crons.x"), every("1h", ping, name="crons.y"))
    await stage.clock("2026-06-01T01:00:01Z")
    async with asking(stage.dsn) as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("update pillars.schedules set context = 'mine' where name = 'crons.x'")
        assert await stage.tick() == 1
        assert await stage.ticks("crons.x") == []
        assert len(await stage.ticks("crons.y")) == 1
        await transaction.rollback()
    stage.leaders[0]._ticker._deferred.clear()
    assert await stage.tick() == 1
    assert len(await stage.ticks("crons.x")) == 1


async def test_a_tick_waits_a_second_at_most_for_a_unique_key_in_an_open_transaction(
    stage: Stage,
) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", fetch_all, name="crons.x"), every("1h", ping, name="crons.y"))
    await stage.clock("2026-06-01T01:00:01Z")
    async with asking(stage.dsn) as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("select pillars.enqueue('other', unique_key => 'import')")
        assert await stage.tick() == 1
        assert len(await stage.ticks("crons.y")) == 1
        await transaction.rollback()
    stage.leaders[0]._ticker._deferred.clear()
    assert await stage.tick() == 1
    assert await stage.ticks("crons.x") == [("2026-06-01T01:00:00Z", "enqueued", 0)]


async def test_a_rolled_back_tick_leaves_neither_tick_nor_job(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", ping, name="crons.x"))
    await stage.clock("2026-06-01T01:00:01Z")
    async with asking(stage.dsn) as other:
        transaction = other.transaction()
        await transaction.start()
        outcome = await other.fetchval(
            "select outcome from pillars.tick('crons.x', '2026-06-01 01:00+00', '2026-06-01 01:00+00', false, 0, '2026-06-01 02:00+00')"
        )
        assert outcome == "enqueued"
        await transaction.rollback()
    assert (
        await stage.ask(
            "select (select count(*) from pillars.jobs) + (select count(*) from pillars.ticks)"
        )
        == 0
    )
    assert await stage.ask("select next_run_at = '2026-06-01 01:00+00' from pillars.schedules")


async def test_a_tick_that_is_noted_makes_no_second_job(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", ping, overlap="allow", name="crons.x"))
    await stage.clock("2026-06-01T01:00:01Z")
    await stage.tick()
    await stage.tell("update pillars.schedules set next_run_at = '2026-06-01 01:00+00'")
    assert await stage.tick() == 0
    assert await stage.ask("select count(*) from pillars.jobs") == 1
    assert await stage.ask("select next_run_at = '2026-06-01 02:00+00' from pillars.schedules")


async def test_ticks_have_one_row_each(stage: Stage) -> None:
    insert = "insert into pillars.ticks (schedule, tick, outcome) values ('x', '2026-06-01 01:00+00', 'late')"
    await stage.tell(insert)
    with pytest.raises(asyncpg.UniqueViolationError):
        await stage.tell(insert)


async def test_old_ticks_are_pruned_but_for_the_last(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.tell(
        "insert into pillars.ticks (schedule, tick, outcome, created_at)"
        " select 'crons.x', tick, 'late', tick from generate_series('2026-01-01'::timestamptz, '2026-02-01', '1 day') tick"
    )
    assert timedelta(days=90) > KEEP_TICKS
    await stage.tick()
    assert len(await stage.ticks()) == 1


async def test_the_leaders_sweep_rides_on_its_read(stage: Stage) -> None:
    await stage.tell(
        "insert into pillars.jobs (job_id, name, queue, expires_at) values (pillars.uuid7(), 'x', 'default', pillars.now())"
    )
    leader = stage.leader()
    await leader.tick_once()
    assert await stage.ask("select count(*) from pillars.jobs") == 1  # the connection is young
    leader._ticker._connected_at -= 15
    await leader.tick_once()
    assert await stage.ask("select count(*) from pillars.jobs") == 0


async def test_a_sweep_that_fails_does_not_keep_schedules_from_ticking(stage: Stage) -> None:
    await stage.clock("2026-06-01T00:00:01Z")
    await stage.sync(every("1h", ping, name="crons.x"))
    await stage.clock("2026-06-01T01:00:01Z")
    await stage.tell(
        "create or replace function pillars.expire() returns integer language plpgsql as $$ begin raise 'broken'; end $$"
    )
    leader = stage.leader()
    await leader.tick_once()
    leader._ticker._connected_at -= 15
    await stage.clock("2026-06-01T02:00:01Z")
    await stage.finish()
    assert await leader.tick_once() == 1
