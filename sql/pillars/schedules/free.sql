-- Let queued jobs of schedules run where the job before them has ended, and wake their workers.
-- Rides jobs_waiting and the primary key of jobs; locks those jobs in job_id order, waiting for none.
with queued as materialized (
    select job.job_id, job.waiting_for from pillars.jobs job
    where job.parked and job.waiting_for >= 'job ' and job.waiting_for < 'job!'
), freed as materialized (
    select held.place from (
        select queued.job_id, queued.waiting_for from queued
        left join lateral (
            select one.job_id from pillars.jobs one where one.job_id = substr(queued.waiting_for, 5)::uuid limit 1
        ) before on true
        where before.job_id is null
        order by queued.job_id
    ) ripe
    cross join lateral (
        select job.ctid as place from pillars.jobs job
        where job.job_id = ripe.job_id and job.parked and job.waiting_for = ripe.waiting_for
        for update skip locked
    ) held
), written as (
    update pillars.jobs job set parked = job.paused_at is not null, waiting_for = null, run_at = greatest(job.run_at, pillars.now())
    where job.ctid = any(array(select freed.place from freed))
    returning job.job_id, job.queue
), woken as materialized (
    select pg_notify('pillars', waking.queue) from (select distinct written.queue from written) waking
)
select written.job_id from written where (select count(*) from woken) > 0
