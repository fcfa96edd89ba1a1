-- The ids of jobs in one unfinished state, newest first. Rides the primary key of jobs backwards.
-- $1 older than this job_id or null, $2 at most so many, $3 state, $4 name or null, $5 queue or null, $6 tag or null.
select job.job_id
from pillars.all_jobs job
where job.job_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  and job.state = $3::text
  and job.finished_at is null
  and ($4::text is null or job.name = $4::text)
  and ($5::text is null or job.queue = $5::text)
  and ($6::text is null or $6::text = any(job.tags))
order by job.job_id desc
limit $2::integer
