-- Take up to the free slots from one lane, locking in the lane: for a claim whose picks others took. See claim.sql.
-- Rides jobs_claim. Locks rows of jobs, waiting for none. $1 worker, $2 lock, $3 names, $4 free slots, $5 queue, $6 priority,
-- $7 place: run_at, $8 place: job_id, $9 the highest token that this worker was given.
with drawn as materialized (
    select nextval('pillars.locks_lock_token_seq') as lock_token
), token as materialized (
    select case when drawn.lock_token > $9::bigint then drawn.lock_token
                else (select max(nextval('pillars.locks_lock_token_seq')) from (select generate_series(drawn.lock_token, $9::bigint)) missing) end as lock_token
    from drawn
), locked as materialized (
    select job.ctid as place from pillars.jobs job
    where not job.parked and job.queue = $5::text and job.priority = $6::integer
      and (job.run_at, job.job_id) > ($7::timestamptz, $8::uuid)
      and job.run_at <= pillars.now() and job.locked_by is null and job.name = any(array( -- not `<> all (paused)`: one row would be expected, and all that is due sorted
              select known.name from unnest($3::text[]) known (name)
              where not exists (select from pillars.definitions paused where paused.name = known.name and paused.paused_at is not null)))
      and (job.expires_at is null or job.expires_at > pillars.now())
    order by job.run_at, job.job_id
    limit $4::integer
    for update skip locked
), taken as (
    update pillars.jobs job
    set locked_by = $1::uuid, locked_at = pillars.now(), lock_token = (select token.lock_token from token),
        attempt = least(job.attempt + 1, 1000000),
        max_attempts = coalesce(job.max_attempts,
            (select definition.max_attempts from pillars.definitions definition where definition.name = job.name)),
        deadline_at = pillars.now() + nullif(coalesce(job.timeout,
            (select definition.timeout from pillars.definitions definition where definition.name = job.name)), interval '0')
    where job.ctid = any(array(select locked.place from locked))
    returning job.job_id, job.name, job.queue, job.priority, job.run_at, job.payload, job.context, job.attempt, job.max_attempts,
              job.tags, job.locked_at, job.deadline_at, job.lock_token,
              job.attempt > 1 or job.crashes > 0 or job.run_at > job.created_at as again
), held as (
    insert into pillars.locks (lock_token, locked_by, expires_at, job_ids)
    select taken.lock_token, $1::uuid, pillars.now() + $2::interval, array_agg(taken.job_id) from taken group by taken.lock_token
)
select taken.job_id, taken.lock_token, taken.name, taken.queue, taken.priority, taken.run_at, taken.payload, taken.context, taken.attempt,
       taken.max_attempts, taken.tags, taken.locked_at, taken.deadline_at, taken.again, counted.picked, counted.locked, counted.next_run_at, counted.now,
       counted.took
from (
    select (select count(*) from locked) as picked, (select count(*) from locked) as locked, pillars.now() as now,
           null::timestamptz as next_run_at, clock_timestamp() - statement_timestamp() as took
) counted
left join taken on false
union all
select taken.job_id, taken.lock_token, taken.name, taken.queue, taken.priority, taken.run_at, taken.payload, taken.context, taken.attempt,
       taken.max_attempts, taken.tags, taken.locked_at, taken.deadline_at, taken.again, null, null, null, null, null
from taken
order by picked nulls last, priority desc, run_at, job_id
