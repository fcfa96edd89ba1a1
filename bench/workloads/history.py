"""Whether counts and lists answer as fast at any age: with ten million finished jobs and a million that wait."""

import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from uuid import UUID

from pillars.store import health, listing, queues, stats, workers
from pillars.store.listing import Wanted
from pillars.store.pool import Address
from pillars.store.session import Session

from ..running import Bench, Figures, Workload
from ..server import Database

FINISHED, WAITING = 10_000_000, 1_000_000
DAYS = 8  # of history, today among them
LOOKS = 7  # of each kind; the median counts
RARE = "rare"  # a job that ran long ago, and not since

UUID_OF = """
create function uuid_of(at timestamptz) returns uuid language sql volatile return
encode(substring(int8send((extract(epoch from at) * 1000)::bigint) from 3) || substring(uuid_send(gen_random_uuid()) from 7), 'hex')::uuid
"""
MAKE_DAY = """
do $$ declare
    day date := (now() at time zone 'UTC')::date - {ago};
begin
    if to_regclass('pillars.finished_completed_' || to_char(day, 'YYYYMMDD')) is null then
        execute format('create table pillars.%I partition of pillars.finished_completed for values from (%L) to (%L)',
                       'finished_completed_' || to_char(day, 'YYYYMMDD'), day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00');
        execute format('create table pillars.%I partition of pillars.finished_ended for values from (%L) to (%L)',
                       'finished_ended_' || to_char(day, 'YYYYMMDD'), day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00');
    end if;
end $$
"""
# One in a hundred failed, one in a thousand was cancelled; the rare ones are the oldest of all.
FILL_DAY = """
insert into pillars.finished_jobs (job_id, name, queue, priority, state, payload, attempt, crashes, lock_token, created_at, started_at, finished_at)
select uuid_of(made.at), case when {ago} = 7 and made.number <= 10 then 'rare' else 'job' || made.number % 8 end, 'queue' || made.number % 4, 0,
       case when made.number % 100 = 7 then 'failed' when made.number % 1000 = 3 then 'cancelled' else 'completed' end,
       jsonb_build_object('number', made.number), 1, 0, made.number, made.at, made.at, made.at
from (select number, date_trunc('day', now(), 'UTC') - interval '{ago} days' + ((number - 1)::float8 / {jobs} * least(interval '1 day', {length})) as at
      from generate_series(1, {jobs}) number) made
"""
# Nine in ten are due, one in ten is for tomorrow, one in a hundred is paused.
FILL_WAITING = """
insert into pillars.jobs (job_id, name, queue, priority, payload, run_at, parked, paused_at)
select pillars.uuid7(), 'job' || number % 8, 'queue' || number % 4, 0, jsonb_build_object('number', number),
       now() + case when number % 10 = 0 then interval '1 day' else -interval '1 minute' end, number % 100 = 1,
       case when number % 100 = 1 then now() end
from generate_series(1, {jobs}) number
"""
# What runs was taken from the front, so these are the oldest.
FILL_RUNNING = """
with taken as (
    update pillars.jobs set locked_by = $1, locked_at = now(), lock_token = 1, attempt = 1
    where job_id = any(array(select job_id from pillars.jobs where not parked order by job_id limit {jobs}))
    returning job_id
)
insert into pillars.locks (lock_token, locked_by, expires_at, job_ids)
overriding system value select 1, $1, now() + interval '1 day', array_agg(job_id) from taken
"""
RUNNING = 200

Look = Callable[[Session], Awaitable[object]]


def page(**wanted: object) -> Look:
    """A page of the dashboard."""
    return lambda session: listing.glances(session, Wanted(**wanted))  # type: ignore[arg-type]


KINDS: Mapping[str, Look] = {
    "stats": stats.stats,
    "queues": queues.listed,
    "health": health.vitals,
    "workers": workers.listed,
    "newest": page(),
    **{f"{state}": page(state=state) for state in listing.STATES},
    "rare_name": page(name=RARE),
    "rare_failed": page(name=RARE, state="failed"),
    "one_queue": page(queue="queue1", state="completed"),
    "no_tag": page(tag="nowhere"),
}


async def fill(bench: Bench, database: Database) -> None:
    """A week of history, each day as long as any; then what waits. Statistics as autovacuum leaves them."""
    await database.ask("set statement_timeout = 0")
    await database.ask(UUID_OF)
    for ago in range(DAYS - 1, -1, -1):
        length = "interval '1 day'" if ago else "now() - date_trunc('day', now(), 'UTC')"
        await database.ask(MAKE_DAY.format(ago=ago))
        await database.ask(
            FILL_DAY.format(ago=ago, jobs=bench.jobs(FINISHED) // DAYS, length=length)
        )
    await database.ask(FILL_WAITING.format(jobs=bench.jobs(WAITING)))
    await database.ask(FILL_RUNNING.format(jobs=RUNNING), UUID(int=1))
    await database.ask("vacuum analyze")


async def pillars(bench: Bench) -> Figures:
    """What the dashboard and the API look at, from the question to its rows."""
    async with bench.database() as database:
        await fill(bench, database)
        session = await Address(database.url).connect()
        try:
            counted = await _count(session)
            took = {f"{kind}_ms": await _time(session, look) for kind, look in KINDS.items()}
        finally:
            await session.close()
        return {"slowest_ms": max(took.values()), **took, "counting_ms": counted}


async def _count(session: Session) -> float:
    """Count as sweeps do, until nothing is left to count; the longest of them, for which nobody waits."""
    longest, counted = 0.0, ["jobs"]
    while counted:
        began = time.perf_counter()
        counted = await stats.count_large(session)
        longest = max(longest, (time.perf_counter() - began) * 1000)
    return longest


async def _time(session: Session, look: Look) -> float:
    times = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        await look(session)
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


HISTORY = Workload(
    "history",
    f"counts and lists over {FINISHED:,} finished and {WAITING:,} waiting jobs",
    {"pillars": pillars},
    compares="slowest_ms",
    rounds=1,
)
