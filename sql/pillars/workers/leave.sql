-- A process ends in good order; and nobody looks any more at rows of those that did not. $1 worker.
delete from pillars.workers worker
where worker.worker_id = $1::uuid or worker.seen_at < pillars.now() - interval '1 day'
