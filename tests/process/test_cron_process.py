"""Cron as processes: one leads, the others stand by."""

import signal
from pathlib import Path

import pytest

from process.pillar import ready_app, told
from process.relay import relayed
from support import ask, until

LEADS = "select array_agg(pid) from pillars.workers where leads and seen_at > pillars.now() - interval '10 s'"


async def ticks(db: str) -> int:
    return int(await ask(db, "select count(*) from pillars.ticks"))


async def at_least(db: str, count: int) -> bool:
    return await ticks(db) >= count


async def each_tick_came_once(db: str) -> None:
    """No second was left out, none came twice, and each has its job."""
    gaps = await ask(
        db,
        """select count(*) from (
            select tick - lag(tick) over (order by tick) as gap from pillars.ticks where schedule = 'beat') ticked
        where gap <> interval '1 second'""",
    )
    assert gaps == 0
    unpaired = await ask(
        db,
        """select count(*) from pillars.ticks tick
        full join (select * from pillars.jobs where name = 'ping') job on job.job_id = tick.job_id
        where tick.tick is null or job.job_id is null""",
    )
    assert unpaired == 0


@pytest.mark.slow
async def test_a_standby_ticks_on_when_the_leader_is_killed_and_no_tick_is_lost_or_doubled(
    db: str, tmp_path: Path
) -> None:
    async with ready_app(tmp_path, db, "cron") as first:
        await until(lambda: at_least(db, 2))
        async with ready_app(tmp_path, db, "cron"):
            first.signal(signal.SIGKILL)
            before = await ticks(db)
            await until(lambda: at_least(db, before + 3))
    await each_tick_came_once(db)


@pytest.mark.slow
async def test_a_leader_that_is_cut_off_is_followed_and_comes_back_as_a_standby(
    db: str, tmp_path: Path
) -> None:
    async with (
        relayed(db) as relay,
        ready_app(tmp_path, relay.url, "cron") as cut_off,
    ):
        await until(lambda: at_least(db, 2))
        async with ready_app(tmp_path, db, "cron") as heir:
            relay.blackhole()
            await until(lambda: bool(told(heir, "cron.elected")))
            before = await ticks(db)
            await until(lambda: at_least(db, before + 2))
            relay.heal()
            await until(lambda: bool(told(cut_off, "database.back")))
            before = await ticks(db)
            await until(lambda: at_least(db, before + 2))
            assert await ask(db, LEADS) == [heir.process.pid]
            assert len(told(cut_off, "cron.elected")) == 1
            assert len(told(cut_off, "cron.resigned")) == 1
            heir.signal(signal.SIGTERM)
            assert await heir.ended() == 0, heir.output
            await until(lambda: len(told(cut_off, "cron.elected")) == 2)
            before = await ticks(db)
            await until(lambda: at_least(db, before + 2))
    await each_tick_came_once(db)


@pytest.mark.slow
async def test_a_leader_that_is_frozen_is_followed_and_thaws_as_a_standby(
    db: str, tmp_path: Path
) -> None:
    async with ready_app(tmp_path, db, "cron") as frozen:
        await until(lambda: at_least(db, 2))
        async with ready_app(tmp_path, db, "cron") as heir:
            frozen.signal(signal.SIGSTOP)
            await until(lambda: bool(told(heir, "cron.elected")))
            before = await ticks(db)
            await until(lambda: at_least(db, before + 2))
            frozen.signal(signal.SIGCONT)
            await until(lambda: bool(told(frozen, "cron.resigned")))
            before = await ticks(db)
            await until(lambda: at_least(db, before + 2))
            assert len(told(frozen, "cron.elected")) == 1
    await each_tick_came_once(db)
