-- How far a list looks among jobs that wait for something or are paused, as reached_all.sql. Rides jobs_parked_ids backwards.
-- $1 older than this job_id or null, $2 so many.
select job.job_id
from pillars.jobs job
where job.parked and job.job_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by job.job_id desc
offset $2::integer - 1 limit 1
