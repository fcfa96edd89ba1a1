-- The last lines of a job's log, the newest first, among the last 2,000 things that it has said: of a job that reports its progress all day, no more is read.
-- Rides job_events_job_id of the days since the job was made. $1 job_id, $2 when it was made, $3 how many.
select said.event_id, said.job_id, said.attempt, said.kind, said.body::text, said.created_at
from (
    select of_job.* from pillars.job_events of_job
    where of_job.job_id = $1::uuid and of_job.created_at >= $2::timestamptz
    order by of_job.event_id desc limit 2000
) said
where said.kind = 'log'
order by said.event_id desc
limit $3::integer
