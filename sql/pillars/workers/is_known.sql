-- Whether a process has its row here. Rides the primary key. $1 worker.
select exists (select from pillars.workers worker where worker.worker_id = $1::uuid) as yes
