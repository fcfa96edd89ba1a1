-- Write what running jobs say, in the order in which it is given, and wake who listens. Returns the claims that hold their jobs yet: of others nothing was written.
--
-- One writer at a time, from the drawing of ids to the commit: so events are seen in the order of their ids, and who has read up to one has missed none.
-- What is held is a plain read, as old as the wait for that turn; the attempt is in each row. Rides the primary key of jobs. Locks: advisory 6.
-- $1 worker, $2 job_ids, $3 tokens, $4 attempts, $5 kinds, $6 bodies.
with turn as materialized (
    select pg_advisory_xact_lock(1885957228, 6)::text as taken
), said as materialized (
    select said.* from unnest($2::uuid[], $3::bigint[], $4::integer[], $5::text[], $6::jsonb[])
        with ordinality said (job_id, lock_token, attempt, kind, body, place)
), held as materialized (
    select claim.job_id, claim.lock_token from (select distinct said.job_id, said.lock_token from said) claim
    cross join lateral (
        select from pillars.jobs job
        where job.job_id = claim.job_id and job.lock_token = claim.lock_token and job.locked_by = $1::uuid limit 1
    ) job
), written as (
    insert into pillars.job_events (event_id, job_id, attempt, kind, body)
    select nextval('pillars.job_event_ids'), wanted.job_id, wanted.attempt, wanted.kind, wanted.body
    from (
        select said.* from turn cross join said join held on held.job_id = said.job_id and held.lock_token = said.lock_token
        where turn.taken is not null
        order by said.place
    ) wanted
), told as materialized (
    select pg_notify('pillars_said', '') is null as told from held limit 1
)
select held.lock_token, held.job_id from held where exists (select from told)
