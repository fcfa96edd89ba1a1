-- The raw loop: the least that a queue in Postgres can do, with a history. No retries, no locks that expire, no cancel, no schedules.
-- A uuid key, one partial index, fillfactor 50; claims by update, finishes by delete plus one row of history.
-- bench/raw.py runs the statements below by their names.

-- name: create
create schema raw;
create table raw.jobs (
    job_id uuid primary key,
    queue text collate "C" not null,
    priority integer not null,
    run_at timestamptz not null,
    payload jsonb not null,
    attempt integer not null default 0,
    locked_at timestamptz
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
create index on raw.jobs (queue, priority desc, run_at, job_id) where locked_at is null;
create table raw.history (
    job_id uuid not null,
    payload jsonb,
    attempt integer not null,
    started_at timestamptz,
    finished_at timestamptz not null default now()
);
create index on raw.history using brin (job_id);

-- name: insert
-- $1 job_id, $2 payload
insert into raw.jobs (job_id, queue, priority, run_at, payload) values ($1, 'default', 0, now(), $2)

-- name: insert_due
-- $1 job_id, $2 payload, $3 run_at
insert into raw.jobs (job_id, queue, priority, run_at, payload) values ($1, 'default', 0, $3, $2)

-- name: insert_and_notify
-- $1 job_id, $2 payload
with stored as (
    insert into raw.jobs (job_id, queue, priority, run_at, payload) values ($1, 'default', 0, now(), $2) returning queue
)
select pg_notify('raw', stored.queue) from stored

-- name: claim
-- $1 how many
update raw.jobs job set locked_at = now(), attempt = job.attempt + 1
where job.ctid = any(array(
    select ready.ctid from raw.jobs ready
    where ready.queue = 'default' and ready.run_at <= now() and ready.locked_at is null
    order by ready.priority desc, ready.run_at, ready.job_id
    limit $1::integer for update skip locked))
returning job.job_id, job.payload

-- name: finish
-- $1 job_ids
with done as (
    delete from raw.jobs job where job.job_id = any($1::uuid[])
    returning job.job_id, job.payload, job.attempt, job.locked_at
)
insert into raw.history (job_id, payload, attempt, started_at)
select done.job_id, done.payload, done.attempt, done.locked_at from done
