-- Queues whose oldest ready job has waited too long, jobs of paused names left out, and who serves them: live workers that were not told other
-- queues, their slots and what they run. Reads jobs once. $1 how long is too long, $2 how long ago a process may have been seen and still counts as alive.
with ready as (
    select job.queue, count(*) as jobs, pillars.now() - min(job.run_at) as waited,
           (array_agg(job.name order by job.run_at, job.job_id))[1] as name
    from pillars.jobs job
    where job.locked_by is null and not job.parked and job.run_at <= pillars.now()
      and job.name not in (select paused.name from pillars.definitions paused where paused.paused_at is not null)
    group by job.queue
    having min(job.run_at) < pillars.now() - $1::interval
)
select ready.queue, ready.jobs, ready.waited, ready.name, spoken.paused_at is not null as paused, serving.workers, serving.slots,
       serving.running
from ready
left join pillars.queues spoken on spoken.name = ready.queue
cross join lateral (
    select count(*) as workers, coalesce(sum(worker.slots), 0)::bigint as slots, coalesce(sum(worker.running), 0)::bigint as running
    from pillars.workers worker
    where worker.role = 'worker' and worker.state <> 'draining' and worker.seen_at > pillars.now() - $2::interval
      and (worker.queues is null or ready.queue = any(worker.queues))
) serving
order by ready.waited desc
