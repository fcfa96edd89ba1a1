-- What a list shows of jobs in one unfinished state, newest first. Rides the primary key of jobs backwards; finished_at is null leaves no day to read.
-- $1 older than this job_id or null, $2 at most so many, $3 state, $4 name or null, $5 queue or null, $6 tag or null,
-- $7 at most so many characters of a text, $8 not older than this job_id or null.
select job.job_id, job.name, job.queue, job.state, left(job.payload::text, $7::integer) as payload,
       left(job.last_error, $7::integer) as last_error, job.attempt, job.max_attempts, job.crashes, job.created_at, job.started_at,
       job.finished_at, job.run_at, job.tags
from pillars.all_jobs job
where job.job_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  and job.job_id >= coalesce($8::uuid, '00000000-0000-0000-0000-000000000000')
  and job.state = $3::text
  and job.finished_at is null
  and ($4::text is null or job.name = $4::text)
  and ($5::text is null or job.queue = $5::text)
  and ($6::text is null or $6::text = any(job.tags))
order by job.job_id desc
limit $2::integer
