-- Run final jobs again, as redrive.sql does with one: all that are returned, or none where a unique key is held (23505 on jobs_unique).
-- A job that is not final any more, or that another redrive holds just now, is left out. Notifies.
-- Rides finished_jobs_job_id of the days since $2; locks its rows in job_id order, skipping locked ones, and waits for
-- others' uncommitted inserts of the same unique keys, in the order of the keys, as crowds of enqueues do. $1 job_ids, $2 not ended before.
with picked as materialized (
    select ended.job_id, ended.finished_at from pillars.finished_jobs ended
    where ended.job_id = any($1::uuid[]) and ended.finished_at >= $2::timestamptz and ended.state in ('failed', 'cancelled', 'expired')
    order by ended.job_id for update skip locked
), taken as (
    delete from pillars.finished_jobs ended using picked
    where ended.job_id = any($1::uuid[]) and ended.finished_at >= $2::timestamptz and ended.state in ('failed', 'cancelled', 'expired')
      and ended.job_id = picked.job_id and ended.finished_at = picked.finished_at
    returning ended.job_id, ended.name, ended.queue, ended.priority, ended.payload, ended.context, ended.last_error, ended.max_attempts,
              ended.created_at, ended.parent_id, ended.tags, ended.trace, ended.unique_key, ended.timeout, ended.finished_at
), uncounted as (
    delete from pillars.counts counted
    where counted.ctid = any(array(
        select known.ctid from pillars.counts known
        where known.part in (select 'finished_ended_' || to_char(taken.finished_at at time zone 'UTC', 'YYYYMMDD') from taken)
        for update skip locked))
), redriven as (
    insert into pillars.jobs (job_id, name, queue, priority, payload, context, last_error, max_attempts, created_at, parent_id, tags,
                              trace, unique_key, timeout, run_at)
    select taken.job_id, taken.name, taken.queue, taken.priority, coalesce(taken.payload, '{}'), taken.context, taken.last_error,
           taken.max_attempts, taken.created_at, taken.parent_id, taken.tags, taken.trace, taken.unique_key, taken.timeout, pillars.now()
    from taken order by taken.unique_key, taken.job_id
    returning job_id, queue
)
select redriven.job_id from redriven cross join lateral (select pg_notify('pillars', redriven.queue)) notified
