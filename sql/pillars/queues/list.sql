-- Queues by name, each with its unfinished jobs: those that hold jobs, that code or a schedule names, that a live worker was told to
-- serve, and that somebody spoke of. Jobs as pillars.unfinished() counts them. $1 how long ago a process may have been seen.
with stats as materialized (
    select counted.queue,
           sum(counted.jobs) filter (where counted.state = 'ready')::bigint as ready,
           sum(counted.jobs) filter (where counted.state = 'running')::bigint as running,
           sum(counted.jobs) filter (where counted.state = 'scheduled')::bigint as scheduled,
           sum(counted.jobs) filter (where counted.state in ('waiting', 'paused'))::bigint as parked,
           extract(epoch from pillars.now() - min(counted.oldest_run_at) filter (where counted.state = 'ready'))::float8
               as oldest_ready_seconds
    from pillars.unfinished() counted
    group by counted.queue
), known as (
    select stats.queue as name from stats
    union select spoken.name from pillars.queues spoken
    union select definition.queue from pillars.definitions definition
    union select schedule.queue from pillars.schedules schedule
    union select served.queue from pillars.workers worker cross join lateral unnest(worker.queues) served (queue)
          where worker.seen_at > pillars.now() - $1::interval
)
select known.name, coalesce(stats.ready, 0) as ready, coalesce(stats.running, 0) as running, coalesce(stats.scheduled, 0) as scheduled,
       coalesce(stats.parked, 0) as parked, coalesce(stats.oldest_ready_seconds, 0)::float8 as oldest_ready_seconds, spoken.paused_at
from known
left join stats on stats.queue = known.name
left join pillars.queues spoken on spoken.name = known.name
order by known.name
