-- How jobs stand, by one snapshot over both tables. No row of a job that neither has.
-- Rides the primary key of jobs and, for those that it does not find there, finished_jobs_job_id of the days since $2. $1 job_ids, $2 not ended before.
select asked.job_id, coalesce(job.name, ended.name) as name, coalesce(job.tags, ended.tags) as tags,
       coalesce(job.state, ended.state) as state, coalesce(job.attempt, ended.attempt) as attempt
from unnest($1::uuid[]) asked (job_id)
left join lateral (
    select one.name, one.tags, one.state, one.attempt from pillars.all_jobs one
    where one.job_id = asked.job_id and one.finished_at is null limit 1
) job on true
left join lateral (
    select one.name, one.tags, one.state, one.attempt from pillars.finished_jobs one
    where job.name is null and one.job_id = asked.job_id and one.finished_at >= $2::timestamptz
    order by one.finished_at desc limit 1
) ended on true
where job.name is not null or ended.name is not null
