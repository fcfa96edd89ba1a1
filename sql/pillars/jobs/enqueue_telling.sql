-- As enqueue.sql, and wake the workers of its queue with the commit: for a lone enqueue of work that is due soon.
-- A notification in a transaction has commits wait for each other, so enqueues that come thick notify afterwards, once for many.
-- Writes jobs only. Parameters as enqueue.sql.
insert into pillars.jobs (job_id, name, queue, payload, context, priority, run_at, expires_at, max_attempts, timeout, unique_key, tags, trace)
select $1::uuid, $2::text, $3::text, $4::jsonb, $5::text, $6::integer, due.run_at,
       greatest(due.run_at, pillars.now()) + $9::interval, $10::integer, $11::interval, $12::text, $13::text[], $14::text
from (select coalesce($7::timestamptz, pillars.now() + coalesce($8::interval, interval '0')) as run_at) due
returning pg_notify('pillars', queue) is not null as yes
