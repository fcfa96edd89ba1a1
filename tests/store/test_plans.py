"""Plans that sessions have cached, and tables that grow under them."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from pillars.store import statements
from stepping import Hand, define, hand, hands
from support import ask, tell

FILL = {
    "jobs": "insert into pillars.jobs (job_id, name, queue) select pillars.uuid7(), 'work', 'default' from generate_series(1, $1::int)",
    "attempts": "insert into pillars.attempts (job_id, attempt, outcome) select pillars.uuid7(), 1, 'retried' from generate_series(1, $1::int)",
}
for table, state in (("finished_completed", "completed"), ("finished_ended", "failed")):
    FILL[
        table
    ] = f"""insert into pillars.finished_jobs (job_id, name, queue, priority, state, attempt, crashes, created_at)
    select pillars.uuid7(), 'work', 'default', 0, '{state}', 1, 0, pillars.now() from generate_series(1, $1::int)"""
FEW, MANY = 60, 20_000  # two pages, three hundred
LOOK = f"execute look ('{uuid4()}', '{datetime.now(UTC) - timedelta(hours=1)}')"


@pytest.fixture(autouse=True)
async def _defined(db: str) -> None:
    await define(db)


async def partition(db: str, table: str) -> str:
    if table == "jobs":
        return "jobs"
    today = await ask(db, "select to_char(pillars.now() at time zone 'UTC', 'YYYYMMDD')")
    return f"{table}_{today}"


async def known_rows(db: str, table: str) -> float:
    """What the planner believes; -1 where nobody ever looked."""
    name = f"pillars.{await partition(db, table)}"
    return float(await ask(db, "select reltuples from pg_class where oid = to_regclass($1)", name))


async def plan(session: Hand) -> str:
    found = await session.session.connection.fetch(f"explain {LOOK}")
    return "\n".join(row[0] for row in found)


@pytest.mark.parametrize("table", ["finished_completed", "finished_ended", "jobs"])
async def test_a_plan_cached_over_a_few_rows_does_not_read_all_of_a_table_that_has_grown(
    db: str, table: str
) -> None:
    name = await partition(db, table)
    await tell(db, FILL[table], FEW)
    await tell(db, f"analyze pillars.{name}")  # as autovacuum does, after 50 rows
    async with hands(db) as (reader, other):
        await reader.ask(f"prepare look (uuid, timestamptz) as {statements.text('jobs/state')}")
        for _ in range(8):
            await reader.ask(LOOK)
        assert await reader.ask("select generic_plans > 0 from pg_prepared_statements"), "cached"
        await tell(db, FILL[table], MANY)
        assert f"Seq Scan on {name}" in await plan(reader)
        await other.sweep()
        assert f"Seq Scan on {name}" not in await plan(reader)
        await reader.ask(LOOK)


@pytest.mark.parametrize("table", FILL)
async def test_a_table_is_analyzed_once_it_holds_a_megabyte_and_not_again(
    db: str, table: str
) -> None:
    async with hand(db) as worker:
        before = await known_rows(db, table)
        await tell(db, FILL[table], FEW)
        await worker.sweep()
        assert await known_rows(db, table) == before, "earlier, plans over few rows would be made"
        await tell(db, FILL[table], MANY)
        await worker.sweep()
        assert await known_rows(db, table) == FEW + MANY
        await tell(db, FILL[table], FEW)
        await worker.sweep()
        assert await known_rows(db, table) == FEW + MANY, "the rest is autovacuum's"


async def test_a_table_that_another_vacuums_holds_up_no_sweep(db: str) -> None:
    await tell(db, FILL["jobs"], MANY)
    async with hands(db) as (vacuum, worker):
        async with vacuum.session.transaction():
            await vacuum.ask("lock table pillars.jobs in share update exclusive mode")
            assert (await worker.sweep()).swept
        before = await known_rows(db, "jobs")
        await worker.sweep()
        assert before < await known_rows(db, "jobs") == MANY
