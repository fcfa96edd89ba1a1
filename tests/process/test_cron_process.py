"""Cron as processes: one leads, the others stand by."""

import signal
from pathlib import Path

import pytest

from process.pillar import ready_app
from support import ask, until


async def ticks(db: str) -> int:
    return int(await ask(db, "select count(*) from pillars.ticks"))


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
    gaps = await ask(
        db,
        """select count(*) from (
            select tick - lag(tick) over (order by tick) as gap from pillars.ticks where schedule = 'beat') ticked
        where gap <> interval '1 second'""",
    )
    assert gaps == 0
    jobs = await ask(db, "select count(*) from pillars.jobs where name = 'ping'")
    assert jobs == await ticks(db)


async def at_least(db: str, count: int) -> bool:
    return await ticks(db) >= count
