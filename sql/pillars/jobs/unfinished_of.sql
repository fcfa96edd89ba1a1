-- The newest unfinished jobs that bear one of some names or tags, among the newest jobs. Rides the primary key of jobs backwards.
-- $1 names, $2 tags, $3 how many jobs are looked at, $4 how many are wanted.
select job.job_id from (
    select one.job_id, one.name, one.tags from pillars.jobs one order by one.job_id desc limit $3::integer
) job
where job.name = any($1::text[]) or job.tags && $2::text[]
order by job.job_id desc
limit $4::integer
