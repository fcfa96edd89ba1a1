-- How far a list looks: the id of the last of so many jobs. No row where there are fewer. Rides the primary key of jobs backwards.
-- $1 older than this job_id or null, $2 so many.
select job.job_id
from pillars.jobs job
where job.job_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by job.job_id desc
offset $2::integer - 1 limit 1
