-- The ids of jobs that wait for something or are paused, newest first. Rides jobs_parked_ids backwards.
-- $1 older than this job_id or null, $2 at most so many, $3 state, $4 name or null, $5 queue or null, $6 tag or null,
-- $7 not older than this job_id or null.
select job.job_id
from pillars.jobs job
where job.parked and (job.locked_by is null or job.paused_at is not null)
  and job.job_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  and job.job_id >= coalesce($7::uuid, '00000000-0000-0000-0000-000000000000')
  and case when job.paused_at is null then 'waiting' else 'paused' end = $3::text
  and ($4::text is null or job.name = $4::text)
  and ($5::text is null or job.queue = $5::text)
  and ($6::text is null or $6::text = any(job.tags))
order by job.job_id desc
limit $2::integer
