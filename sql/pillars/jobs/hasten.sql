-- Make a scheduled job due now; notifies. No row: it is not scheduled any more.
-- Rides the primary key of jobs; locks that row, waiting. $1 job_id.
with hastened as (
    update pillars.jobs job set run_at = pillars.now()
    where job.job_id = $1::uuid and job.locked_by is null and not job.parked and job.run_at > pillars.now()
    returning job.job_id, job.queue
)
select hastened.job_id from hastened cross join lateral (select pg_notify('pillars', hastened.queue)) notified
