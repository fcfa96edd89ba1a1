-- How many jobs are in which state and queue, by one snapshot; the queues as a JSON object by name.
-- Unfinished jobs as pillars.unfinished() counts them. The history day by day, as sweeps have counted it; of a day that they have not, the
-- first $1 jobs, and where there are more the rest by the planner's estimate. The days are named by pillars.make_days. $1 count up to.
with unfinished as materialized (
    select counted.queue, counted.state, counted.jobs, counted.oldest_run_at from pillars.unfinished() counted
), days as materialized (
    select part.inhparent = 'pillars.finished_completed'::regclass as completed, counted.figures,
           to_date(right(child.relname, 8), 'YYYYMMDD')::timestamp at time zone 'UTC' as starts_at,
           case when child.relpages > 0 and child.reltuples >= 0
                then (child.reltuples / child.relpages * pg_relation_size(child.oid) / current_setting('block_size')::integer)::bigint
                else 0 end as estimate
    from pg_catalog.pg_inherits part
    join pg_catalog.pg_class child on child.oid = part.inhrelid
    left join pillars.counts counted on counted.part = child.relname
    where part.inhparent in ('pillars.finished_completed'::regclass, 'pillars.finished_ended'::regclass) and not part.inhdetachpending
), seen as (
    select days.starts_at, days.estimate, seen.state, count(*) as jobs
    from days cross join lateral (
        select ended.state from pillars.finished_jobs ended
        where days.completed and days.figures is null and ended.state = 'completed'
          and ended.finished_at >= days.starts_at and ended.finished_at < days.starts_at + interval '24 hours'
        limit $1::bigint
    ) seen
    group by days.starts_at, days.estimate, seen.state
    union all
    select days.starts_at, days.estimate, seen.state, count(*) as jobs
    from days cross join lateral (
        select ended.state from pillars.finished_jobs ended
        where not days.completed and days.figures is null and ended.state in ('failed', 'cancelled', 'expired')
          and ended.finished_at >= days.starts_at and ended.finished_at < days.starts_at + interval '24 hours'
        limit $1::bigint
    ) seen
    group by days.starts_at, days.estimate, seen.state
), ended as materialized (
    select figure.key as state, figure.value::bigint as jobs from days cross join lateral jsonb_each_text(days.figures) figure
    union all
    select scaled.state, case when scaled.looked_at < $1::bigint then scaled.jobs
                              else scaled.jobs * greatest(scaled.estimate, scaled.looked_at) / scaled.looked_at end
    from (
        select seen.*, sum(seen.jobs) over (partition by seen.starts_at, seen.state = 'completed')::bigint as looked_at from seen
    ) scaled
), names as (
    select unfinished.queue as name from unfinished
    union select spoken.name from pillars.queues spoken
    union select definition.queue from pillars.definitions definition
), queues as (
    select names.name,
           coalesce(sum(unfinished.jobs) filter (where unfinished.state = 'ready'), 0) as ready,
           coalesce(sum(unfinished.jobs) filter (where unfinished.state = 'running'), 0) as running,
           coalesce(extract(epoch from pillars.now() - min(unfinished.oldest_run_at) filter (where unfinished.state = 'ready')), 0)::float8
               as oldest_ready_seconds,
           exists (select from pillars.queues spoken where spoken.name = names.name and spoken.paused_at is not null) as paused
    from names left join unfinished on unfinished.queue = names.name
    group by names.name
)
select coalesce((select sum(unfinished.jobs) from unfinished where unfinished.state = 'scheduled'), 0)::bigint as scheduled,
       coalesce((select sum(unfinished.jobs) from unfinished where unfinished.state = 'ready'), 0)::bigint as ready,
       coalesce((select sum(unfinished.jobs) from unfinished where unfinished.state = 'running'), 0)::bigint as running,
       coalesce((select sum(unfinished.jobs) from unfinished where unfinished.state = 'waiting'), 0)::bigint as waiting,
       coalesce((select sum(unfinished.jobs) from unfinished where unfinished.state = 'paused'), 0)::bigint as paused,
       coalesce((select sum(ended.jobs) from ended where ended.state = 'completed'), 0)::bigint as completed,
       coalesce((select sum(ended.jobs) from ended where ended.state = 'failed'), 0)::bigint as failed,
       coalesce((select sum(ended.jobs) from ended where ended.state = 'cancelled'), 0)::bigint as cancelled,
       coalesce((select sum(ended.jobs) from ended where ended.state = 'expired'), 0)::bigint as expired,
       coalesce((select jsonb_object_agg(queues.name, jsonb_build_object(
                            'ready', queues.ready, 'running', queues.running,
                            'oldest_ready_seconds', queues.oldest_ready_seconds, 'paused', queues.paused)) from queues), '{}') as queues
