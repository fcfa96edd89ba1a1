-- One queue with its unfinished jobs, which it reads once; see list.sql. $1 queue.
select $1::text as name,
       count(*) filter (where job.locked_by is null and not job.parked and job.run_at <= pillars.now()) as ready,
       count(*) filter (where job.locked_by is not null and job.paused_at is null) as running,
       count(*) filter (where job.locked_by is null and not job.parked and job.run_at > pillars.now()) as scheduled,
       count(*) filter (where job.parked) as parked,
       coalesce(extract(epoch from pillars.now() - min(job.run_at) filter (
           where job.locked_by is null and not job.parked and job.run_at <= pillars.now())), 0)::float8 as oldest_ready_seconds,
       (select spoken.paused_at from pillars.queues spoken where spoken.name = $1::text) as paused_at
from pillars.jobs job
where job.queue = $1::text
