-- One name with its unfinished jobs, for which it reads jobs once; see list.sql. No row: no process has defined it. $1 name.
select definition.name, definition.kind, definition.queue, counted.ready, counted.running, counted.scheduled, counted.parked,
       definition.paused_at, definition.paused_by
from pillars.definitions definition
cross join (
    select count(*) filter (where job.locked_by is null and not job.parked and job.run_at <= pillars.now()) as ready,
           count(*) filter (where job.locked_by is not null and job.paused_at is null) as running,
           count(*) filter (where job.locked_by is null and not job.parked and job.run_at > pillars.now()) as scheduled,
           count(*) filter (where job.parked) as parked
    from pillars.jobs job
    where job.name = $1::text
) counted
where definition.name = $1::text
