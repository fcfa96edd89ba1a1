-- Take up to the free slots of one kind, over all lanes, in the order priority desc, run_at, job_id.
--
-- Lanes are found by pillars.lanes(). The front of each lane is picked without locks, then the picks are locked (skip locked) and written by ctid. A row that another changed
-- between this snapshot and its lock is locked and not written: only what the update returns was taken. Where the answer has locked < picked
-- or taken < locked, others were faster, and the caller asks again. A claim of nothing leaves no locks row.
-- Where $7 to $10 give places, only their lanes are looked at, each behind its place: also the skip scan would read what lies dead in front
-- of a lane (24,000 rows under an open snapshot: 7 ms of 8). next_run_at is told by claims that came back short; took is
-- the time on the server.
-- Locks: rows of jobs, waiting for none. $1 worker, $2 lock, $3 names, $4 free slots, $5 queues or null for all, $6 slots by queue (null:
-- no limit), $7 place: queues, $8 place: priorities, $9 place: run_at, $10 place: job_ids, $11 the highest token that this worker was given:
-- a standby that was promoted without the last of its primary begins below it, and a token that comes again fences nobody off. So many numbers
-- are drawn that the last is higher, whoever draws beside us.
with places as (
    select lanes.queue, lanes.priority, '-infinity'::timestamptz as run_at, '00000000-0000-0000-0000-000000000000'::uuid as job_id
    from pillars.lanes() lanes where cardinality($7::text[]) = 0
    union all
    select place.queue, place.priority, place.run_at, place.job_id
    from unnest($7::text[], $8::integer[], $9::timestamptz[], $10::uuid[]) place (queue, priority, run_at, job_id)
), served as materialized (
    select places.queue, places.priority, least(coalesce(slots.free, $4::integer), $4::integer) as free,
           places.run_at as after_run_at, places.job_id as after_job_id
    from places left join unnest($5::text[], $6::integer[]) slots (queue, free) on slots.queue = places.queue
    where ($5::text[] is null or slots.queue is not null)
      and not exists (select from pillars.queues paused where paused.name = places.queue and paused.paused_at is not null)
), front as (
    select served.queue, served.free, candidate.place, candidate.priority, candidate.run_at, candidate.job_id
    from served cross join lateral (
        select job.ctid as place, job.priority, job.run_at, job.job_id
        from pillars.jobs job
        where not job.parked and job.queue = served.queue and job.priority = served.priority
          and (job.run_at, job.job_id) > (served.after_run_at, served.after_job_id)
          and job.run_at <= pillars.now() and job.locked_by is null and job.name = any(array( -- not `<> all (paused)`: one row would be expected, and all that is due sorted
                  select known.name from unnest($3::text[]) known (name)
                  where not exists (select from pillars.definitions paused where paused.name = known.name and paused.paused_at is not null)))
          and (job.expires_at is null or job.expires_at > pillars.now())
        order by job.run_at, job.job_id
        limit served.free
    ) candidate
), picked as materialized (
    select ranked.place from (
        select front.*, row_number() over (
            partition by front.queue order by front.priority desc, front.run_at, front.job_id) as rank
        from front
    ) ranked
    where ranked.rank <= ranked.free
    order by ranked.priority desc, ranked.run_at, ranked.job_id
    limit $4::integer
), drawn as materialized (
    select nextval('pillars.locks_lock_token_seq') as lock_token
), token as materialized (
    select case when drawn.lock_token > $11::bigint then drawn.lock_token
                else (select max(nextval('pillars.locks_lock_token_seq')) from (select generate_series(drawn.lock_token, $11::bigint)) missing) end as lock_token
    from drawn
), locked as materialized (
    select job.ctid as place, job.locked_by is null and not job.parked as is_free from pillars.jobs job
    where job.ctid = any(array(select picked.place from picked))
    for update skip locked
), taken as (
    update pillars.jobs job
    set locked_by = $1::uuid, locked_at = pillars.now(), lock_token = (select token.lock_token from token),
        attempt = least(job.attempt + 1, 1000000),
        max_attempts = coalesce(job.max_attempts,
            (select definition.max_attempts from pillars.definitions definition where definition.name = job.name)),
        deadline_at = pillars.now() + nullif(coalesce(job.timeout,
            (select definition.timeout from pillars.definitions definition where definition.name = job.name)), interval '0')
    where job.ctid = any(array(select locked.place from locked where locked.is_free))
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
    select (select count(*) from picked) as picked, (select count(*) from locked) as locked, pillars.now() as now,
           case when (select count(*) from picked) < $4::integer then (
               select min(upcoming.run_at) from served cross join lateral (
                   select job.run_at from pillars.jobs job
                   where not job.parked and job.queue = served.queue and job.priority = served.priority
                     and job.run_at > pillars.now()
                   order by job.run_at limit 1
               ) upcoming) end as next_run_at,
           clock_timestamp() - statement_timestamp() as took
) counted
left join taken on false
union all
select taken.job_id, taken.lock_token, taken.name, taken.queue, taken.priority, taken.run_at, taken.payload, taken.context, taken.attempt,
       taken.max_attempts, taken.tags, taken.locked_at, taken.deadline_at, taken.again, null, null, null, null, null
from taken
order by picked nulls last, priority desc, run_at, job_id
