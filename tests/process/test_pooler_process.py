"""`app` with a PgBouncer as its DATABASE_URL."""

from pathlib import Path

import pytest
from pooling import pooler

from pillars.errors import ConfigurationError
from pillars.store.migrate import Migration, migrate, of_runtime
from pillars.store.pool import Address
from process.pillar import app, ready_app
from support import ask, until

pytestmark = pytest.mark.needs("pgbouncer")


async def test_migrations_run_through_a_pooler(empty_db: str, tmp_path: Path) -> None:
    async with pooler(empty_db) as before:
        with app(tmp_path, before.url, "migrate") as migrating:
            assert await migrating.ended() == 0, migrating.output
        with app(tmp_path, before.url, "migrate", "--check") as check:
            assert await check.ended() == 0, check.output


async def test_a_migration_outside_a_transaction_needs_the_direct_url(empty_db: str) -> None:
    runtime = of_runtime()
    concurrent = Migration("app", 1, "0001_outside", "-- outside a transaction\nselect 1")
    async with pooler(empty_db) as before:
        with pytest.raises(ConfigurationError, match="set DATABASE_DIRECT_URL"):
            await migrate(Address(before.url), [*runtime, concurrent])
        assert await ask(empty_db, "select to_regclass('pillars.jobs') is null"), "nothing was run"
        assert await migrate(Address(empty_db), [*runtime, concurrent]) == [*runtime, concurrent]


@pytest.mark.parametrize("role", ["worker", "migrate"])
async def test_statement_mode_is_one_line_at_boot(db: str, tmp_path: Path, role: str) -> None:
    async with pooler(db, pool_mode="statement") as before:
        with app(tmp_path, before.url, role) as started:
            assert await started.ended() == 2, started.output
            assert started.output.count("\n") == 1, started.output
            assert "set its pool_mode to transaction" in started.output


@pytest.mark.slow
async def test_two_cron_processes_behind_a_pooler_tick_each_second_once(
    db: str, tmp_path: Path
) -> None:
    async with (
        pooler(db, default_pool_size=3) as before,
        ready_app(tmp_path, before.url, "cron"),
        ready_app(tmp_path, before.url, "cron"),
        ready_app(tmp_path, before.url, "worker") as worker,
    ):
        await until(lambda: ask(db, "select count(*) >= 4 from pillars.ticks"))
        await until(lambda: ask(db, "select count(*) >= 4 from pillars.finished_completed"))
        await until(lambda: worker.output.count("listener.lost") == 1)
        assert await ask(db, "select count(*) from pillars.workers where leads") == 2
    assert await ask(db, GAPS) == 0
    assert await ask(db, "select count(*) from pillars.jobs") + await ask(
        db, "select count(*) from pillars.finished_jobs"
    ) == await ask(db, "select count(*) from pillars.ticks")


GAPS = """
select count(*) from (
    select tick - lag(tick) over (order by tick) as gap from pillars.ticks where schedule = 'beat') ticked
where gap <> interval '1 second'
"""
