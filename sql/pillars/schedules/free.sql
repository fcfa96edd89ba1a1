-- Let queued jobs of schedules run where the job before them has ended, and wake their workers.
-- Rides jobs_waiting and the primary key of jobs; locks those jobs in job_id order, waiting for none.
with freed as materialized (
    select job.ctid as place from pillars.jobs job
    where job.parked and job.waiting_for <> 'definition' and job.waiting_for >= 'job ' and job.waiting_for < 'job!'
      and not exists (select from pillars.jobs before where before.job_id = substr(job.waiting_for, 5)::uuid)
    order by job.job_id for update of job skip locked
), written as (
    update pillars.jobs job set parked = job.paused_at is not null, waiting_for = null, run_at = greatest(job.run_at, pillars.now())
    where job.ctid = any(array(select freed.place from freed))
    returning job.job_id, job.queue
), woken as materialized (
    select pg_notify('pillars', waking.queue) from (select distinct written.queue from written) waking
)
select written.job_id from written where (select count(*) from woken) > 0
