-- Jobs of these ids that are in one unfinished state, newest first. Rides the primary key of jobs. $1 job_ids, $2 state.
select job.job_id, job.name, job.queue, job.priority, job.state, job.payload, job.context, job.result, job.last_error, job.attempt,
       job.max_attempts, job.crashes, job.lock_token, job.created_at, job.started_at, job.finished_at, job.parent_id, job.tags, job.trace,
       job.unique_key, job.timeout, job.run_at, job.locked_at, job.locked_by, job.deadline_at
from pillars.all_jobs job
where job.job_id = any($1::uuid[]) and job.state = $2::text and job.finished_at is null
order by job.job_id desc
