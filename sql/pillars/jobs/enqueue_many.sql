-- Insert jobs without unique keys in one statement; the caller notifies. Those with keys wait for each other: see insert_jobs.sql.
-- $1 job_ids, $2 names, $3 queues, $4 payloads, $5 contexts, $6 priorities, $7 run_at or null,
-- $8 run_in or null, $9 expires_in or null, $10 max_attempts, $11 timeouts, $12 unique keys, $13 tags as JSON arrays or null, $14 traces.
insert into pillars.jobs (job_id, name, queue, payload, context, priority, run_at, expires_at, max_attempts, timeout, unique_key, tags, trace)
select job.job_id, job.name, job.queue, job.payload, job.context, job.priority, due.run_at,
       greatest(due.run_at, pillars.now()) + job.expires_in, job.max_attempts, job.timeout, pillars.hashed_key(job.unique_key),
       (select array_agg(tag) from jsonb_array_elements_text(job.tags) tag), job.trace
from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::text[], $6::integer[], $7::timestamptz[], $8::interval[],
            $9::interval[], $10::integer[], $11::interval[], $12::text[], $13::jsonb[], $14::text[])
     job (job_id, name, queue, payload, context, priority, run_at, run_in, expires_in, max_attempts, timeout, unique_key, tags, trace)
cross join lateral (select coalesce(job.run_at, pillars.now() + coalesce(job.run_in, interval '0')) as run_at) due
