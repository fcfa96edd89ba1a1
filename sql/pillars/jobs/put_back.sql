-- Give running jobs back to their queue: retried, snoozed or released; but end, as cancelled, those whose end was asked for.
-- Answers done, busy, completed or lost as finish.sql; a repeat recognises itself by its attempts row. Wakes workers for what was released.
--
-- Locks rows of jobs in job_id order, waiting for none. Rides the primary key of jobs.
-- expires_at means "not begun by then": it goes once the job's code was started, however that went, and stays where a claim was given
-- back before (the worker stops; its answer was lost). A rescue cannot know, and lets it go too: a job that may have begun is run.
-- $1 worker, $2 job_ids, $3 tokens, $4 waits (null: run_at stays), $5 whether the attempt is given back, $6 whether its code was started,
-- $7 outcomes, $8 errors, $9 tracebacks, $10 tokens of claims that end here, $11 whether this is a repeat.
with outcomes as materialized (
    select outcome.* from unnest($2::uuid[], $3::bigint[], $4::interval[], $5::boolean[], $6::boolean[], $7::text[], $8::text[], $9::text[])
        outcome (job_id, lock_token, wait, given_back, begun, outcome, error, traceback)
), locked as materialized (
    select outcome.*, held.* from (select * from outcomes order by outcomes.job_id) outcome
    cross join lateral (
        select job.ctid as place, job.name, job.attempt, job.locked_at, job.cancel_requested_at is not null as ends
        from pillars.jobs job
        where job.job_id = outcome.job_id and job.lock_token = outcome.lock_token and job.locked_by = $1::uuid
        for update skip locked
    ) held
), returned as (
    update pillars.jobs job
    set locked_by = null, lock_token = null, locked_at = null, deadline_at = null,
        attempt = case when outcome.given_back then greatest(job.attempt - 1, 0) else job.attempt end,
        run_at = coalesce(pillars.now() + outcome.wait, job.run_at),
        expires_at = case when outcome.begun then null else job.expires_at end,
        parked = job.paused_at is not null or job.pause_requested_at is not null,
        paused_at = coalesce(job.paused_at, case when job.pause_requested_at is not null then pillars.now() end),
        pause_requested_at = null,
        last_error = coalesce(outcome.error, job.last_error)
    from locked outcome
    where job.ctid = outcome.place and not outcome.ends
    returning outcome.*, job.queue, job.run_at
), removed as (
    delete from pillars.jobs job using locked outcome
    where job.ctid = outcome.place and outcome.ends
    returning outcome.*, job
), stored as (
    insert into pillars.finished_jobs
    select final.* from removed
    cross join lateral pillars.ended(removed.job, 'cancelled', coalesce(removed.error, (removed.job).last_error)) final
    where pillars.kept(removed.name)
), gone as (
    select returned.job_id, returned.lock_token, returned.name, returned.attempt, returned.locked_at, returned.outcome, returned.error,
           returned.traceback, returned.run_at
    from returned
    union all
    select removed.job_id, removed.lock_token, removed.name, removed.attempt, removed.locked_at, 'cancelled', removed.error,
           removed.traceback, null
    from removed
), noted as (
    insert into pillars.attempts (job_id, attempt, lock_token, outcome, error, traceback, locked_by, started_at)
    select gone.job_id, gone.attempt, gone.lock_token, gone.outcome, gone.error, gone.traceback, $1::uuid, gone.locked_at
    from gone
    where gone.outcome <> 'released' and pillars.kept(gone.name)
), ended as (
    delete from pillars.locks lock
    where lock.ctid = any(array(
              select ending.ctid from pillars.locks ending where ending.lock_token = any($10::bigint[]) for update skip locked))
      and not exists (
          select from (select unnest(lock.job_ids) as job_id except select gone.job_id from gone) member
          cross join lateral (
              select from pillars.jobs job where job.job_id = member.job_id and job.lock_token = lock.lock_token limit 1
          ) held)
), woken as materialized (
    select pg_notify('pillars', released.queue) from (
        select distinct returned.queue from returned
        where returned.outcome = 'released' and returned.run_at <= pillars.now() + interval '30 seconds'
    ) released
)
select outcome.job_id, outcome.lock_token,
       case when gone.job_id is not null then 'done'
            when held.job_id is not null then 'busy'
            when $11::boolean and pillars.was_noted(outcome.job_id, outcome.lock_token, outcome.outcome) then 'done'
            when $11::boolean and pillars.ended_as(outcome.job_id, outcome.lock_token) = 'completed' then 'completed'
            else 'lost' end as answer,
       gone.run_at - pillars.now() as run_in, (select count(*) from woken) as woken
from outcomes outcome
left join gone on gone.job_id = outcome.job_id and gone.lock_token = outcome.lock_token
left join lateral (
    select job.job_id from pillars.jobs job
    where gone.job_id is null and job.job_id = outcome.job_id and job.lock_token = outcome.lock_token and job.locked_by = $1::uuid limit 1
) held on true
