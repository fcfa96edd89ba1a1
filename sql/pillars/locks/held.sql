-- What the locks table says a worker holds, one row a job. $1 worker.
select lock.lock_token, member.job_id
from pillars.locks lock cross join unnest(lock.job_ids) member (job_id)
where lock.locked_by = $1::uuid
