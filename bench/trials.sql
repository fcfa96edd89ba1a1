-- Other designs of the raw loop's claim and finish, on the raw loop's tables: what was measured before the runtime's were chosen.
-- bench/trials.py runs the statements below by their names.

-- name: create trials
create table raw.leases (
    lease bigint generated always as identity primary key,
    job_ids uuid[] not null,
    leased_at timestamptz not null default now(),
    expires_at timestamptz not null
);
-- A claim writes one row, and no row of a job. Claimers take turns: without a mark in the job, a second one would see the same jobs free.
create function raw.lease(wanted integer) returns table (job_id uuid, payload jsonb, lease bigint) language plpgsql as $$
declare
    ids uuid[];
    token bigint;
begin
    perform pg_advisory_xact_lock(1);
    ids := array(
        select ready.job_id from raw.jobs ready
        where ready.queue = 'default' and ready.run_at <= now() and ready.locked_at is null
          and ready.job_id not in (select unnest(held.job_ids) from raw.leases held)
        order by ready.priority desc, ready.run_at, ready.job_id
        limit wanted);
    if cardinality(ids) > 0 then
        insert into raw.leases (job_ids, expires_at) values (ids, now() + interval '30 s') returning leases.lease into token;
    end if;
    return query select leased.job_id, leased.payload, token from raw.jobs leased where leased.job_id = any(ids);
end $$;

-- name: lease
-- $1 how many
select leased.job_id, leased.payload, leased.lease from raw.lease($1::integer) leased

-- name: finish_lease
-- $1 job_ids, $2 lease
with done as (
    delete from raw.jobs job where job.job_id = any($1::uuid[])
    returning job.job_id, job.payload, job.attempt
), ended as (
    delete from raw.leases held where held.lease = $2::bigint returning held.leased_at
)
insert into raw.history (job_id, payload, attempt, started_at)
select done.job_id, done.payload, done.attempt + 1, ended.leased_at from done cross join ended

-- name: finish_and_claim
-- $1 job_ids that are done, $2 how many to claim
with done as (
    delete from raw.jobs job where job.job_id = any($1::uuid[])
    returning job.job_id, job.payload, job.attempt, job.locked_at
), stored as (
    insert into raw.history (job_id, payload, attempt, started_at)
    select done.job_id, done.payload, done.attempt, done.locked_at from done
)
update raw.jobs job set locked_at = now(), attempt = job.attempt + 1
where job.ctid = any(array(
    select ready.ctid from raw.jobs ready
    where ready.queue = 'default' and ready.run_at <= now() and ready.locked_at is null
    order by ready.priority desc, ready.run_at, ready.job_id
    limit $2::integer for update skip locked))
returning job.job_id, job.payload
