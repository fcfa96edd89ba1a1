-- Jobs in one final state, newest first. Rides finished_jobs_job_id of that state's days, merged backwards; finished_at is not null leaves jobs out.
-- $1 older than this job_id or null, $2 at most so many, $3 state, $4 name or null, $5 queue or null, $6 tag or null, $7 not older than this job_id or null.
select job.job_id, job.name, job.queue, job.priority, job.state, job.payload, job.context, job.result, job.last_error, job.attempt,
       job.max_attempts, job.crashes, job.lock_token, job.created_at, job.started_at, job.finished_at, job.parent_id, job.tags, job.trace,
       job.unique_key, job.timeout, job.run_at, job.locked_at, job.locked_by, job.deadline_at
from pillars.all_jobs job
where job.job_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  and job.job_id >= coalesce($7::uuid, '00000000-0000-0000-0000-000000000000')
  and job.state = $3::text
  and job.finished_at is not null
  and ($4::text is null or job.name = $4::text)
  and ($5::text is null or job.queue = $5::text)
  and ($6::text is null or $6::text = any(job.tags))
order by job.job_id desc
limit $2::integer
