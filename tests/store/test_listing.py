from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from pillars.store import listing, statements, states, stats
from pillars.store.database import Database
from pillars.store.listing import Wanted
from pillars.store.rows import JobRow
from stepping import hand, rows_read
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
    types, more = (
        (", uuid", ", null") if kinds is listing.PAGES else (", integer, uuid", ", 300, null")
    )
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
    assert estimated.failed == pytest.approx(10_000, rel=0.1)


# Three ago the one that is looked for, in each state that there is; then twelve that are not.
AMONG_OTHERS = """
insert into pillars.jobs (job_id, name, queue, run_at, parked, paused_at, waiting_for, locked_by, locked_at, lock_token)
select pillars.uuid7(), name, 'q', case state when 'scheduled' then now() + interval '1 day' else now() end,
       state in ('paused', 'waiting'), case state when 'paused' then now() end, case state when 'waiting' then 'definition' end,
       case state when 'running' then '00000000-0000-0000-0000-000000000001'::uuid end, case state when 'running' then now() end,
       case state when 'running' then number end
from (select number, name, state from generate_series(1, 1) number, unnest(array['scheduled', 'ready', 'running', 'waiting', 'paused']) state, (values ('rare')) named (name)
      union all
      select 10 + number, 'other', 'ready' from generate_series(1, 12) number
      union all
      select 100 + number, 'other', 'paused' from generate_series(1, 12) number) made;
insert into pillars.locks (lock_token, locked_by, expires_at, job_ids) overriding system value
select lock_token, locked_by, now() + interval '1 day', array[job_id] from pillars.jobs where locked_by is not null;
insert into pillars.finished_jobs (job_id, name, queue, priority, state, attempt, crashes, created_at)
select pillars.uuid7(), 'rare', 'q', 0, state, 1, 0, now() from unnest(array['completed', 'failed', 'cancelled', 'expired']) state;
insert into pillars.finished_jobs (job_id, name, queue, priority, state, attempt, crashes, created_at)
select pillars.uuid7(), 'other', 'q', 0, (array['completed', 'failed'])[1 + number % 2], 1, 0, now() from generate_series(1, 24) number
"""


async def walked(database: Database, wanted: Wanted) -> tuple[list[JobRow], int]:
    """What all pages have, the lists' too, and how many there were."""
    found: list[JobRow] = []
    after, pages = wanted.older_than, 0
    while after is not None or not pages:
        page = await listing.page(database.pool, replace(wanted, older_than=after))
        glances = await listing.glances(database.pool, replace(wanted, older_than=after))
        assert [job.job_id for job in glances.jobs] == [job.job_id for job in page.jobs]
        assert glances.next == page.next
        found += page.jobs
        after, pages = page.next, pages + 1
    return found, pages


@pytest.mark.parametrize("state", listing.STATES)
async def test_pages_that_look_only_so_far_find_what_is_rare_all_the_same(
    database: Database, db: str, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(listing, "LOOKED_AT", 5)
    await tell(db, AMONG_OTHERS)
    found, pages = await walked(database, Wanted(state=state, name="rare"))
    assert [(job.name, job.state) for job in found] == [("rare", state)]
    assert pages == 1 if state == "running" else pages > 2
    assert await listing.ids(database.pool, Wanted(state=state, name="rare")) == [found[0].job_id]


async def test_pages_of_any_state_that_look_only_so_far_leave_nothing_out(
    database: Database, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOKED_AT", 5)
    await tell(db, AMONG_OTHERS)
    found, pages = await walked(database, Wanted(name="rare"))
    assert sorted(job.state for job in found) == sorted(listing.STATES)
    assert pages > 2
    everything, _ = await walked(database, Wanted(limit=7))
    assert len({job.job_id for job in everything}) == 9 + 12 + 12 + 24


async def test_a_page_of_running_jobs_in_parts(database: Database, db: str) -> None:
    await tell(db, AMONG_OTHERS)
    await tell(
        db,
        "update pillars.jobs set locked_by = '00000000-0000-0000-0000-000000000001', locked_at = now(), lock_token = 7"
        " where name = 'other' and not parked",
    )
    await tell(
        db,
        "insert into pillars.locks (lock_token, locked_by, expires_at, job_ids) overriding system value"
        " select 7, '00000000-0000-0000-0000-000000000001', now(), array_agg(job_id) from pillars.jobs where lock_token = 7",
    )
    found, pages = await walked(database, Wanted(state="running", limit=5))
    assert (len(found), pages) == (13, 3)
    assert [job.job_id for job in found] == sorted((job.job_id for job in found), reverse=True)


class Meanwhile:
    """Reads for a page, while the newest running job ends between two statements."""

    def __init__(self, database: Database, db: str) -> None:
        self._pool = database.pool
        self._db = db

    async def rows(self, statement: Any, *args: Any, **more: Any) -> list[Any]:
        found = await self._pool.rows(statement, *args, **more)
        if statement is listing.IDS_RUNNING:
            await tell(self._db, "delete from pillars.jobs where job_id = $1", found[0].job_id)
        return found


async def test_a_job_that_ends_while_its_page_is_read_takes_no_other_page_along(
    database: Database, db: str
) -> None:
    await tell(db, AMONG_OTHERS)
    await tell(
        db,
        "update pillars.jobs set locked_by = gen_random_uuid(), locked_at = now(), lock_token = 7 where name = 'other' and not parked",
    )
    page = await listing.page(Meanwhile(database, db), Wanted(state="running", limit=5))
    assert len(page.jobs) == 4
    rest, _ = await walked(database, Wanted(state="running", older_than=page.next))
    assert len(page.jobs) + len(rest) == 12


@pytest.mark.parametrize("state", ["waiting", "paused", "scheduled", "expired"])
async def test_a_state_that_few_are_in_is_listed_without_reading_all(
    db: str, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(listing, "LOOKED_AT", 1_000)
    await tell(db, FILL)
    await tell(db, AMONG_OTHERS)
    async with hand(db) as reader, reader.session.transaction():
        await listing.glances(reader.session, Wanted(state=state))
        read = await rows_read(reader.session)
    assert read < (200 if state in states.APART else 2_500)
