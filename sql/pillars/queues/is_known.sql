-- Whether anybody names a queue, as list.sql has it; counts nothing. Rides jobs_claim; parked rows are read only where nothing else
-- names it. $1 queue, $2 how long ago a process may have been seen.
select exists (select from pillars.jobs job where job.queue = $1::text and not job.parked)
    or exists (select from pillars.queues spoken where spoken.name = $1::text)
    or exists (select from pillars.definitions definition where definition.queue = $1::text)
    or exists (select from pillars.schedules schedule where schedule.queue = $1::text)
    or exists (select from pillars.workers worker where worker.queues @> array[$1::text] and worker.seen_at > pillars.now() - $2::interval)
    or exists (select from pillars.jobs job where job.parked and job.queue = $1::text) as yes
