-- Write what the code says of its jobs, touching only rows that differ, and let parked jobs of these names run: those that an open
-- transaction holds are left to a sweep.
-- $1 names, $2 kinds, $3 queues, $4 priorities, $5 max_attempts, $6 max_crashes, $7 timeouts, $8 keeps, $9 tags as JSON arrays,
-- $10 deployment.
with said as materialized (
    select said.name, said.kind, said.queue, said.priority, said.max_attempts, said.max_crashes, said.timeout, said.keep,
           array(select tag from jsonb_array_elements_text(said.tags) tag) as tags
    from unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::integer[], $6::integer[], $7::interval[], $8::text[], $9::jsonb[])
        said (name, kind, queue, priority, max_attempts, max_crashes, timeout, keep, tags)
    order by said.name
), written as (
    insert into pillars.definitions as definition (
        name, kind, queue, priority, max_attempts, max_crashes, timeout, keep, tags, deployment)
    select said.name, said.kind, said.queue, said.priority, said.max_attempts, said.max_crashes, said.timeout, said.keep, said.tags,
           $10::text
    from said
    on conflict (name) do update
    set kind = excluded.kind, queue = excluded.queue, priority = excluded.priority, max_attempts = excluded.max_attempts,
        max_crashes = excluded.max_crashes, timeout = excluded.timeout, keep = excluded.keep, tags = excluded.tags,
        deployment = excluded.deployment, defined_at = pillars.now()
    where (definition.kind, definition.queue, definition.priority, definition.max_attempts, definition.max_crashes,
           definition.timeout, definition.keep, definition.tags, definition.deployment)
        is distinct from (excluded.kind, excluded.queue, excluded.priority, excluded.max_attempts, excluded.max_crashes,
           excluded.timeout, excluded.keep, excluded.tags, excluded.deployment)
    returning definition.name
), defined as materialized (
    select job.ctid as place from pillars.jobs job
    where job.parked and job.waiting_for = 'definition' and job.name = any($1::text[])
    for update skip locked
), freed as (
    update pillars.jobs job set parked = job.paused_at is not null, waiting_for = null, last_error = null
    where job.ctid = any(array(select defined.place from defined))
    returning job.job_id
)
select (select count(*) from written) as written, (select count(*) from freed) as freed
