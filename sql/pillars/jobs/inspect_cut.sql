-- One job as inspect.sql shows it, its long texts cut: a payload or a result may be megabytes, and a page shows no more than this of them.
-- Rides the primary key of jobs and finished_jobs_job_id of the days since $2. $1 job_id, $2 not ended before,
-- $3 at most so many characters of a text.
select job.job_id, job.name, job.queue, job.priority, job.state, left(job.payload::text, $3::integer) as payload, job.context,
       left(job.result::text, $3::integer) as result, left(job.last_error, $3::integer) as last_error, job.attempt, job.max_attempts,
       job.crashes, job.lock_token, job.created_at, job.started_at, job.finished_at, job.parent_id, job.tags, job.trace, job.unique_key,
       job.timeout, job.run_at, job.locked_at, job.locked_by, job.deadline_at
from pillars.all_jobs job
where job.job_id = $1::uuid and (job.finished_at is null or job.finished_at >= $2::timestamptz)
