-- The names that code defines, in order, each with its unfinished jobs in whatever queue, as pillars.unfinished() counts them.
with stats as materialized (
    select counted.name,
           sum(counted.jobs) filter (where counted.state = 'ready')::bigint as ready,
           sum(counted.jobs) filter (where counted.state = 'running')::bigint as running,
           sum(counted.jobs) filter (where counted.state = 'scheduled')::bigint as scheduled,
           sum(counted.jobs) filter (where counted.state in ('waiting', 'paused'))::bigint as parked
    from pillars.unfinished() counted
    group by counted.name
)
select definition.name, definition.kind, definition.queue, coalesce(stats.ready, 0) as ready, coalesce(stats.running, 0) as running,
       coalesce(stats.scheduled, 0) as scheduled, coalesce(stats.parked, 0) as parked, definition.paused_at, definition.paused_by
from pillars.definitions definition
left join stats on stats.name = definition.name
order by definition.name
