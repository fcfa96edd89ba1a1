-- The ids of the unfinished jobs of a name, newest first. Walks the primary key of jobs backwards, as newest.sql.
-- $1 name, $2 older than this job_id or null, $3 at most so many.
select job.job_id
from pillars.jobs job
where job.name = $1::text and job.job_id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by job.job_id desc
limit $3::integer
