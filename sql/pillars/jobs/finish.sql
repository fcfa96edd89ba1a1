-- Move ended jobs to the history, each fenced by its lock_token and the worker. Answers how many were moved, and says of each other job: busy (ours by a
-- plain read, but another holds its row: ask again); lost (not ours any more, nothing was written); of a repeat, which recognises itself
-- by finished_jobs.lock_token: done, or completed (inside a transaction of its own).
--
-- Locks rows of jobs in job_id order, waiting for none; what the delete returned is done, and nothing else. The locks row of a claim whose
-- last jobs these are goes where no job bears its token but those just removed. Rides the primary key of jobs.
-- $1 worker, $2 job_ids, $3 tokens, $4 states (null: completed), $5 results, $6 errors, $7 tracebacks, $8 keeps (null: full), each of $4 to $8
-- null where it is so for all, $9 tokens of claims that end here, $10 whether this is a repeat.
with outcomes as materialized (
    select outcome.job_id, outcome.lock_token, coalesce(outcome.state, 'completed') as state, outcome.result, outcome.error,
           outcome.traceback, coalesce(outcome.keep, 'full') as keep
    from unnest($2::uuid[], $3::bigint[], $4::text[], $5::jsonb[], $6::text[], $7::text[], $8::text[])
        outcome (job_id, lock_token, state, result, error, traceback, keep)
), locked as materialized (
    select outcome.*, held.place from (select * from outcomes order by outcomes.job_id) outcome
    cross join lateral (
        select job.ctid as place from pillars.jobs job
        where job.job_id = outcome.job_id and job.lock_token = outcome.lock_token and job.locked_by = $1::uuid
        for update skip locked
    ) held
), removed as (
    delete from pillars.jobs job using locked outcome
    where job.ctid = outcome.place
    returning job.job_id, job.name, job.queue, job.priority, job.payload, job.context, job.attempt, job.max_attempts, job.crashes,
              job.lock_token, job.created_at, job.locked_at, job.parent_id, job.tags, job.trace, job.unique_key, job.timeout,
              job.last_error, outcome.state, outcome.result,
              coalesce(outcome.error, case when outcome.state = 'cancelled' then pillars.cancelled_by(job) end) as error, outcome.traceback, outcome.keep
), stored as (
    insert into pillars.finished_jobs (
        job_id, name, queue, priority, state, payload, context, result, last_error, attempt, max_attempts, crashes, lock_token,
        created_at, started_at, parent_id, tags, trace, unique_key, timeout)
    select removed.job_id, removed.name, removed.queue, removed.priority, removed.state,
           case when removed.keep = 'slim' and removed.state = 'completed' then null else removed.payload end, removed.context,
           case when removed.keep = 'slim' then null else removed.result end, coalesce(removed.error, removed.last_error),
           removed.attempt, removed.max_attempts, removed.crashes, removed.lock_token, removed.created_at, removed.locked_at,
           removed.parent_id, removed.tags, removed.trace, removed.unique_key, removed.timeout
    from removed
    where removed.keep in ('full', 'slim') or (removed.keep = 'failed' and removed.state <> 'completed')
), noted as (
    insert into pillars.attempts (job_id, attempt, lock_token, outcome, error, traceback, locked_by, started_at)
    select removed.job_id, removed.attempt, removed.lock_token, removed.state, removed.error, removed.traceback, $1::uuid,
           removed.locked_at
    from removed
    where removed.state <> 'completed' and removed.keep <> 'none'
), ended as (
    delete from pillars.locks lock
    where lock.ctid = any(array(
              select ending.ctid from pillars.locks ending where ending.lock_token = any($9::bigint[]) for update skip locked))
      and not exists (
          select from (select unnest(lock.job_ids) as job_id except select removed.job_id from removed) member
          cross join lateral (
              select from pillars.jobs job where job.job_id = member.job_id and job.lock_token = lock.lock_token limit 1
          ) held)
), unmoved as materialized (
    select outcomes.job_id, outcomes.lock_token, outcomes.state, outcomes.keep from outcomes
    except select removed.job_id, removed.lock_token, removed.state, removed.keep from removed
)
select counted.done, other.job_id, other.lock_token, other.answer
from (select count(*)::integer as done from removed) counted
left join (
    select unmoved.job_id, unmoved.lock_token,
           case when held.job_id is not null then 'busy'
                when ended.state = 'completed' and unmoved.state <> 'completed' then 'completed'
                when ended.state = unmoved.state then 'done' -- another: a rescue's, which is not what we offer
                when $10::boolean and (unmoved.keep = 'none' or (unmoved.keep = 'failed' and unmoved.state = 'completed')) then 'done'
                else 'lost' end as answer
    from unmoved
    left join lateral (
        select job.job_id from pillars.jobs job
        where job.job_id = unmoved.job_id and job.lock_token = unmoved.lock_token and job.locked_by = $1::uuid limit 1
    ) held on true
    left join lateral (
        select case when $10::boolean then pillars.ended_as(unmoved.job_id, unmoved.lock_token) end as state
    ) ended on true
) other on true
