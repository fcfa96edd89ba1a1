-- Every unfinished job, in the order in which they were enqueued. Reads jobs whole: a test has a few.
select job.job_id, job.name, job.queue, job.priority, job.state, job.payload, job.context, job.result, job.last_error, job.attempt,
       job.max_attempts, job.crashes, job.lock_token, job.created_at, job.started_at, job.finished_at, job.parent_id, job.tags, job.trace,
       job.unique_key, job.timeout, job.run_at, job.locked_at, job.locked_by, job.deadline_at
from pillars.all_jobs job
where job.finished_at is null
order by job.job_id
