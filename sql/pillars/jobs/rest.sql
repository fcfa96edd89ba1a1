-- Say of running jobs that their code rests, as was asked. Returns those of which it still is; of the others another holds the row, or nobody asks any more, or its end was asked for.
-- Locks rows of jobs in job_id order, waiting for none. Rides the primary key of jobs. $1 worker, $2 job_ids, $3 tokens.
with locked as materialized (
    select held.place from (select * from unnest($2::uuid[], $3::bigint[]) asked (job_id, lock_token) order by asked.job_id) asked
    cross join lateral (
        select job.ctid as place from pillars.jobs job
        where job.job_id = asked.job_id and job.lock_token = asked.lock_token and job.locked_by = $1::uuid
          and job.pause_requested_at is not null and job.cancel_requested_at is null
        for update skip locked
    ) held
)
update pillars.jobs job
set paused_at = coalesce(job.paused_at, pillars.now()), pause_requested_at = null, parked = true
where job.ctid = any(array(select locked.place from locked))
returning job.lock_token, job.job_id
