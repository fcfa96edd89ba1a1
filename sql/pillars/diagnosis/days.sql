-- The days of history by parent: the oldest in days from today, and how far they reach without a gap from today on (-1: today's is missing).
-- Reads the catalog.
with today as (
    select (pillars.now() at time zone 'UTC')::date as today
), days as (
    select parent.relname::text as parent, to_date(right(child.relname, 8), 'YYYYMMDD') - today.today as day
    from pg_inherits link
    join pg_class parent on parent.oid = link.inhparent
    join pg_class child on child.oid = link.inhrelid
    cross join today
    where parent.relnamespace = to_regnamespace('pillars') and child.relname ~ '_\d{8}$'
)
select parents.parent, coalesce(-(select min(days.day) from days where days.parent = parents.parent), 0) as oldest,
       (select min(ahead.day) - 1 from generate_series(0, 100) ahead (day)
        where not exists (select from days where days.parent = parents.parent and days.day = ahead.day)) as reaches
from unnest(array['finished_completed', 'finished_ended', 'attempts', 'job_events', 'job_messages']) parents (parent)
order by parents.parent
