-- The ids of running jobs, newest first: those that locks name, and while the table is small whoever else is held. Rides the primary key
-- of jobs.
-- $1 older than this job_id or null, $2 at most so many, $3 state, $4 name or null, $5 queue or null, $6 tag or null.
select job.job_id
from (
    select unnest(lock.job_ids) as job_id from pillars.locks lock
    union
    select one.job_id from pillars.jobs one where one.locked_by is not null and one.paused_at is null and (select pg_relation_size('pillars.jobs')) <= 16777216
) held
cross join lateral (
    select one.job_id, one.name, one.queue, one.tags from pillars.jobs one
    where one.job_id = held.job_id and one.locked_by is not null and one.paused_at is null limit 1
) job
where job.job_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  and $3::text = 'running'
  and ($4::text is null or job.name = $4::text)
  and ($5::text is null or job.queue = $5::text)
  and ($6::text is null or $6::text = any(job.tags))
order by job.job_id desc
limit $2::integer
