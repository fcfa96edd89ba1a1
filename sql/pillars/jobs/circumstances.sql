-- Why an unfinished job stands where it stands: what it waits for, what was asked of it, whether its queue or its name is paused, who runs it.
-- No row: it is final, or gone. Rides the primary keys of jobs, definitions, queues and workers. $1 job_id.
select job.waiting_for, job.expires_at, job.pause_requested_at, job.paused_at, job.paused_by, job.cancel_requested_at, job.cancel_requested_by, spoken.paused_at as queue_paused_at,
       definition.paused_at as name_paused_at, definition.paused_by as name_paused_by,
       definition.name is not null as defined, worker.host, worker.pid, worker.seen_at as worker_seen_at
from pillars.jobs job
left join pillars.queues spoken on spoken.name = job.queue
left join pillars.definitions definition on definition.name = job.name
left join pillars.workers worker on worker.worker_id = job.locked_by
where job.job_id = $1::uuid
