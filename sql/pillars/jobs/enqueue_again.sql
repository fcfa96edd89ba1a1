-- Repeat an enqueue whose first outcome is unknown: insert unless the id, or its unique key, is there already.
-- The caller runs take_back.sql next in the same transaction: a finish may have moved the first row while this insert waited.
-- Writes jobs. Parameters as enqueue.sql; $12 unique_key.
insert into pillars.jobs (job_id, name, queue, payload, context, priority, run_at, expires_at, max_attempts, timeout, unique_key, tags, trace)
select $1::uuid, $2::text, $3::text, $4::jsonb, $5::text, $6::integer, due.run_at,
       greatest(due.run_at, pillars.now()) + $9::interval, $10::integer, $11::interval, pillars.hashed_key($12::text), $13::text[], $14::text
from (select coalesce($7::timestamptz, pillars.now() + coalesce($8::interval, interval '0')) as run_at) due
on conflict do nothing
returning job_id, true as created
