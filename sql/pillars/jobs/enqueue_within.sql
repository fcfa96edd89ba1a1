-- Insert one job, or find the unfinished one that holds its unique key; notifies in the same transaction.
-- Writes jobs; waits for another's uncommitted insert of the same unique key. $1 job_id, $2 name, $3 queue, $4 payload, $5 context,
-- $6 priority, $7 run_at or null, $8 run_in or null, $9 expires_in or null, $10 max_attempts, $11 timeout, $12 unique_key, $13 tags, $14 trace.
select inserted.stored_id as job_id, inserted.created
from pillars.insert_job(
    $1::uuid, $2::text, $3::text, $4::jsonb, $5::text, $6::integer, $7::timestamptz,
    $8::interval, $9::interval, $10::integer, $11::interval, $12::text, $13::text[], $14::text) inserted
