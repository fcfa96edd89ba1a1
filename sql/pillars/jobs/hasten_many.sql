-- Make scheduled jobs due now, as hasten.sql does with one; the others, and those that somebody else changes just now, are left out. Notifies.
-- Rides the primary key of jobs; locks its rows in job_id order, skipping locked ones. $1 job_ids.
with picked as materialized (
    select job.ctid as place from pillars.jobs job
    where job.job_id = any($1::uuid[]) and job.locked_by is null and not job.parked and job.run_at > pillars.now()
    order by job.job_id for update skip locked
), hastened as (
    update pillars.jobs job set run_at = pillars.now() where job.ctid = any(array(select picked.place from picked))
    returning job.job_id, job.queue
)
select hastened.job_id from hastened cross join lateral (select pg_notify('pillars', hastened.queue)) notified
