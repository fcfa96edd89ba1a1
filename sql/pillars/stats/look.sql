-- How many jobs are in which state and queue, by one snapshot; the queues as a JSON object by name.
-- Reads jobs once. Completed jobs are counted day by day; a day with more than $1 of them by the table's own statistics is estimated as
-- the planner would, since counting it takes seconds. The days are named by pillars.make_days. $1 count exactly up to.
with unfinished as materialized (
    select job.queue, job.state, count(*) as jobs, min(job.run_at) as oldest_run_at
    from pillars.all_jobs job
    where job.finished_at is null
    group by job.queue, job.state
), ended as materialized (
    select ended.state, count(*) as jobs
    from pillars.finished_jobs ended
    where ended.state in ('failed', 'cancelled', 'expired')
    group by ended.state
), completed_days as materialized (
    select to_date(right(child.relname, 8), 'YYYYMMDD')::timestamp at time zone 'UTC' as starts_at,
           case when child.relpages > 0 and child.reltuples >= 0
                then (child.reltuples / child.relpages * pg_relation_size(child.oid) / current_setting('block_size')::integer)::bigint
                else 0 end as estimate
    from pg_catalog.pg_inherits part
    join pg_catalog.pg_class child on child.oid = part.inhrelid
    where part.inhparent = 'pillars.finished_completed'::regclass and not part.inhdetachpending
), completed as (
    select coalesce(sum(case when day.estimate > $1::bigint then day.estimate else counted.jobs end), 0)::bigint as jobs
    from completed_days day
    cross join lateral (
        select count(*) as jobs
        from pillars.finished_jobs ended
        where day.estimate <= $1::bigint and ended.state = 'completed'
          and ended.finished_at >= day.starts_at and ended.finished_at < day.starts_at + interval '1 day'
    ) counted
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
       (select completed.jobs from completed) as completed,
       coalesce((select ended.jobs from ended where ended.state = 'failed'), 0)::bigint as failed,
       coalesce((select ended.jobs from ended where ended.state = 'cancelled'), 0)::bigint as cancelled,
       coalesce((select ended.jobs from ended where ended.state = 'expired'), 0)::bigint as expired,
       coalesce((select jsonb_object_agg(queues.name, jsonb_build_object(
                            'ready', queues.ready, 'running', queues.running,
                            'oldest_ready_seconds', queues.oldest_ready_seconds, 'paused', queues.paused)) from queues), '{}') as queues
