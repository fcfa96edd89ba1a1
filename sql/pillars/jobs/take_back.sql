-- Take a repeated enqueue back where its first try did arrive and the job has ended meanwhile. A fresh snapshot sees it.
-- Rides finished_jobs_job_id. $1 job_id.
delete from pillars.jobs job
where job.job_id = $1::uuid and job.locked_by is null
  and exists (select from pillars.finished_jobs ended where ended.job_id = $1::uuid)
returning job.job_id
