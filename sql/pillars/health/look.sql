-- The live processes in a few words: how many workers, whether one of them is deaf to notifications, who leads, and whether there is
-- anything to lead. Reads workers (a row a process) and schedules. $1 how long ago a process may have been seen.
select count(*) filter (where worker.role = 'worker') as workers,
       coalesce(bool_or(worker.listening is false) filter (where worker.role = 'worker'), false) as polling,
       (array_agg(worker.worker_id order by worker.seen_at desc) filter (where worker.leads))[1] as leader,
       exists (select from pillars.schedules schedule where schedule.paused_at is null) as scheduled
from pillars.workers worker
where worker.seen_at > pillars.now() - $1::interval
