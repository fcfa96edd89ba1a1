"""Schedules in the database: brought by code, run and paused by people."""

from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from pillars import crontab, every, job
from pillars.cron.syncing import sync
from pillars.errors import DefinitionError, UsageError
from pillars.schedules import Schedule
from pillars.store import schedules as store
from pillars.store.database import Database
from pillars.store.ids import new_id
from support import ask, asking, tell


@job(queue="reports")
async def digest(days: int = 1) -> None: ...


@job(unique_key="import")
async def fetch_all() -> None: ...


HOURLY = every("1h", digest.call(), name="crons.hourly")
NIGHTLY = crontab("0 3 * * *", digest.call(7), tz="Europe/Berlin", name="crons.nightly")


async def bring(database: Database, *schedules: Schedule, deployment: str = "shop") -> None:
    await sync(database, schedules, deployment=deployment)


async def value(db: str, column: str, name: str = "crons.hourly") -> Any:
    return await ask(db, f"select {column} from pillars.schedules where name = $1", name)


async def names(db: str) -> list[str]:
    async with asking(db) as connection:
        return [
            row["name"]
            for row in await connection.fetch("select name from pillars.schedules order by name")
        ]


async def set_clock(db: str, text: str) -> None:
    moment = datetime.fromisoformat(text).astimezone(UTC)
    await tell(
        db, "update pillars_test.clock set shift = $1::timestamptz - pg_catalog.now()", moment
    )


async def test_a_first_sync_ticks_from_now_on(db: str, database: Database) -> None:
    await set_clock(db, "2026-06-01T10:20:00Z")
    await bring(database, HOURLY, NIGHTLY)
    assert await value(db, "next_run_at") == datetime(2026, 6, 1, 11, tzinfo=UTC)
    assert await value(db, "next_run_at", "crons.nightly") == datetime(2026, 6, 2, 1, tzinfo=UTC)
    assert await value(db, "payload::text", "crons.nightly") == '{"days": 7}'


async def test_an_unchanged_rule_keeps_its_next_tick(db: str, database: Database) -> None:
    await set_clock(db, "2026-06-01T10:20:00Z")
    await bring(database, HOURLY)
    await set_clock(db, "2026-06-01T15:20:00Z")
    await bring(database, every("60m", digest.call(3), overlap="allow", name="crons.hourly"))
    assert await value(db, "next_run_at") == datetime(2026, 6, 1, 11, tzinfo=UTC)
    assert await value(db, "payload::text || overlap") == '{"days": 3}allow'


@pytest.mark.parametrize(
    "changed",
    [
        every("2h", digest.call(), name="crons.nightly"),
        crontab("0 4 * * *", digest.call(), tz="Europe/Berlin", name="crons.nightly"),
        crontab("0 3 * * *", digest.call(), name="crons.nightly"),
    ],
)
async def test_a_changed_rule_ticks_from_now_on(
    db: str, database: Database, changed: Schedule
) -> None:
    await set_clock(db, "2026-06-01T10:20:00Z")
    await bring(database, NIGHTLY)
    await set_clock(db, "2026-06-05T10:20:00Z")
    await bring(database, changed)
    expected = changed.rule.after(datetime(2026, 6, 5, 10, 21, tzinfo=UTC))
    assert await value(db, "next_run_at", "crons.nightly") == expected


async def test_a_sync_removes_only_what_its_own_deployment_no_longer_has(
    db: str, database: Database
) -> None:
    await bring(database, HOURLY, NIGHTLY)
    await bring(database, every("1h", digest.call(), name="theirs"), deployment="blog")
    await bring(database, NIGHTLY)
    assert await names(db) == ["crons.nightly", "theirs"]
    await bring(database, deployment="blog")
    assert await names(db) == ["crons.nightly"]


async def test_a_name_of_another_deployment_is_refused_and_nothing_written(
    db: str, database: Database
) -> None:
    await bring(database, HOURLY, deployment="blog")
    await bring(database, NIGHTLY)
    with pytest.raises(
        DefinitionError, match=r'"crons\.hourly" belongs to another deployment than "shop"'
    ):
        await bring(database, every("2h", digest.call(), name="crons.hourly"))
    assert await names(db) == ["crons.hourly", "crons.nightly"]
    assert await value(db, "deployment") == "blog"


async def test_names_are_there_and_differ(database: Database) -> None:
    with pytest.raises(DefinitionError, match="has no name"):
        await bring(database, every("1h", digest.call()))
    with pytest.raises(DefinitionError, match=r'2 schedules are named "crons\.hourly"'):
        await bring(database, HOURLY, HOURLY)


async def test_two_processes_that_boot_at_once_agree(db: str, database: Database) -> None:
    schedules = [every("1h", digest.call(), name=f"crons.x{number}") for number in range(30)]
    async with anyio.create_task_group() as group:
        for turn in range(6):
            ordered = schedules if turn % 2 else list(reversed(schedules))
            group.start_soon(bring, database, *ordered)
    assert len(await names(db)) == 30


