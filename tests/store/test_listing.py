from typing import Any
from uuid import UUID

import pytest

from pillars.store import listing, statements, stats
from pillars.store.database import Database
from pillars.store.listing import Wanted
from support import asking, tell

FILL = """
insert into pillars.jobs (job_id, name, queue) select pillars.uuid7(), 'a', 'q' from generate_series(1, 20000);
insert into pillars.finished_jobs (job_id, name, queue, priority, state, attempt, crashes, created_at)
select pillars.uuid7(), 'a', 'q', 0, (array['completed', 'failed'])[1 + i % 2], 1, 0, now() from generate_series(1, 20000) i;
analyze;
"""


async def plan(db: str, wanted: Wanted, kinds: listing.Kinds[Any] = listing.PAGES) -> str:
    """The plan of a page as it is after asyncpg's statement has been used often enough to be planned once for all."""
    text = statements.text(listing._of_state(wanted.state, kinds).name)
    types, more = ("", "") if kinds is listing.PAGES else (", integer", ", 300")
    async with asking(db) as connection:
        await connection.execute("set plan_cache_mode = force_generic_plan")
        await connection.execute(
            f"prepare page(uuid, integer, text, text, text, text{types}) as {text}"
        )
        state = "null" if wanted.state is None else f"'{wanted.state}'"
        rows = await connection.fetch(
            f"explain (analyze, costs off) execute page(null, 51, {state}, null, null, null{more})"
        )
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("kinds", [listing.PAGES, listing.GLANCES], ids=["pages", "glances"])
@pytest.mark.parametrize("state", [None, "ready", "completed", "failed"])
async def test_a_page_rides_the_indexes_and_sorts_nothing(
    db: str, state: str | None, kinds: listing.Kinds[Any]
) -> None:
    await tell(db, FILL)
    explained = await plan(db, Wanted(state=state), kinds)
    ran = [line for line in explained.splitlines() if "never executed" not in line]
    assert not [line for line in ran if "Sort  " in line or "Sort (" in line], explained
    assert not [line for line in ran if "Seq Scan" in line and "rows=0" not in line], explained
    assert "Index Scan Backward" in explained


@pytest.mark.parametrize(
    ("state", "table"),
    [("ready", "finished_completed"), ("completed", " jobs"), ("completed", "finished_ended")],
)
async def test_a_state_leaves_the_tables_unread_that_cannot_hold_it(
    db: str, state: str, table: str
) -> None:
    explained = await plan(db, Wanted(state=state))
    ran = [line for line in explained.splitlines() if "never executed" not in line]
    assert not [line for line in ran if f"{table}" in line], explained


async def test_a_page_asks_for_one_more_and_shows_it_not(database: Database, db: str) -> None:
    await tell(
        db,
        "insert into pillars.jobs (job_id, name, queue) select pillars.uuid7(), 'a', 'q' from generate_series(1, 4)",
    )
    first = await listing.page(database.pool, Wanted(limit=4))
    assert (len(first.jobs), first.next) == (4, None)
    part = await listing.page(database.pool, Wanted(limit=3))
    assert (len(part.jobs), part.next) == (3, part.jobs[-1].job_id)
    rest = await listing.page(database.pool, Wanted(limit=3, older_than=part.next))
    assert [job.job_id for job in [*part.jobs, *rest.jobs]] == [job.job_id for job in first.jobs]


async def test_find_answers_none_for_what_never_was(database: Database) -> None:
    assert await listing.find(database.pool, UUID(int=1)) is None


async def test_stats_estimate_only_days_that_are_too_big_to_count(
    database: Database, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(db, FILL)
    counted = await stats.stats(database.pool)
    assert (counted.ready, counted.completed, counted.failed) == (20_000, 10_000, 10_000)
    monkeypatch.setattr(stats, "COUNTED", 5_000)
    estimated = await stats.stats(database.pool)
    assert estimated.completed == pytest.approx(10_000, rel=0.1)
    assert estimated.failed == 10_000
