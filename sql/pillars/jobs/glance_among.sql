-- What a list shows of jobs of these ids that are in one unfinished state, newest first. Rides the primary key of jobs.
-- $1 job_ids, $2 state, $3 at most so many characters of a text.
select job.job_id, job.name, job.queue, job.state, left(job.payload::text, $3::integer) as payload,
       left(job.last_error, $3::integer) as last_error, job.attempt, job.max_attempts, job.crashes, job.created_at, job.started_at,
       job.finished_at, job.run_at, job.tags
from pillars.all_jobs job
where job.job_id = any($1::uuid[]) and job.state = $2::text and job.finished_at is null
order by job.job_id desc
