"""The clock of a test's database, and the schedules that tick by it."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.upkeep import digest, prune, pulse, send_digest
from pillars import UsageError
from pillars.testing import Jobs
from support import ask, move_clock


async def test_time_moves_for_the_database_and_for_this_one_alone(
    jobs: Jobs, app_database: str, other_db: str
) -> None:
    before = jobs.now()
    shown = jobs.move_time("2h")
    assert timedelta(hours=2) <= shown - before < timedelta(hours=3)
    assert await ask(app_database, "select pillars.now() - now()") == timedelta(hours=2)
    assert await ask(other_db, "select pillars.now() - now()") == timedelta(0)


async def test_time_moves_to_a_time_and_never_back(jobs: Jobs) -> None:
    to = datetime.now(UTC) + timedelta(days=30)
    assert jobs.move_time(to=to) == to
    assert to <= jobs.now() < to + timedelta(minutes=5)
    with pytest.raises(UsageError, match="still to come"):
        jobs.move_time(to=to - timedelta(days=1))
    assert jobs.now() >= to


async def test_time_takes_one_duration_or_one_time(jobs: Jobs) -> None:
    with pytest.raises(UsageError, match="one of them"):
        jobs.move_time()
    with pytest.raises(UsageError, match="one of them"):
        jobs.move_time("1h", to=datetime.now(UTC))
    with pytest.raises(UsageError, match="time zone"):
        jobs.move_time(to=datetime(2030, 1, 1))  # noqa: DTZ001


async def test_time_lets_schedules_tick_which_the_drain_then_runs(jobs: Jobs) -> None:
    assert jobs.tick() == []
    jobs.move_time("1d")
    assert {one.name for one in jobs.tick()} == {digest.name, prune.name, pulse.name}
    assert {ran.job for ran in await jobs.drain()} == {digest, prune, pulse, send_digest}


async def test_ticks_of_schedules_count_from_the_first_move(jobs: Jobs, app_database: str) -> None:
    await move_clock(app_database, timedelta(days=1))
    assert jobs.tick() == []
    jobs.move_time("1h")
    assert {one.name for one in jobs.tick()} >= {pulse.name}


async def test_a_schedule_whose_job_is_unfinished_skips_its_tick_as_it_would(jobs: Jobs) -> None:
    jobs.move_time("1m")
    assert {one.name for one in jobs.tick()} >= {pulse.name}
    jobs.move_time("1m")
    assert pulse.name not in {one.name for one in jobs.tick()}
    jobs.assert_enqueued(pulse, times=1)
