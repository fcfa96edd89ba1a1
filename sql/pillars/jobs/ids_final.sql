-- The ids of jobs in one final state, newest first. Rides finished_jobs_job_id of that state's days, merged backwards.
-- $1 older than this job_id or null, $2 at most so many, $3 state, $4 name or null, $5 queue or null, $6 tag or null.
select ended.job_id
from pillars.finished_jobs ended
where ended.job_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  and ended.state = $3::text
  and ($4::text is null or ended.name = $4::text)
  and ($5::text is null or ended.queue = $5::text)
  and ($6::text is null or $6::text = any(ended.tags))
order by ended.job_id desc
limit $2::integer
