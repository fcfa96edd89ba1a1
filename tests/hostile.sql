-- Each of $1 in every text that a program or a person may choose: jobs of three states, attempts, queues, schedules, processes.

with said as (select text, number, 'p' || number as plain from unnest($1::text[]) with ordinality hostile (text, number)),
clock (now) as (select lpad(to_hex((extract(epoch from pillars.now()) * 1000)::bigint), 12, '0')),
-- In one order, by kind and then by number: those of one millisecond would stand as chance has it, and pages list them so.
ids as (
    select number, kind,
           (left(now, 8) || '-' || right(now, 4) || '-7' || lpad(to_hex(kind * 256 + number), 3, '0') || '-8' || substr(gen_random_uuid()::text, 21))::uuid as job_id
    from said cross join clock cross join generate_series(1, 3) kind
),
processes as (
    insert into pillars.workers (worker_id, role, host, pid, version, commit_sha, deployment, state, queues, slots, running, listening, leads)
    select pillars.uuid7(), 'worker', text, number, text, text, text, 'running', array[text], 10, 1, true, false from said
    returning worker_id, pid
),
queues as (insert into pillars.queues (name, paused_at) select text, pillars.now() from said),
definitions as (
    insert into pillars.definitions (name, kind, queue, priority, max_attempts, max_crashes, timeout, keep, tags, deployment)
    select text, 'async', text, 0, 4, 3, interval '15 minutes', 'full', array[text], text from said
),
running as (
    insert into pillars.jobs (job_id, name, queue, payload, context, priority, run_at, locked_at, locked_by, lock_token, attempt, max_attempts,
        deadline_at, timeout, unique_key, tags, last_error, trace)
    select job_id, text, text, jsonb_build_object(text, jsonb_build_array(text), 'x', text), text, 0, pillars.now(), pillars.now(), worker_id, number,
        1, 4, pillars.now() + interval '1 hour', interval '1 hour', text, array[text], text, text
    from said join ids using (number) join processes on pid = number where kind = 1
),
waiting as (
    insert into pillars.jobs (job_id, name, queue, payload, context, run_at, tags, parked, waiting_for, trace)
    select job_id, text, text, jsonb_build_object(text, text), text, pillars.now(), array[text], true, text, text
    from said join ids using (number) where kind = 2
),
failed as (
    insert into pillars.finished_jobs (job_id, name, queue, priority, state, payload, context, result, last_error, attempt, max_attempts, crashes,
        lock_token, created_at, started_at, finished_at, tags, trace, unique_key, timeout)
    select job_id, text, text, 0, 'failed', jsonb_build_object(text, text), text, jsonb_build_object(text, text), text, 1, 1, 0, number,
        pillars.now(), pillars.now(), pillars.now(), array[text], text, text, null
    from said join ids using (number) where kind = 3
    returning job_id, name
),
attempts as (
    insert into pillars.attempts (job_id, attempt, lock_token, outcome, error, traceback, started_at)
    select job_id, 1, 1, 'failed', name, name, pillars.now() from failed
),
schedules as (
    insert into pillars.schedules (name, job, payload, queue, max_attempts, every, crontab, timezone, next_run_at, deployment, context, last_error)
    select text, text, '{}', text, 4, interval '1 day', null, text, pillars.now() + interval '1 day', text, text, text from said
),
ticks as (
    insert into pillars.ticks (schedule, tick, job_id, outcome, missed) select text, pillars.now() - interval '1 day', null, 'late', 0 from said
)
select job_id, name from failed
