-- A process ends in good order. $1 worker.
delete from pillars.workers worker where worker.worker_id = $1::uuid
