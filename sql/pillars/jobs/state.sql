-- The state of one job. Rides the primary key of jobs and finished_jobs_job_id. $1 job_id, $2 not ended before.
select job.state from pillars.all_jobs job
where job.job_id = $1::uuid and (job.finished_at is null or job.finished_at >= $2::timestamptz)
