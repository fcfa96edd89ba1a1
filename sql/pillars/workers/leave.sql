-- A process ends in good order. Its claims that have no jobs any more go with it: a finish that met a heartbeat at their locks row has left
-- that for a sweep. Reads locks, a row a claim. $1 worker.
with ended as (
    delete from pillars.locks lock
    where lock.locked_by = $1::uuid
      and not exists (
          select from unnest(lock.job_ids) member (job_id)
          cross join lateral (
              select from pillars.jobs job where job.job_id = member.job_id and job.lock_token = lock.lock_token limit 1
          ) held)
)
delete from pillars.workers worker where worker.worker_id = $1::uuid
