-- How jobs ended, by one snapshot over both tables: a job is in exactly one of them.
-- Rides finished_jobs_job_id of the days since $2, and the primary key of jobs. $1 job_ids, $2 not ended before.
select asked.job_id,
       coalesce(ended.state, case when job.job_id is null then 'unknown' else 'unfinished' end) as state,
       ended.result, ended.last_error
from unnest($1::uuid[]) asked (job_id)
left join lateral (
    select finished.state, finished.result, finished.last_error from pillars.finished_jobs finished
    where finished.job_id = asked.job_id and finished.finished_at >= $2::timestamptz
    order by finished.finished_at desc limit 1
) ended on true
left join lateral (select one.job_id from pillars.jobs one where one.job_id = asked.job_id limit 1) job on true
