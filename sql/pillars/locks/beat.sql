-- A worker's sign of life: extend exactly the locks it names, and tell it which of them are lost, which rows it holds without naming
-- them, and which jobs are asked to end, to pause, or are paused. Its row in workers and the proof of its listener ride along.
--
-- Deletes nothing: a row not named may belong to a claim whose reply is still on its way. Locks rows of locks in token order, waiting for
-- none. $1 worker, $2 tokens, $3 lock, $4 running jobs, $5 listening, $6 state, $7 proof.
with named as materialized (
    select lock.ctid as place from pillars.locks lock
    where lock.lock_token = any($2::bigint[]) and lock.locked_by = $1::uuid
    order by lock.lock_token for update skip locked
), extended as (
    update pillars.locks lock set expires_at = pillars.now() + $3::interval
    where lock.ctid = any(array(select named.place from named))
    returning lock.lock_token
), mine as materialized (
    select lock.lock_token, lock.job_ids from pillars.locks lock where lock.locked_by = $1::uuid
), wished as materialized (
    select job.job_id, job.cancel_requested_at is not null as ends
    from mine cross join unnest(mine.job_ids) member (job_id)
    cross join lateral (
        select held.job_id, held.cancel_requested_at, held.pause_requested_at, held.paused_at from pillars.jobs held
        where held.job_id = member.job_id and held.lock_token = mine.lock_token limit 1
    ) job
    where job.cancel_requested_at is not null or job.pause_requested_at is not null or job.paused_at is not null
), seen as (
    update pillars.workers worker set seen_at = pillars.now(), running = $4::integer, listening = $5::boolean, state = $6::text
    where worker.ctid = any(array(
        select mine.ctid from pillars.workers mine where mine.worker_id = $1::uuid for update skip locked))
), proof as materialized (
    select pg_notify(pillars.own_channel($1::uuid), $7::text)
)
select array(select extended.lock_token from extended) as extended,
       array(select asked.token from unnest($2::bigint[]) asked (token)
             where not exists (select from mine where mine.lock_token = asked.token)) as lost,
       array(select mine.lock_token from mine where mine.lock_token <> all($2::bigint[])) as unnamed,
       array(select wished.job_id from wished where wished.ends) as ending,
       array(select wished.job_id from wished where not wished.ends) as pausing,
       exists (select from pillars.workers worker where worker.worker_id = $1::uuid) as known,
       (select count(*) from proof) as proofs