async def test_a_persons_pause_outlives_a_deploy(db: str, database: Database) -> None:
    await bring(database, HOURLY)
    await store.pause(database.pool, "crons.hourly")
    await bring(database, HOURLY)
    assert await value(db, "paused_at") is not None


async def test_a_persons_resume_outlives_a_deploy(db: str, database: Database) -> None:
    paused = every("1h", digest.call(), name="crons.hourly", paused=True)
    await bring(database, paused)
    assert await value(db, "paused_at") is not None
    await store.resume(database.pool, "crons.hourly")
    await bring(database, paused)
    assert await value(db, "paused_at") is None


async def test_code_that_changes_its_mind_pauses_and_resumes(db: str, database: Database) -> None:
    await set_clock(db, "2026-06-01T10:20:00Z")
    await bring(database, HOURLY)
    await bring(database, every("1h", digest.call(), name="crons.hourly", paused=True))
    assert await value(db, "paused_at") is not None
    await set_clock(db, "2026-06-01T15:20:00Z")
    await bring(database, HOURLY)
    assert await value(db, "paused_at") is None
    assert await value(db, "next_run_at") == datetime(2026, 6, 1, 16, tzinfo=UTC)


async def test_a_resumed_schedule_does_not_catch_up_its_pause(db: str, database: Database) -> None:
    await set_clock(db, "2026-06-01T10:20:00Z")
    await bring(database, HOURLY)
    await store.pause(database.pool, "crons.hourly")
    await set_clock(db, "2026-06-01T15:20:00Z")
    await store.resume(database.pool, "crons.hourly")
    assert await value(db, "next_run_at") >= datetime(2026, 6, 1, 15, 20, tzinfo=UTC)
    [listed] = await store.listed(database.pool)
    assert listed.paused_at is None


async def test_resuming_what_runs_changes_nothing(db: str, database: Database) -> None:
    await set_clock(db, "2026-06-01T10:20:00Z")
    await bring(database, HOURLY)
    await set_clock(db, "2026-06-01T15:20:00Z")
    await store.resume(database.pool, "crons.hourly")
    assert await value(db, "next_run_at") == datetime(2026, 6, 1, 11, tzinfo=UTC)


async def test_run_now_makes_a_job_and_no_tick(db: str, database: Database) -> None:
    await bring(database, HOURLY)
    await store.pause(database.pool, "crons.hourly")
    job_id = new_id()
    made = await store.run_now(database.pool, "crons.hourly", job_id)
    assert (made.job_id, made.created) == (job_id, True)
    assert (
        await ask(db, "select queue || ': ' || context from pillars.jobs")
        == "reports: schedule crons.hourly run by hand"
    )
    assert await ask(db, "select count(*) from pillars.ticks") == 0


async def test_run_now_of_a_held_unique_key_answers_with_its_holder(
    db: str, database: Database
) -> None:
    await bring(database, every("1h", fetch_all, name="crons.hourly"))
    first = await store.run_now(database.pool, "crons.hourly", new_id())
    second = await store.run_now(database.pool, "crons.hourly", new_id())
    assert second.job_id == first.job_id
    assert not second.created


async def test_an_unknown_schedule_is_named_with_the_nearest(database: Database) -> None:
    await bring(database, HOURLY)
    for asked in (
        store.run_now(database.pool, "crons.hourli", new_id()),
        store.pause(database.pool, "crons.hourli"),
        store.resume(database.pool, "crons.hourli"),
    ):
        with pytest.raises(
            UsageError, match=r'no schedule named "crons\.hourli"; did you mean "crons\.hourly"\?'
        ):
            await asked


async def test_schedules_are_listed_with_their_last_tick(db: str, database: Database) -> None:
    await bring(database, HOURLY, NIGHTLY)
    await store.pause(database.pool, "crons.nightly")
    await tell(
        db,
        "insert into pillars.ticks (schedule, tick, outcome, missed)"
        " select 'crons.hourly', tick, 'late', 4 from generate_series('2026-01-01'::timestamptz, '2026-01-03', '1 day') tick",
    )
    hourly, nightly = await store.listed(database.pool)
    assert (hourly.name, hourly.last_outcome, hourly.last_missed) == ("crons.hourly", "late", 4)
    assert hourly.last_tick is not None
    assert hourly.last_tick.day == 3
    assert (nightly.crontab, nightly.timezone, nightly.next_run_at) == (
        "0 3 * * *",
        "Europe/Berlin",
        None,
    )


@pytest.mark.parametrize(
    "row",
    [
        "every = '1 millisecond', crontab = null",
        "every = '1 hour', crontab = '* * * * *'",
        "every = null, crontab = null",
        "next_run_at = 'infinity'",
        "catchup = 'sometimes'",
        "jitter = '-1 second'",
    ],
)
async def test_the_schema_keeps_the_impossible_out(db: str, database: Database, row: str) -> None:
    await bring(database, HOURLY)
    with pytest.raises(Exception, match="violates check constraint"):
        await tell(db, f"update pillars.schedules set {row}")
