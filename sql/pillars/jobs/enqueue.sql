-- Insert one job that has no unique key. The caller notifies after the commit.
-- Writes jobs only. $1 job_id, $2 name, $3 queue, $4 payload, $5 context, $6 priority, $7 run_at or null, $8 run_in or null,
-- $9 expires_in or null, $10 max_attempts, $11 timeout, $12 unique_key (null here), $13 tags, $14 trace.
insert into pillars.jobs (job_id, name, queue, payload, context, priority, run_at, expires_at, max_attempts, timeout, unique_key, tags, trace)
select $1::uuid, $2::text, $3::text, $4::jsonb, $5::text, $6::integer, due.run_at,
       greatest(due.run_at, pillars.now()) + $9::interval, $10::integer, $11::interval, $12::text, $13::text[], $14::text
from (select coalesce($7::timestamptz, pillars.now() + coalesce($8::interval, interval '0')) as run_at) due
